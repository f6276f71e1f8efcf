from dataclasses import replace

import numpy as np
import pytest

from traintwice import metrics
from traintwice.engine import Execution
from traintwice.predictions import Predictions
from traintwice.study import run, verdict

LABELS = np.random.default_rng(1).integers(0, 10, 1000)


@pytest.fixture(scope="module")
def results(small, tmp_path_factory):
    return run(small, store=tmp_path_factory.mktemp("runs") / "runs", execution=Execution(jobs=1))


def made(results, flips):
    """Rows of 20 replicas: each replica changes a share of the labels at random, and all get the first ones wrong."""
    rng = np.random.default_rng(0)
    rows = {}
    for name, (share, wrong) in flips.items():
        votes = np.repeat(LABELS[None], 20, axis=0)
        votes[:, :wrong] = (votes[:, :wrong] + 1) % 10
        flipped = rng.random(votes.shape) < share
        votes = np.where(flipped, (votes + 1) % 10, votes)
        test = Predictions(np.eye(10)[votes], LABELS)
        rows[name] = replace(results["baseline"], name=name, numbers=tuple(range(20)), test=test)
    return type(results)(results.experiment, results.data, rows)


def test_rows_are_sorted_by_what_is_significant(results):
    found = verdict(
        made(results, {"baseline": (0.1, 0), "calm": (0.02, 0), "wrong": (0.02, 300), "wild": (0.3, 0), "same": (0.1, 0)})
    )
    names = {field: [f.row for f in getattr(found, field)] for field in ("lower", "lower_at_a_price", "higher")}
    assert names == {"lower": ["calm"], "lower_at_a_price": ["wrong"], "higher": ["wild"]}
    assert found.comparisons == 4


def test_differences_are_those_of_the_comparison(results):
    study = made(results, {"baseline": (0.1, 0), "calm": (0.02, 0)})
    (finding,) = verdict(study, level=0.9).lower
    assert finding.churn == study.compare(metrics.churn, level=0.9)["calm"]
    assert finding.accuracy == study.compare(metrics.accuracy, level=0.9)["calm"]
    assert finding.lowers_churn
    assert not finding.loses_accuracy
