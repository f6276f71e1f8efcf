"""replicate: what is missing is trained, what fails is kept apart, what differs is not mixed."""

import errno
import importlib.util
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from trainings import LABELS, probabilities, train, train_seed
from traintwice import compare_recipes, measure, open_predictions, replicate
from traintwice.errors import BadInput, BadSpec, StoreError, TooFewReplicas, TrainingFailed, UnknownName
from traintwice.replication import ReplicaStore, Run

IN_PROCESS = {"executor": "in-process", "labels": LABELS}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "runs"


def times(path):
    return {p.relative_to(path): p.stat().st_mtime_ns for p in path.rglob("*.parquet")}


def test_the_files_are_those_of_measure_and_compare_recipes(store):
    study = replicate(
        train, replicas=4, recipes={"base": {}, "calm": {"noise": 0.2}}, ids=np.arange(40), store=store, **IN_PROCESS
    )
    assert study.measure("calm")["churn"] == measure(store / "predictions" / "calm")["churn"]
    with pytest.raises(UnknownName):
        study.measure("other")
    by_hand = compare_recipes(study.paths["base"], study.paths["calm"], paired=True, names=("base", "calm"))
    assert study.compare()["calm"]["churn"].difference == by_hand["churn"].difference
    assert by_hand["churn"].difference.estimate.value < 0


def test_replicas_of_all_recipes_share_their_streams(store):
    study = replicate(train, replicas=3, recipes={"base": {}, "same": {}}, store=store, **IN_PROCESS)
    assert study.compare()["same"]["churn"].difference.estimate.value == 0
    assert len({p.read_bytes() for p in study.paths["base"]}) == 3


def test_only_what_is_missing_is_trained(store):
    replicate(train, replicas=2, store=store, **IN_PROCESS)
    before = times(store)
    study = replicate(train, replicas=4, recipes={"base": {}, "calm": {"noise": 0.1}}, store=store, **IN_PROCESS)
    assert {k: v for k, v in times(store).items() if k in before} == before
    assert [len(p) for p in study.paths.values()] == [4, 4]


def test_a_damaged_replica_is_trained_again(store):
    study = replicate(train, replicas=2, store=store, **IN_PROCESS)
    path = study.paths["base"][1]
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    replicate(train, replicas=2, store=store, **IN_PROCESS)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", ["", "[]", '{"splits": [], "code": {}, "settings": {}}'])
def test_a_record_that_is_none_is_trained_again(store, content):
    first = replicate(train, replicas=2, store=store, **IN_PROCESS).to_dict()["recipes"]
    (store / "records" / "base" / "0001.json").write_text(content)
    (store / "records" / "base" / "12 (copy).json").write_text("{}")
    assert replicate(train, replicas=2, store=store, **IN_PROCESS).to_dict()["recipes"] == first


def test_a_function_of_the_seed(store):
    study = replicate(train_seed, replicas=3, store=store, **IN_PROCESS)
    assert study.measure()["churn"].value > 0
    with pytest.raises(BadSpec, match="takes one seed for everything"):
        replicate(train_seed, replicas=3, store=store, vary=["init"], **IN_PROCESS)


def test_fixed_sources(store):
    study = replicate(train, replicas=3, vary={"fixed": ["order"]}, recipes={"free": {}, "fixed": {}}, store=store, **IN_PROCESS)
    assert study.measure("free")["churn"].value > 0
    assert study.measure("fixed")["churn"].value == 0
    assert "identical" in str(study)


def test_failed_replicas_keep_their_traceback_and_the_others_go_on(store):
    def sometimes(run):
        if run.replica == 1:
            raise KeyError("no such column")
        return train(run)

    with pytest.warns(UserWarning, match="1 replica failed") as caught:
        study = replicate(sometimes, replicas=3, store=store, **IN_PROCESS)
    assert 'raise KeyError("no such column")' in str(caught[0].message)
    (failure,) = study.failures
    assert (failure.recipe, failure.replica, failure.reason) == ("base", 1, "KeyError: 'no such column'")
    assert "test_study.py" in failure.log.read_text()
    assert "replication/_executors.py" not in failure.traceback
    assert "base, replica 1" in str(study)
    assert len(study.paths["base"]) == 2
    assert study.measure()["churn"].replicas == 2


