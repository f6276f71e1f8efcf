"""Simulated models, also in files; results of a comparison made by hand, for what prints and draws them; and studies that train without
worker processes."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from traintwice.compare._parts import (
    PREDICTED,
    Answer,
    Band,
    ChangedRow,
    Decisions,
    Flow,
    FlowCell,
    Joint,
    Movement,
    NoiseFloor,
    Review,
    Slice,
    SliceTest,
    SwapSet,
)
from traintwice.compare._results import Calibration, Diff, Measured, Quality
from traintwice.predictions import Summary
from traintwice.types import Estimate

WITH_TORCH = find_spec("torch") is not None
"""False where the measure wing is tested alone: make oldest and make newest."""
if WITH_TORCH:
    import torch

    # As in the worker processes: two threads change bits, and fight with the tests that run beside them.
    torch.set_num_threads(1)

sys.path.insert(0, str(Path(__file__).parent))

collect_ignore = ["engines"]
"""Tests with an environment of their own: make test-engines."""


@pytest.fixture(scope="session", autouse=True)
def _studies_in_this_process():
    with pytest.MonkeyPatch.context() as patch:
        if WITH_TORCH:
            from in_process import in_process

            in_process(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def _sessions_in_one_database(tmp_path_factory):
    from one_database import one_database

    with pytest.MonkeyPatch.context() as patch:
        one_database(patch, tmp_path_factory.mktemp("spilled"))
        yield


@pytest.fixture(autouse=True)
def _modules_of_this_test_alone(request):
    """Modules that a test wrote into its folder and imported are forgotten: another test may write one of the same name."""
    wanted = {"tmp_path", "monkeypatch"} <= set(request.fixturenames)
    folder = str(request.getfixturevalue("tmp_path")) if wanted else ""
    before = set(sys.modules) if folder else set()
    yield
    for name in set(sys.modules) - before if folder else ():
        found = getattr(sys.modules[name], "__dict__", {})
        if any(str(path).startswith(folder) for path in (found.get("__file__"), *(found.get("__path__") or ()))):
            del sys.modules[name]


@pytest.fixture
def worker_processes(monkeypatch):
    """Studies of this test are trained in worker processes, as those of a user are."""
    from in_process import in_worker_processes

    in_worker_processes(monkeypatch)


@pytest.fixture(scope="session")
def made():
    """Functions that make results: diff_of, floor_of, slice_of, estimate."""
    return SimpleNamespace(diff_of=diff_of, floor_of=floor_of, slice_of=slice_of, estimate=estimate)


@pytest.fixture(scope="session")
def streamed(tmp_path_factory):
    """Results of a study on a small stream in Criteo's format, truly trained, with a time and a group for each test example."""
    from traintwice.data import Criteo
    from traintwice.methods import anti_distillation, ensemble
    from traintwice.nets import Towers
    from traintwice.progressive import Progressive
    from traintwice.recipes import Recipe
    from traintwice.study import Experiment, Store, gather, prepare
    from traintwice.study._worker import train_into

    folder = tmp_path_factory.mktemp("stream")
    rng = np.random.default_rng(0)
    first = rng.integers(0, 20, 2000)
    lines = [
        f"{int(rng.random() < (0.5 if c < 5 else 0.1))}\t" + "\t" * 12 + f"\t{c:08x}" + f"\t{rng.integers(0, 9):08x}" * 25
        for c in first
    ]
    (folder / "train.txt").write_text("\n".join(lines) + "\n")
    base = Recipe(
        network=Towers((8,), embedding=2),
        method=ensemble(2),
        epochs=1,
        batch_size=50,
        fixed=("initialisation",),
        progressive=Progressive(200),
    )
    rows = {
        "plain": base,
        "anti-distilled": base.change(
            method=anti_distillation(2, 0.5, matrix="covariance"), network=Towers((8,), 2, embedding_scale=5)
        ),
    }
    source = Criteo(str(folder / "train.txt"), buckets=32)
    data = source.load()
    test = data.places["test"]
    data = replace(
        data,
        time=np.where(test < 1000, "early", "late"),
        groups={"third": np.where(test % 3 == 0, "a", "b"), "when": test // 1000},
    )
    experiment = Experiment("clicks", source, rows, replicas=3)
    store = Store(folder / "runs")
    prepare(experiment, data, store)
    for recipe in experiment.rows.values():
        for replica in range(3):
            list(train_into(store, recipe, source, data, seed=0, replicas=[replica]))
    return gather(experiment, store, data)


@pytest.fixture
def draw():
    def draw(M=4, N=40, K=3, *, seed=0):
        rng = np.random.default_rng(seed)
        probs = softmax(1.5 * rng.normal(size=(1, N, K)) + rng.normal(size=(M, N, K)), axis=2)
        return probs, rng.integers(0, K, N)

    return draw


@pytest.fixture(scope="session")
def _writing():
    """One database writes the models of all tests: it takes as long to open as a small comparison."""
    from traintwice._database import Session

    session = Session()
    yield session
    session.close()


@pytest.fixture
def write(tmp_path, _writing):
    """Writes models as Parquet, all with ids and labels, a group column and more columns, and returns their paths."""

    def write(models, labels=None, groups=None, ids=None, shuffle=False, start=0, more=None):
        paths = []
        for m, model in enumerate(models):
            columns = {"id": np.arange(len(model)) if ids is None else ids}
            if model.ndim == 2:
                columns |= {f"p_{k}": np.ascontiguousarray(model[:, k]) for k in range(model.shape[1])}
            else:
                columns["pred"] = model
            if labels is not None:
                columns["y"] = labels
            if groups is not None:
                columns["country"] = groups
            columns |= more or {}
            order = np.random.default_rng(m).permutation(len(model)) if shuffle and m else np.arange(len(model))
            columns = {name: column[order] for name, column in columns.items()}
            _writing.connection.register("columns_", columns)
            path = tmp_path / f"m{start + m}.parquet"
            _writing.connection.execute(f"COPY (SELECT * FROM columns_) TO '{path}' (FORMAT parquet)")
            paths.append(path)
        return paths

    return write


def estimate(value, half=0.004, rows=5000):
    return Estimate(value, value - half, value + half, half / 2, 2, rows, target="examples")


def ratio(value, low, high):
    return Estimate(value, low, high, (high - low) / 4, 6, 5000)


def floor_of(verdict="beyond noise", name="churn", title="churn", **changes):
    return replace(
        NoiseFloor(
            name, title, "fraction", 5, 0, 0.0631, 0.059, ratio(1.07, 1.02, 1.13), estimate(0.0041, 0.0023),
            (0.058, 0.06, 0.059, 0.0585, 0.0595), None, None, verdict, 1.5, 0, f"churn is {verdict}",
        ),
        **changes,
    )  # fmt: skip


def slice_of(column, value, churn, q, *, recall=None, **changes):
    """A slice whose churn has this q-value; recall, where given, is (old, new, q)."""
    tests = [SliceTest("churn", 0.059, churn, estimate(churn, 0.02), q, q)]
    if recall is not None:
        old, new, q_of_recall = recall
        tests.append(SliceTest("recall", old, new, estimate(new - old, 0.02), q_of_recall, q_of_recall))
    return replace(
        Slice(column, value, 400, 0.08, estimate(churn, 0.02), estimate(0.017, 0.01), estimate(0.001, 0.01),
              estimate(churn - 0.059, 0.02), tuple(tests), {}),
        **changes,
    )  # fmt: skip


def row_of(id, position, old, new, shown=()):
    return ChangedRow(id, position, old, new, 0.9, 0.1, old, 0.8, 0.5, dict(shown))


ANSWERS = (
    Answer("quality", "better", "fine", "the new model is better", "accuracy 91.20 % → 91.42 % (+0.22 pp, 0.15 to 0.29)"),
    Answer(
        "regressions", "more than retraining causes", "problem", "1.71 % of rows went from right to wrong, 1.3 times the floor",
        "1.71 % of rows right → wrong, 1.3 times the floor (1.1 to 1.5)",
    ),
    Answer("disagreement", "within noise", "fine", "churn is within noise", "churn 6.31 % (6.27 to 6.35)"),
    Answer("slices", "1 of 12 worse", "problem", "country=BR got worse", "country=BR: recall 44 % → 0 %"),
    Answer("operating point", "inconclusive", "inconclusive", "decisions at 0.5: inconclusive", "score ≥ 0.5: 1.92 % of decisions change"),
)  # fmt: skip


def diff_of(*, files=("old.parquet", "new.parquet"), classes=("cat", "dog", "refund"), group="country", values=("BR", "DE"),
            ids=("a17", "b02"), **changes):  # fmt: skip
    """A diff of three classes with everything in it; any field can be given."""
    counts = np.full((len(classes), len(classes)), 20) + np.diag([1500] * len(classes))
    cells = tuple(
        FlowCell(a, b, 20, 0.004) for i, a in enumerate(classes) for j, b in enumerate(classes) if i != j
    )  # fmt: skip
    slices = [slice_of(group, value, 0.098 - 0.03 * i, 0.2 if i else 0.0001) for i, value in enumerate(values)]
    if slices:
        slices[0] = slice_of(group, values[0], 0.098, 0.0001, recall=(0.44, 0.0, 0.0002))
    made = Diff(
        alignment=Summary(
            files, 5000, 4990, "same order", ("3 classes in p_0 … p_2 · id row_id · labels in y",) * len(files), "y", None,
            len(classes), classes, (0,) * len(files),
        ),
        level=0.95,
        effective_rows=None,
        regression=False,
        answers=ANSWERS,
        quality=(
            Quality("accuracy", "accuracy", "fraction", estimate(0.912), estimate(0.9142), estimate(0.0022, 0.0007), 0.001, True),
            Quality("log_loss", "log loss", "number", estimate(0.31), estimate(0.3), estimate(-0.01, 0.002), 0.0001, False),
        ),
        measures=(
            Measured("churn", "churn", "fraction", False, estimate(0.0631)),
            Measured("negative_flips", "negative flips", "fraction", False, estimate(0.0171)),
            Measured("total_variation", "total variation", "number", True, estimate(0.08)),
        ),
        bounds={"lemma_1": 0.17},
        calibration=(Calibration("old", 0.031, 0.012, 0.028), Calibration("new", 0.014, 0.012, 0.006)),
        floors=(
            floor_of(),
            floor_of("inconclusive", "negative_flips", "negative flips", value=0.0171, floor=0.0131, ratio=ratio(1.3, 0.9, 1.7),
                     more_retrains=6),
        ),
        identical=(),
        flow=Flow(classes, tuple(map(tuple, counts.tolist())), cells, len(cells)),
        confidence=tuple(Band(i / 10, (i + 1) / 10, 500, 480, 0.3 * (1 - i / 10), 0.2) for i in range(10)),
        scores=(),
        joint=Joint("confidence", 30, 0.0, 1.0, ((3, 4, 100, 20), (20, 21, 900, 10), (29, 29, 4000, 0))),
        movement=Movement(
            {"0.01": estimate(0.6), "0.1": estimate(0.2)}, {"0.5": 0.02, "0.99": 0.4}, {"mean": 0.031, "0.99": 0.9},
            {"mean": 0.029, "0.99": 0.8},
        ),
        decisions=(Decisions(0.5, estimate(0.4), estimate(0.41), estimate(0.03), estimate(0.02), estimate(0.01), None),),
        swap_sets=(SwapSet(0.1, 500, estimate(0.93), 35, 0.6, 0.4, None),),
        slices=tuple(slices),
        predicted=(slice_of(PREDICTED, classes[-1], 0.142, 0.0001),),
        periods=tuple(slice_of("day", f"2024-0{i + 1}", 0.05 + i / 100, 0.5) for i in range(3)),
        slices_left_out=3,
        min_support=100,
        regressed=tuple(row_of(id, i, classes[0], classes[1], {"amount": "17"}) for i, id in enumerate(ids)),
        regressed_rows=86,
        largest_changes=tuple(row_of(id, i, classes[0], classes[1]) for i, id in enumerate(ids)),
        reviews=(Review(0.01, 50, 0.1), Review(0.05, 250, 0.4), Review(0.1, 500, 0.61)),
        matched=None,
        no_rows=False,
        warnings=(),
        left_out={"delta_label": "needs probabilities"},
        infinite={},
    )  # fmt: skip
    return replace(made, **changes)
