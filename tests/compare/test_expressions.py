"""Every expression gives the same numbers from NumPy and from DuckDB, and those of its definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare._changed_rows import unstable
from traintwice.compare._expressions import (
    IS_LABELLED,
    IS_POSITIVE,
    RowValues,
    changed,
    decided,
    distance,
    grown,
    lost,
    number,
    predicts_positive,
    right,
    score,
)
from traintwice.predictions import open_predictions


def tables(models, labels=None, probs=True):
    n = len(models[0])
    for model in models:
        columns = {"id": np.arange(n)}
        columns |= {f"p_{k}": model[:, k] for k in range(model.shape[1])} if probs else {"x": model}
        if labels is not None:
            columns["y"] = labels
        yield columns


def both_ways(files, expression):
    """The expression of every row in the order of ids, from SQL; NumPy's must be the same."""
    sql = np.array(
        [
            list(record.values())
            for record in files.query(f"SELECT i0, CAST({expression.sql} AS DOUBLE) AS x FROM {{rows}} ORDER BY i0")
        ]
    )
    ids, values = [], []
    for block in files.batches():
        ids.append(block.ids)
        values.append(np.asarray(RowValues(block)(expression), dtype=float))
    ids, values = np.concatenate(ids), np.concatenate(values)
    assert_allclose(values[np.argsort(ids)], sql[:, 1], atol=1e-12)
    return sql[:, 1]


@pytest.fixture(params=[2, 3], ids=["binary", "three classes"])
def case(request, draw):
    probs, y = draw(4, 60, request.param)
    labels = np.where(np.arange(60) % 4, y.astype(float), np.nan)
    with open_predictions(list(tables(probs, labels))) as files:
        yield files, probs, y, np.arange(60) % 4 > 0


def test_truth_values(case):
    files, probs, y, known = case
    votes = probs.argmax(axis=2)
    ok = [known & (votes[m] == y) for m in range(4)]
    for expression, expected in (
        (changed(0, 2), votes[0] != votes[2]),
        (IS_LABELLED, known),
        (right(1), ok[1]),
        (lost(0, 1), ok[0] & ~ok[1]),
        (IS_POSITIVE, known & (y == 1)),
        (predicts_positive(3), votes[3] == 1),
        (changed(0, 1) & right(0), (votes[0] != votes[1]) & ok[0]),
        (right(0).differs(right(1)), ok[0] != ok[1]),
    ):
        assert both_ways(files, expression).astype(bool).tolist() == expected.tolist(), expression.sql


def test_numbers(case):
    files, probs, _, _ = case
    classes = probs.shape[2]
    assert_allclose(both_ways(files, distance(0, 1, classes)), np.abs(probs[0] - probs[1]).sum(axis=1) / 2)
    assert_allclose(both_ways(files, distance(0, 1, None)), (probs[0].argmax(axis=1) != probs[1].argmax(axis=1)).astype(float))
    beyond = both_ways(files, distance(0, 1, classes) > 0.25)
    assert beyond.astype(bool).tolist() == (np.abs(probs[0] - probs[1]).sum(axis=1) / 2 > 0.25).tolist()


@pytest.mark.parametrize("models", [[0], [0, 2, 3]])
def test_instability(case, models):
    files, probs, _, _ = case
    found = both_ways(files, unstable(tuple(models), probs.shape[2]))
    for n in range(60):
        ordered = sorted(probs[models, n].mean(axis=0), reverse=True)
        assert found[n] == pytest.approx(1 - (ordered[0] - ordered[1]))


def test_instability_of_predicted_labels():
    rng = np.random.default_rng(0)
    votes = rng.integers(0, 4, (5, 80))
    with open_predictions([{"id": np.arange(80), "pred": v} for v in votes]) as files:
        found = both_ways(files, unstable((0, 2, 3, 4), None))
    for n in range(80):
        counts = sorted(np.bincount(votes[[0, 2, 3, 4], n], minlength=4), reverse=True)
        assert found[n] == pytest.approx(1 - (counts[0] - counts[1]) / 4)


def test_scores_and_decisions(draw):
    probs, _ = draw(2, 50, 2)
    probs[0, 0] = [0.7, 0.3]
    with open_predictions(list(tables(probs))) as files:
        assert_allclose(both_ways(files, score(1)), probs[1, :, 1])
        decisions = both_ways(files, decided(0, probs[0, 0, 1]))
        assert decisions[0] == 1  # at the threshold
        assert decisions.tolist() == (probs[0, :, 1] >= probs[0, 0, 1]).tolist()


def test_numbers_of_a_regression():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30)), rng.normal(size=30)
    with open_predictions(list(tables(x, y, probs=False)), probs="x", regression=True) as files:
        assert_allclose(both_ways(files, (number(0) - number(1)).size()), np.abs(x[0] - x[1]))
        assert_allclose(both_ways(files, grown()), np.abs(x[1] - y) - np.abs(x[0] - y))


def test_each_expression_is_computed_once(draw):
    from traintwice.predictions import Predictions

    probs, y = draw(2, 30, 2)
    rows = RowValues(Predictions(probs, y))
    assert rows(changed(0, 1)) is rows(changed(0, 1))