def test_a_training_that_always_fails_raises_with_its_traceback(store):
    def fails(run):
        return 1 / 0

    with pytest.raises(TrainingFailed, match=r"(?s)2 replicas failed.*ZeroDivisionError.*return 1 / 0"):
        replicate(fails, replicas=2, store=store, **IN_PROCESS)
    replicate(train, replicas=2, store=store, **IN_PROCESS)  # a mistake does not take the name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:30], "30 rows, replica 0 of 'base' has 40"),
        (
            lambda p: np.column_stack([p / 2, p[:, 0] / 2, p[:, 1] / 2])[:, :3] / (1 - p[:, 1:] / 2),
            "3 classes, replica 0 .* has 2",
        ),
        (lambda p: {"y": LABELS[::-1], "p": p[:, 1]}, "another order than in replica 0"),
    ],
)
def test_replicas_that_answer_other_rows_or_classes(store, change, message):
    def odd(run):
        p = train(run)
        plain = {"y": LABELS, "p": p[:, 1]} if "order" in message else p
        return change(p) if run.replica == 1 else plain

    with pytest.warns(UserWarning, match=message):
        study = replicate(odd, replicas=3, store=store, executor="in-process")
    assert [f.replica for f in study.failures] == [1]
    assert len(study.paths["base"]) == 2


def test_replicas_may_predict_other_classes(store):
    names = np.array(["cat", "dog", "emu"])
    votes = [LABELS, np.minimum(LABELS + (np.arange(40) < 4), 2), LABELS * 2]

    def answers(run):
        return names[votes[run.replica]]

    study = replicate(answers, replicas=3, store=store, executor="in-process", labels=names[LABELS])
    assert not study.failures
    found = study.measure()
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert found["churn"].value == pytest.approx(sum((votes[i] != votes[j]).mean() for i, j in pairs) / 3)
    assert found["accuracy"].value == pytest.approx(sum((vote == LABELS).mean() for vote in votes) / 3)


def test_rows_of_another_index(store):
    def answers(run):
        return pd.Series(LABELS, index=np.random.default_rng(run.replica).permutation(100)[:40])

    with pytest.warns(UserWarning, match="another pandas index"):
        study = replicate(answers, replicas=2, store=store, executor="in-process")
    with pytest.raises(
        TooFewReplicas, match=r"1 of 2 replicas are finished.*Replica 1 failed: the rows have another pandas index"
    ):
        study.measure()


def test_other_settings_are_refused(store):
    replicate(train, replicas=2, store=store, **IN_PROCESS)
    for changed in ({"recipes": {"base": {"noise": 0.2}}}, {"seed": 1}, {"vary": ["init"]}):
        with pytest.raises(StoreError, match="was trained with other settings"):
            replicate(train, replicas=2, store=store, **IN_PROCESS, **changed)


def test_other_code_is_refused_by_name(store, project):
    source = "import helper\ndef main(run):\n    return helper.answer(run)\n"
    helper = "from trainings import train\ndef answer(run):\n    return train(run)\n"
    project(helper, "helper")
    main = project(source).main
    replicate(main, replicas=2, store=store, **IN_PROCESS)
    project(helper + "\nANOTHER = 1\n", "helper")
    main = project(source).main
    with pytest.raises(StoreError, match=r"with other code \(helper.py changed since\)"):
        replicate(main, replicas=3, store=store, **IN_PROCESS)
    assert len(replicate(main, replicas=3, store=store, mix_code=True, **IN_PROCESS).paths["base"]) == 3


