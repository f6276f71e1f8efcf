"""Every layout of evaluation logs is recognised by its content and read."""

import json
import os

import numpy as np
import pytest

import log_files
from log_files import QUESTIONS, TARGETS, answers
from traintwice.errors import BadInput, UnknownName
from traintwice.logs import FORMATS, pair_check, read_log, recognise


def strict(folder, **more):
    return log_files.lm_eval(folder, filters=("strict-match",), **more)


def eval_log(path, **more):
    return log_files.eval_file(path, log_files.inspect_log(**more))


def json_log(path, **more):
    header, samples = log_files.inspect_log(**more)
    path.write_text(json.dumps({**header, "samples": samples, "reductions": []}, indent=2))
    return path


WRITERS = {
    "lm-evaluation-harness": lambda at, **more: strict(at, **more),
    "inspect_ai": lambda at, **more: eval_log(at, **more),
    "inspect_ai json": lambda at, **more: json_log(at, **more),
    "inspect_ai zstandard": lambda at, **more: log_files.with_zstandard(at, log_files.inspect_log(**more)),
    "openai-evals": lambda at, **more: log_files.openai_evals(at, **more),
    "promptfoo": lambda at, **more: log_files.promptfoo(at, **more),
    "lighteval": lambda at, **more: log_files.lighteval(at, **more),
    "lighteval old": lambda at, **more: log_files.lighteval(at, layout="old", **more),
    "lighteval text": lambda at, **more: log_files.lighteval(at, layout="text", **more),
    "rollouts": lambda at, **more: log_files.nemo_validation(at, draws=1, **more),
    "rollouts document": lambda at, **more: log_files.nemo_evaluation(at, **more),
}

OPTIONS = {"promptfoo": {"scorer": "success"}}


@pytest.mark.parametrize("name", WRITERS)
def test_layout_is_recognised_and_read(tmp_path, name):
    path = WRITERS[name](tmp_path / "log", wrong=(1, 3))
    layout = recognise(path)
    assert layout is not None
    assert layout.name == name.partition(" ")[0]
    found = read_log(path, **OPTIONS.get(name, {}))
    assert found.layout == layout.name
    assert found.correct.tolist() == [1, 0, 1, 0]
    assert found.answers == answers((1, 3))
    assert len(set(found.items)) == len(found) == 4
    assert found.draws is None
    assert all(question in prompt for question, prompt in zip(QUESTIONS, found.prompts, strict=True))
    if name not in ("promptfoo", "rollouts", "rollouts document"):
        assert found.targets == list(TARGETS)
    assert len(found.digest) == 64
    assert not found.warnings


def tmp_path_of(tmp_path, model):
    (tmp_path / model).mkdir()
    return tmp_path / model / "log"


@pytest.mark.parametrize("name", WRITERS)
def test_two_runs_pair(tmp_path, name):
    old, new = (
        read_log(WRITERS[name](tmp_path_of(tmp_path, model), wrong=wrong), **OPTIONS.get(name, {}))
        for model, wrong in (("old", (1,)), ("new", (2,)))
    )
    assert pair_check(old, new).shared == 4
    assert old.digest != new.digest


@pytest.mark.parametrize(
    "name", [name for name in WRITERS if name not in ("lm-evaluation-harness", "lighteval", "lighteval old", "lighteval text")]
)
def test_name_of_the_file_does_not_matter(tmp_path, name):
    path = WRITERS[name](tmp_path / "log")
    moved = path.rename(tmp_path / "predictions.csv")
    assert recognise(moved).name == name.partition(" ")[0]


def test_models_and_versions_come_from_the_log(tmp_path):
    assert read_log(strict(tmp_path / "a", model="org/m")).model == "org/m"
    assert read_log(strict(tmp_path / "a", version=7)).versions == {"gsm8k": "7"}
    assert read_log(eval_log(tmp_path / "b", version="2-A")).versions == {"arithmetic": "2-A"}
    assert read_log(eval_log(tmp_path / "b")).model == "openai/m"
    assert read_log(log_files.openai_evals(tmp_path / "c")).model == "gpt-x"
    assert read_log(log_files.lighteval(tmp_path / "d", version=9)).versions == {"custom|sums|0": "9"}
    assert read_log(log_files.lighteval(tmp_path / "d")).model == "org/m"
    (tmp_path / "e").mkdir()
    assert read_log(log_files.nemo_evaluation(tmp_path / "e" / "x.json")).model == "org/m"


