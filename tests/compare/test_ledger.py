"""The ledger: what is appended, what is read back, and the changes of earlier launches as a floor."""

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose

import traintwice
from traintwice.compare._floor import Pairs, noise_floor
from traintwice.compare._ledger import START, append_line, open_ledger
from traintwice.errors import BadInput, StoreError

ROWS = 900


@pytest.fixture
def stream(tmp_path):
    """Compare day 0 with day 1, day 1 with day 2 …, each launch appended to one ledger; the models of some days may change more."""
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=ROWS)
    sure = 2 * np.eye(3)[label] + rng.normal(size=(ROWS, 3))
    ids = np.arange(ROWS)

    def model(day, size=0.3):
        powers = np.exp(sure + size * np.random.default_rng(day + 100).normal(size=sure.shape))
        probs = powers / powers.sum(axis=1, keepdims=True)
        return {"id": ids, **{f"p_{k}": probs[:, k] for k in range(3)}, "y": label}

    def launch(day, size=0.3, **options):
        return traintwice.diff(model(day), model(day + 1, size), ledger=tmp_path / "launches.jsonl", **options)

    launch.model, launch.path = model, tmp_path / "launches.jsonl"
    return launch


def test_a_comparison_is_one_line_with_its_numbers(stream):
    found = stream(0)
    (line,) = stream.path.read_text().splitlines()
    plain = json.loads(line)
    assert plain["numbers"]["churn"]["value"] == found["churn"].value
    assert plain["quality"]["accuracy"]["value"] == found["accuracy"].value
    assert (plain["rows"], plain["outcome"], plain["versions"]["traintwice"]) == (ROWS, None, traintwice.__version__)
    assert plain["old"]["digest"] != plain["new"]["digest"]
    (launch,) = traintwice.history(stream.path).launches
    assert launch.numbers["churn"] == found["churn"]
    assert stream(1).alignment.rows == ROWS
    first, second = traintwice.history(stream.path).launches
    assert (second.old.digest, second.ids) == (first.new.digest, first.ids)


def test_a_gate_is_one_line_with_its_outcome(stream):
    budget = traintwice.Budget("churn", max=0.001)
    result = traintwice.gate(stream.model(0), stream.model(1), [budget], ledger=stream.path)
    (launch,) = traintwice.history(stream.path).launches
    assert (launch.outcome, launch.checks[0].budget, launch.checks[0].max) == ("over", "churn", 0.001)
    assert launch.checks[0].number == result.checks[0].estimate.value


def test_earlier_launches_are_the_floor(stream):
    shares = [stream(day)["churn"].value for day in range(6)]
    usual, unusual = stream(6, floor="ledger"), stream(7, size=1.5, floor="ledger")
    assert usual.floor.floor == pytest.approx(np.mean(shares))
    assert usual.floor.each == pytest.approx(shares)
    logs = np.log(shares)
    from scipy.stats import t

    half = t.ppf(0.975, 5) * logs.std(ddof=1) * np.sqrt(1 + 1 / 6)
    rows = 1.959964 * np.sqrt(sum((e.standard_error * w) ** 2 for e, w in weights_of(stream, usual, 6)))
    assert np.log(usual.floor.ratio.high / usual.floor.ratio.value) == pytest.approx(max(half, rows), rel=1e-6)
    assert usual.floor.verdict == "within noise"
    assert unusual.floor.verdict == "beyond noise"
    by = {a.question: a for a in unusual.answers}
    assert by["disagreement"].verdict == "more than earlier launches changed"
    assert "7 launches" in by["disagreement"].detail
    text = str(unusual)
    assert "floor: what 7 launches of launches.jsonl changed from old to new" in text
    assert "retrain" not in text


def weights_of(stream, found, count):
    """Each share with its derivative in the log of the ratio."""
    past = [launch.numbers["churn"] for launch in traintwice.history(stream.path).launches[:count]]
    total = sum(e.value for e in past)
    return [(found["churn"], 1 / found["churn"].value), *((e, 1 / total) for e in past)]


def test_a_pair_counts_once_and_other_rows_or_kinds_do_not(stream):
    for day in range(4):
        stream(day)
    stream(3)
    again = stream(3, floor="ledger")
    assert again.launches == 3
    assert any("2 launches of a pair of models that is compared again left out" in note for note in again.floor_notes)
    part = [{name: column[:500] for name, column in stream.model(day).items()} for day in (20, 21)]
    other = traintwice.diff(*part, ledger=stream.path, floor="ledger")
    assert other.launches == 0
    assert other.floor is None
    assert any("on other rows (--other-rows takes them)" in note for note in other.floor_notes)
    assert traintwice.diff(*part, ledger=stream.path, floor="ledger", other_rows=True).launches == 4
    without = [{k: v for k, v in stream.model(day).items() if k != "y"} for day in (30, 31)]
    assert traintwice.diff(*without, ledger=stream.path, floor="ledger", other_rows=True).launches == 0
    assert stream(9, floor="ledger", last=2).launches == 2