def test_an_index_trains_one_replica(store):
    recipes = {"base": {}, "calm": {"noise": 0.1}}
    replicate(train, replicas=2, recipes=recipes, store=store, index=3, labels=LABELS)
    assert [p.parts[-2:] for p in times(store)] == [("calm", "0001.parquet")]
    with pytest.raises(BadSpec, match="expected 0 to 3"):
        replicate(train, replicas=2, recipes=recipes, store=store, index=4, labels=LABELS)


def test_a_pool_with_submit(store):
    with ThreadPoolExecutor(2) as pool:
        pooled = replicate(train, replicas=3, store=store, executor=pool, labels=LABELS)
    alone = replicate(train, replicas=3, store=store.with_name("other"), **IN_PROCESS)
    assert [p.read_bytes() for p in pooled.paths["base"]] == [p.read_bytes() for p in alone.paths["base"]]


class Later:
    """A cluster of one machine, with futures of its own."""

    class Job:
        def __init__(self, fn, arguments):
            self.fn, self.arguments, self.polls = fn, arguments, 0

        def done(self):
            self.polls += 1
            return self.polls > 1

        def result(self):
            if self.arguments[0].run.replica == 2:
                raise RuntimeError("node lost")
            return self.fn(*self.arguments)

    def submit(self, fn, *arguments):
        return self.Job(fn, arguments)


def test_futures_of_another_library(store):
    with pytest.warns(UserWarning, match="the executor failed: RuntimeError: node lost"):
        study = replicate(train, replicas=3, store=store, executor=Later(), labels=LABELS)
    assert len(study.paths["base"]) == 2


@pytest.mark.parametrize("executor", ["rays", object()])
def test_an_executor_that_is_none(store, executor):
    with pytest.raises((BadInput, UnknownName), match="executor"):
        replicate(train, replicas=2, store=store, executor=executor)


def test_splits_have_files_of_their_own(store):
    def both(run):
        return {"validation": train(run)[:10], "test": train(run)}

    study = replicate(both, replicas=2, labels={"validation": LABELS[:10], "test": LABELS}, store=store, executor="in-process")
    assert study.splits == ("validation", "test")
    assert study.measure(split="validation")["churn"].examples == 10
    assert study.measure()["churn"].examples == 40


def test_numbers(store):
    def numbers(run):
        return run.stream("init").normal(size=40)

    study = replicate(numbers, replicas=3, labels=np.zeros(40), store=store, executor="in-process", regression=True)
    assert study.measure()["pairwise_l1" if "pairwise_l1" in study.measure() else next(iter(study.measure()))].value > 0


def test_log_and_seconds_are_in_the_record(store):
    def logged(run):
        run.log(1, loss=0.5)
        return train(run)

    study = replicate(logged, replicas=2, store=store, **IN_PROCESS)
    record = study.records["base"][0]
    assert record["history"] == [{"step": 1, "loss": 0.5}]
    assert record["seconds"] >= 0
    assert json.dumps(study.to_dict())


def test_against_the_model_in_service(store, tmp_path):
    ids = np.arange(40)
    study = replicate(train, replicas=4, recipes={"base": {}, "calm": {"noise": 0.1}}, ids=ids, store=store, **IN_PROCESS)
    served = {"id": ids, "p": probabilities(np.random.default_rng(5))[:, 1]}
    found = study.against(served)
    assert [r.recipe for r in found.recipes] == ["base", "calm"]
    answers = served["p"] >= 0.5
    with open_predictions(study.paths["calm"]) as opened:
        votes = opened.read().votes
    assert found["calm"].churn.value == pytest.approx(np.mean([vote != answers for vote in votes]))
    assert found["calm"].noise.floor == pytest.approx(study.measure("calm")["churn"].value)
    assert "Against the model in service" in study.report(tmp_path / "out", against=found).read_text()
    with pytest.raises(BadInput, match="lacks 1 of the 40 ids"):
        study.against({name: column[1:] for name, column in served.items()})