def test_folder_of_tasks_becomes_groups(tmp_path):
    strict(tmp_path / "run" / "m", task="gsm8k", wrong=(0,))
    strict(tmp_path / "run" / "m", task="other_task")
    found = read_log(tmp_path / "run")
    assert found.tasks == ["gsm8k"] * 4 + ["other_task"] * 4
    assert found.scorers == {"gsm8k": "exact_match", "other_task": "exact_match"}
    assert read_log(tmp_path / "run", task="other_task").tasks == ["other_task"] * 4
    with pytest.raises(UnknownName, match=r"no task named 'gsm9k'. Did you mean 'gsm8k'"):
        read_log(tmp_path / "run", task="gsm9k")


def test_filters_are_named(tmp_path):
    path = log_files.lm_eval(tmp_path, wrong=(2,))
    with pytest.raises(BadInput, match=r"2 filters \(flexible-extract, strict-match\). Expected one; name it"):
        read_log(path)
    assert read_log(path, filter="strict-match").correct.tolist() == [1, 1, 0, 1]
    assert read_log(path, filter="flexible-extract").correct.tolist() == [1, 1, 1, 1]
    with pytest.raises(UnknownName, match=r"no filter named 'strict'"):
        read_log(path, filter="strict")


def test_choices_by_likelihood(tmp_path):
    path = log_files.lm_eval_choices(tmp_path, wrong=(1,))
    with pytest.raises(BadInput, match=r"task 'arc_easy': 2 scorers \(acc, acc_norm\)"):
        read_log(path)
    found = read_log(path, scorer="acc")
    assert found.correct.tolist() == [1, 0, 1, 1]
    assert found.answers == ["choice 0", "choice 1", "choice 0", "choice 0"]
    assert found.filters == {"arc_easy": "none"}


def test_scorers_may_differ_by_task(tmp_path):
    strict(tmp_path, task="gsm8k")
    log_files.lm_eval_choices(tmp_path, wrong=(1,))
    with pytest.raises(
        BadInput,
        match=r"2 scorers \(acc, acc_norm\).*--scorer acc; for tasks with different scorers one of each: --scorer NAME,NAME",
    ):
        read_log(tmp_path, filter="strict-match")
    for names in ("acc,exact_match", ["acc", "exact_match"]):
        found = read_log(tmp_path, scorer=names, filter="strict-match", task=["gsm8k", "arc_easy"])
        assert found.filters == {"arc_easy": "none", "gsm8k": "strict-match"}
        assert found.scorers == {"arc_easy": "acc", "gsm8k": "exact_match"}
    with pytest.raises(UnknownName, match=r"no scorer named 'acc'.*gsm8k"):
        read_log(tmp_path, scorer="acc")


def test_epochs_become_draws(tmp_path):
    found = read_log(eval_log(tmp_path / "log", epochs=3, wrong=(0,)))
    assert found.draws.tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert found.correct.tolist() == [0, 1, 1, 1] + [1] * 8
    assert found.items[:5] == ["sum/1", "sum/2", "sum/3", "sum/4", "sum/1"]


@pytest.mark.parametrize(
    ("value", "number"), [("C", 1), ("I", 0), ("P", 0.5), ("N", 0), (True, 1), (0.25, 0.25), ("yes", 1), (float("nan"), np.nan)]
)
def test_values_of_inspect(tmp_path, value, number):
    path = eval_log(tmp_path / "log", scorers=(), extra={"s": {"value": value, "answer": "a"}})
    found = read_log(path)
    np.testing.assert_array_equal(found.correct, [number] * 4)
    assert found.answers == ["a"] * 4
    assert found.warnings == (("4 of 4 rows have no score.",) if number != number else ())


