from dataclasses import replace

import pytest

from traintwice.errors import BadInput, TrainingFailed, Undefined
from traintwice.metrics import churn, surrogate_churn
from traintwice.predictions import Predictions
from traintwice.study import Store, prepare, run


def test_a_diverging_replica_does_not_stop_the_others(small, tmp_path):
    diverging = small.override(['rows.ensemble.optimizer={type="SGD", lr=1e15}'])
    results = run(diverging, store=tmp_path / "runs")
    assert results["baseline"].test.replicas == 3
    assert "ensemble" not in results.rows
    assert sorted(results.diverged["ensemble"]) == [0, 1, 2]
    (note,) = [n for n in results.notes() if "diverged" in n]
    assert note.startswith("ensemble: 3 of 3 replicas diverged (replica 0: the logits of")
    with pytest.raises(BadInput, match=r"ensemble: has no results, because its replicas diverged \(replica 0: "):
        results["ensemble"]
    assert note.endswith("too few are left to measure.")
    store = Store(tmp_path / "runs")
    assert not prepare(diverging, diverging.data.load(), store).missing  # it would diverge again


def test_rows_are_compared_on_the_replicas_that_both_have(small, tmp_path):
    results = run(small, store=tmp_path / "runs")
    whole = results["ensemble"]
    few = [0, 2]
    results.rows["ensemble"] = replace(
        whole,
        numbers=tuple(few),
        test=Predictions(whole.test.probs[few], whole.test.labels),
        logits={name: logits[few] for name, logits in whole.logits.items()},
    )
    expected = [(votes[0] != votes[2]).mean() for votes in (r.test.probs.argmax(-1) for r in (whole, results["baseline"]))]
    for rows in (("ensemble", "baseline"), ("baseline", "ensemble")):
        found = {row: m.value for row, m in zip(rows, results.pair(churn, *rows), strict=True)}
        assert [found["ensemble"], found["baseline"]] == pytest.approx(expected)
    matched = results.pair(surrogate_churn, "ensemble", "baseline", matched=True)
    assert matched[0].value == pytest.approx(results.measure(surrogate_churn, "ensemble", matched=True).value)
    assert results.compare(churn)["ensemble"].estimate.value == pytest.approx(expected[0] - expected[1])
    results.rows["ensemble"] = replace(results["ensemble"], numbers=(2, 7))
    with pytest.raises(Undefined, match=r"ensemble and baseline share 1 replicas that did not diverge; a comparison needs 2"):
        results.pair(churn, "ensemble", "baseline")


def test_a_diverging_baseline_is_an_error(small, tmp_path):
    with pytest.raises(
        TrainingFailed, match=r"baseline: \d of 3 replicas diverged .*; a comparison needs at least two replicas of the baseline"
    ):
        run(small.override(['optimizer={type="SGD", lr=1e15}', "epochs=3"]), store=tmp_path / "runs")