def test_against_an_array(store):
    deployed = train(Run("base", 7))
    study = replicate(train, replicas=2, store=store, **IN_PROCESS)
    by_hand = np.mean([deployed.argmax(1) != train(Run("base", m)).argmax(1) for m in range(2)])
    assert study.against(deployed)["base"].churn.value == pytest.approx(by_hand)
    with pytest.raises(BadInput, match="got an array of 30 rows, and the replicas have 40 rows"):
        study.against(deployed[:30])
    named = replicate(train, replicas=2, ids=np.arange(40), store=store.parent / "named", **IN_PROCESS)
    with pytest.raises(BadInput, match="and the replicas have ids; pass a table with a column of ids"):
        named.against(deployed)


def logging(run, ema=False):
    for step in range(900):
        run.log(step, loss=1 / (1 + step), accuracy=float("nan") if step == 3 else 0.5)
    return np.zeros(40, dtype=int)


def test_logged_values_are_drawn_on_the_page(store, tmp_path, monkeypatch):
    study = replicate(logging, replicas=2, recipes={"base": {}, "ema": {"ema": True}}, store=store, **IN_PROCESS)
    logged = study.to_dict()["logged"]
    assert logged["loss"]["ema"][1] == [(step, 1 / (1 + step)) for step in range(900)]
    assert len(logged["accuracy"]["base"][0]) == 899
    text = study.report(tmp_path / "out").read_text()
    specs = [json.loads(found) for found in re.findall(r'id="chart-logged-\d">(.*?)</script>', text)]
    lines = specs[1]["shared"]["lines"]
    assert {(r["recipe"], r["replica"]) for r in lines} == {(r, m) for r in ("base", "ema") for m in (0, 1)}
    assert [r["at"] for r in lines if (r["recipe"], r["replica"]) == ("base", 0)] == list(range(2, 900, 3))
    assert text.count('data-chart="logged-') == 2
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "Charts need the extra report" in study.report(tmp_path / "out").read_text()


def test_the_report(store, tmp_path):
    study = replicate(train, replicas=3, recipes={"base": {}, "calm": {"noise": 0.1}}, store=store, **IN_PROCESS)
    text = study.report(tmp_path / "out").read_text()
    assert "calm" in text
    assert "churn" in text


def test_a_directory_of_other_files_is_refused(store):
    store.mkdir()
    (store / "mine.txt").write_text("hello")
    with pytest.raises(StoreError, match=r"has other files \(mine.txt\)"):
        replicate(train, replicas=2, store=store, **IN_PROCESS)
    (store / "store.json").write_text("{}")
    with pytest.raises(StoreError, match=r"is a store of `traintwice run`, expected one of `traintwice replicate`"):
        replicate(train, replicas=2, store=store, **IN_PROCESS)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "é"])
def test_names_of_recipes_are_names_of_files(store, name):
    with pytest.raises(StoreError, match="recipes: got the name"):
        replicate(train, replicas=2, recipes={name: {}}, store=store, **IN_PROCESS)


def test_needs_no_torch(tmp_path):
    code = (
        "import sys, numpy as np, traintwice\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "def main(run): return run.stream('init').dirichlet([1, 1], 30)\n"
        f"study = traintwice.replicate(main, replicas=3, store={str(tmp_path / 'a')!r}, executor='in-process')\n"
        "print(study, study.measure(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("False\n")


def test_a_full_disk(store, monkeypatch):
    """Neither the predictions nor the note of the failure can be written."""

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(*_, **__):
        raise BadInput("0000.parquet: cannot be written (No space left on device)")

    replicate(train, replicas=1, store=store, **IN_PROCESS)
    monkeypatch.setattr("traintwice.replication._answers.write_predictions", write)
    with pytest.warns(UserWarning, match="1 replica failed"):
        replicate(train, replicas=2, store=store, **IN_PROCESS)
    monkeypatch.setattr("traintwice.replication._store.write_whole", full)
    monkeypatch.setattr(ReplicaStore, "remember", lambda *_: None)
    with pytest.raises(StoreError, match=r"runs: cannot be written \(No space left on device\); finished replicas are kept"):
        replicate(train, replicas=2, store=store, **IN_PROCESS)