def test_scorers_of_inspect_are_named(tmp_path):
    path = eval_log(tmp_path / "log", scorers=("match",), extra={"judge": {"value": {"style": 0.5, "facts": 1}, "answer": "b"}})
    with pytest.raises(BadInput, match=r"3 scorers \(judge.facts, judge.style, match\)"):
        read_log(path)
    found = read_log(path, scorer="judge.style")
    assert found.correct.tolist() == [0.5] * 4
    assert found.answers == ["b"] * 4


def test_run_of_inspect_that_did_not_finish(tmp_path):
    path = log_files.eval_file(tmp_path / "log", log_files.inspect_log(), finished=False)
    found = read_log(path)
    assert len(found) == 4
    assert found.warnings == ("log: the status of the run is 'started'; samples may be missing.",)


def test_run_of_inspect_that_failed(tmp_path):
    path = eval_log(tmp_path / "log", scorers=(), status="error")
    with pytest.raises(BadInput, match=r"no row has a score .* the status of the run is 'error'; samples may be missing"):
        read_log(path)


def test_large_samples_and_attachments_of_inspect(tmp_path):
    import zipfile

    header, samples = log_files.inspect_log()
    samples[0] |= {"input": "attachment://abc", "attachments": {"abc": "a long text"}}
    path = tmp_path / "log"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_1/sample.json", json.dumps(sample))
            archive.writestr(f"samples/{sample['id']}_epoch_1/events/0.json", "[]")
    found = read_log(path)
    assert len(found) == 4
    assert found.prompts[0] == "a long text"


def test_metrics_of_openai_evals(tmp_path):
    path = log_files.openai_evals(tmp_path / "log", metrics=True, wrong=(1,), finished=False)
    with pytest.raises(BadInput, match=r"2 scorers \(length, score\)"):
        read_log(path)
    found = read_log(path, scorer="score")
    assert found.correct.tolist() == [1, 0, 1, 1]
    assert found.warnings == ("log: no final report, so the run did not finish; samples may be missing.",)


def test_scores_as_text_count_and_choices_do_not(tmp_path):
    path = log_files.lm_eval(tmp_path, filters=("none",))
    path.write_text(path.read_text().replace('"exact_match": 1.0', '"exact_match": "1.0"'))
    assert read_log(path).correct.tolist() == [1] * 4
    path = log_files.openai_evals(tmp_path / "log", metrics=True)
    path.write_text(path.read_text().replace('"choice": "Y"', '"choice": "C"').replace('"length": 0.5', '"valid": true'))
    with pytest.raises(BadInput, match=r"2 scorers \(score, valid\)"):
        read_log(path)


def test_providers_repeats_and_errors_of_promptfoo(tmp_path):
    path = log_files.promptfoo(tmp_path / "log", providers=("a", "b"), repeat=2, wrong=(0,), error=3)
    with pytest.raises(BadInput, match=r"2 filters \(a, b\)"):
        read_log(path, scorer="success")
    found = read_log(path, scorer="success", filter="b")
    assert found.items == ["0", "0", "1", "1", "2", "2", "3", "3"]
    assert found.draws.tolist() == [1, 2] * 4
    np.testing.assert_array_equal(found.correct, [0, 1, 1, 1, 1, 1, np.nan, np.nan])
    assert read_log(path, scorer="brevity", filter="a").correct.tolist() == [0.75] * 8
    assert found.model == "b"
    assert pair_check(read_log(path, scorer="success", filter="a"), found).shared == 4


def test_jsonl_of_promptfoo(tmp_path):
    whole = json.loads(log_files.promptfoo(tmp_path / "a.json").read_text())
    path = log_files.jsonl(tmp_path / "a.jsonl", whole["results"]["results"])
    assert read_log(path, scorer="success").correct.tolist() == [1] * 4


def test_rollouts_of_one_prompt_are_draws(tmp_path):
    found = read_log(log_files.nemo_validation(tmp_path / "val_data_step3.jsonl", draws=3, wrong=(2,)))
    assert found.draws.tolist() == [1, 2, 3] * 4
    assert found.correct.tolist() == [1] * 6 + [0, 1, 1] + [1] * 3
    generic = [{"prompt": "p", "response": r, "reward": r == "b", "id": 5, "target": "b"} for r in "ab"]
    found = read_log(log_files.jsonl(tmp_path / "generic", generic))
    assert (found.items, found.answers, found.targets) == (["5", "5"], ["a", "b"], ["b", "b"])