def test_the_first_launch_of_a_gate_is_inconclusive_and_is_written(stream):
    budgets = [traintwice.Budget("churn", max=2, against="times floor")]
    result = traintwice.gate(stream.model(0), stream.model(1), budgets, ledger=stream.path, floor="ledger")
    assert (result.outcome, len(traintwice.history(stream.path).launches)) == ("inconclusive", 1)
    assert "no earlier launch" in result.checks[0].reason


def test_operating_points_have_floors_of_launches(tmp_path):
    rng = np.random.default_rng(1)
    sure, label = rng.normal(size=800), rng.integers(2, size=800)
    for day in range(5):
        old, new = (1 / (1 + np.exp(-sure - 0.3 * np.random.default_rng(day + k).normal(size=800))) for k in (0, 1))
        options = {"label": label, "thresholds": [0.6], "top_k": [100], "floor": "ledger", "ledger": tmp_path / "l.jsonl"}
        found = traintwice.diff(old, new, **options)
    assert found.decisions[0].floor.retrains == found.swap_sets[0].floor.retrains == 4
    assert {a.question: a for a in found.answers}["operating point"].verdict != "no retrains given"
    # Swapped rows are counted among the 100 of the top, not among all rows.
    floor = found.swap_sets[0].floor
    counts = 100 * np.array([floor.value, *floor.each])
    expected = noise_floor(
        Pairs(4, 0), counts, 100, None, name="", title="", unit="fraction", level=0.95, margin=1.5, units=100
    ).ratio
    assert_allclose([floor.ratio.low, floor.ratio.high], [expected.low, expected.high])


def test_a_line_that_a_killed_run_left_is_recognised_and_kept_apart(stream):
    stream(0)
    whole = stream.path.read_text()
    stream.path.write_text(whole + whole[:200])
    history = traintwice.history(stream.path)
    assert len(history.launches) == 1
    assert "line 2 is incomplete" in history.notes[0]
    stream(1)
    assert len(traintwice.history(stream.path).launches) == 2
    assert stream.path.read_text().startswith(whole + whole[:200] + "\n")


def append_many(path, name):
    for number in range(50):
        append_line(path, f"{START}{name}{number} {'x' * 3000}\n")


def test_writers_append_at_the_same_time(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: append_many(tmp_path / "l", name), "abc"))
    lines = (tmp_path / "l").read_text().splitlines()
    assert sorted(line.removeprefix(START).split()[0] for line in lines) == sorted(f"{w}{n}" for w in "abc" for n in range(50))


def test_what_is_not_a_ledger_is_refused_before_the_work(stream, tmp_path):
    (tmp_path / "notes.txt").write_text("dear diary\n")
    with pytest.raises(BadInput, match=r"notes.txt: line 1 is not of a ledger of format 1"):
        open_ledger(tmp_path / "notes.txt")
    with pytest.raises(BadInput, match="is not a regular file"):
        open_ledger(tmp_path)
    with pytest.raises(BadInput, match="there is no directory"):
        open_ledger(tmp_path / "no" / "l.jsonl")
    with pytest.raises(BadInput, match="needs the file of the ledger"):
        traintwice.diff(stream.model(0), stream.model(1), floor="ledger")
    with pytest.raises(BadInput, match='are for floor="ledger"'):
        traintwice.diff(stream.model(0), stream.model(1), last=3, ledger=stream.path)
    with pytest.raises(BadInput, match="at least 1"):
        stream(0, floor="ledger", last=0)
    with pytest.raises(BadInput, match="no such file; diff and gate write a ledger"):
        traintwice.history(tmp_path / "missing.jsonl")
    assert not stream.path.exists()


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    append_line(tmp_path / "l", f"{START}1\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:7]))
    with pytest.raises(StoreError, match="it is as before"):
        append_line(tmp_path / "l", f"{START}2\n")
    assert (tmp_path / "l").read_text() == f"{START}1\n"


def test_false_alarms_of_launches_are_rare():
    """Chains of models with a shared difficulty: the share of ordinary launches that are beyond noise is at most 5 %."""
    rng, rows, k, beyond = np.random.default_rng(5), 1000, 8, 0
    trials = 400
    for _ in range(trials):
        unstable = rng.random(rows) < 0.15
        size = rng.gamma(20, 1 / 20, size=k + 2)  # days differ in how much their model moves
        votes = [np.where(unstable, rng.random(rows) < 0.3 * s, False) for s in size]
        shares = np.array([(a != b).mean() for a, b in itertools.pairwise(votes)])
        now, past = shares[-1], shares[:-1]
        errors = np.sqrt(np.array([now, *past]) * (1 - np.array([now, *past])) / rows) * rows

        def variance(form, errors=errors):
            return float(np.sum(form**2 * errors**2))

        found = noise_floor(
            Pairs(k, 0), np.array([now, *past]) * rows, rows, variance, name="churn", title="churn", unit="fraction", level=0.95,
            margin=1.5, units=rows,
        )  # fmt: skip
        beyond += found.verdict == "beyond noise"
    assert beyond <= 0.05 * trials