def test_other_files_are_not_logs(tmp_path):
    np.savez(tmp_path / "a.npz", probs=np.ones((2, 2)))
    (tmp_path / "b.csv").write_text("id,p_0,p_1\n1,0.5,0.5\n")
    (tmp_path / "c.jsonl").write_text('{"id": 1, "probs": [0.5, 0.5]}\n')
    (tmp_path / "d").write_bytes(os.urandom(100))
    (tmp_path / "e").touch()
    for path in sorted(tmp_path.iterdir()):
        assert recognise(path) is None, path
        with pytest.raises(BadInput, match=r"not an evaluation log of a known layout .*Pass --correct COLUMN"):
            read_log(path)
    assert recognise(tmp_path) is None
    with pytest.raises(BadInput, match=r"no such file"):
        recognise(tmp_path / "none")


def test_names_of_layouts_are_distinct():
    assert len({layout.name for layout in FORMATS}) == len(FORMATS)


def test_older_samples_of_the_harness(tmp_path):
    """A document hash alone and a file of another name; and version 0.4.3, without filter and metrics."""
    records = [
        {
            "doc_id": i,
            "doc": {"question": f"q{i}"},
            "target": str(i),
            "arguments": {"gen_args_0": {"arg_0": "x"}},
            "resps": [[f"It is {i}."]],
            "filtered_resps": [str(i)],
            "filter": name,
            "metrics": ["exact_match"],
            "doc_hash": f"{i:016d}",
            "exact_match": float(name == "strict-match"),
        }
        for name in ("strict-match", "flexible-extract")
        for i in range(3)
    ]
    path = log_files.jsonl(tmp_path / "old.jsonl", records)
    found = read_log(path, filter="strict-match")
    assert found.tasks == [""] * 3
    assert found.input_hashes[1] == f"doc_hash={1:016d}"
    assert found.correct.tolist() == [1, 1, 1]
    both = read_log(path, correct="exact_match", id=["doc_id", "filter"], answer="filtered_resps.0")
    assert both.items[3] == '[0, "flexible-extract"]'
    assert both.correct.tolist() == [1, 1, 1, 0, 0, 0]
    first = [{k: v for k, v in r.items() if k not in ("filter", "metrics")} for r in records[:3]]
    found = read_log(log_files.jsonl(tmp_path / "first.jsonl", first))
    assert (found.scorers, found.filters, found.prompts) == ({"": "exact_match"}, {"": "none"}, ["x"] * 3)


@pytest.mark.parametrize(
    ("scorer", "likelihoods", "answer"),
    [
        ("acc", [-10.0, -12.0, -30.0], "short"),
        ("acc_norm", [-10.0, -12.0, -30.0], "a much longer choice"),
        ("acc_bytes", [-10.0, -40.0, -12.0], "öööööööö"),
        ("acc_mutual_info", [-10.0, -12.0, -30.0, -9.0, -9.0, -29.5], "öööööööö"),
    ],
)
def test_the_answer_of_lm_eval_is_the_choice_that_the_scorer_takes(tmp_path, scorer, likelihoods, answer):
    choices = [" short", " a much longer choice", " öööööööö"]
    metrics = ["acc", "acc_norm", "acc_bytes", *(["acc_mutual_info"] if len(likelihoods) == 6 else [])]
    sample = {
        "doc_id": 0,
        "arguments": {f"gen_args_{i}": {"arg_0": "q", "arg_1": choices[i % 3]} for i in range(len(likelihoods))},
        "resps": [[[str(x), "False"]] for x in likelihoods],
        "filtered_resps": [[str(x), "False"] for x in likelihoods],
        "metrics": metrics,
        **dict.fromkeys(metrics, 1.0),
    }
    file = tmp_path / "samples_t_2026-11-27T00-00-00.jsonl"
    file.write_text(json.dumps(sample) + "\n")
    assert read_log(file, scorer=scorer).answers == [answer]
