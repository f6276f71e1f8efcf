"""Sums that DuckDB makes give exactly what a pass over the rows gives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import diff
from traintwice.compare._summed import NOT_COUNTED
from traintwice.errors import BadInput

COUNTED = {"churn", "negative_flips", "positive_flips", "lateral_flips", "win_loss_ratio", "churn_correct", "total_variation"}


def same(a, b, at=""):
    """Two results as JSON, equal but for rounding."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), at
        for key in a:
            same(a[key], b[key], f"{at}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), at
        for n, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{at}[{n}]")
    elif isinstance(a, float) or isinstance(b, float):
        assert_allclose(a, b, rtol=1e-6, atol=1e-9, err_msg=at)
    else:
        assert a == b, at


def left_to_sql(d):
    return d.left_out.get("largest_changes") == NOT_COUNTED


@pytest.mark.parametrize("kind", ["binary", "binary without thresholds", "votes"])
@pytest.mark.parametrize("labelled", ["all", "some", "none"])
@pytest.mark.parametrize("clustered", [False, True])
def test_every_number_is_the_same(draw, write, kind, labelled, clustered):
    binary = kind != "votes"
    probs, y = draw(2, 500, 2 if binary else 4)
    given = probs if binary else probs.argmax(axis=2)
    labels = {"all": y, "some": np.where(np.arange(500) % 3, y, np.nan), "none": None}[labelled]
    country = np.array(["AT", None, "BR"], dtype=object)[np.arange(500) % 3]
    user = np.random.default_rng(0).integers(0, 60, 500)
    paths = write(given, labels, country, shuffle=True, more={"user": user, "segment": np.arange(500) // 250})
    options = {"by": ["country", "segment"], "min_support": 20, "cluster": "user" if clustered else None}
    if binary:
        options |= {"thresholds": np.array([0.3, 0.7] if kind == "binary" else []), "which": ["log_loss"]}
    counted, streamed = (diff(*paths, details=details, **options) for details in (False, True))
    assert left_to_sql(counted)
    assert not left_to_sql(streamed)
    a, b = counted.to_dict(), streamed.to_dict()
    for part in ("flow", "slices", "predicted", "slices_left_out", "decisions", "alignment", "regressed_rows", "identical"):
        same(a[part], b[part], part)
    for m in counted.measures:
        same(m.estimate.to_dict(), streamed[m.name].to_dict(), m.name)
    expected = {"churn"} | ({"total_variation"} if binary else set()) | (COUNTED if labels is not None else set())
    assert expected - ({"total_variation"} if not binary else set()) <= {m.name for m in counted.measures}
    by_name = {q.name: q for q in streamed.quality}
    assert {q.name for q in counted.quality} >= (set() if labels is None else {"accuracy"}) | (
        {"log_loss"} if binary and labels is not None else set()
    )
    for q in counted.quality:
        for side in ("old", "new", "change"):
            same(getattr(q, side).to_dict(), getattr(by_name[q.name], side).to_dict(), q.name)
        same(q.p_value, by_name[q.name].p_value, q.name)
    same(counted.bounds.get("lemma_1"), streamed.bounds.get("lemma_1"))
    questions = ("quality", "regressions", "disagreement", "slices", "operating point")
    verdicts = [{x.question: x.verdict for x in d.answers} for d in (counted, streamed)]
    for question in questions[1:]:
        assert verdicts[0].get(question) == verdicts[1].get(question)


@pytest.mark.parametrize("details", [True, False])
def test_a_score_of_a_threshold_reaches_it_in_single_precision(details):
    scores = np.array([0.7, 0.1, 0.05, 0.6999999])
    old, new = ({"id": np.arange(4), "p": p} for p in (scores, scores.astype(np.float32)))
    for threshold, positive in ((0.7, 1), (0.1, 3), (0.05, 4)):
        (found,) = diff(old, new, thresholds=[threshold], details=details).decisions
        assert (found.old_positive.value, found.new_positive.value, found.changed.value) == (positive / 4, positive / 4, 0)


def test_what_is_left_out_is_named_and_none_of_it_is_there(draw, write):
    probs, y = draw(2, 300, 2)
    d = diff(*write(probs, y), details=False)
    for name in ("confidence", "scores", "regressed", "largest_changes", "reviews"):
        assert getattr(d, name) == ()
        assert "details=True" in d.left_out[name]
    for name in ("joint", "movement"):
        assert getattr(d, name) is None
    with pytest.raises(KeyError, match="--details"):
        d["surrogate_churn"]
    assert "--also log_loss" in d.left_out["log_loss"]


@pytest.mark.parametrize("kind", ["binary", "votes"])
def test_copies_are_named(draw, write, kind):
    probs, y = draw(1, 200, 2)
    model = probs[0] if kind == "binary" else probs[0].argmax(axis=1)
    paths = write([model, model], y)
    d = diff(*paths, details=False)
    assert d.identical == ((d.old, d.new),)
    assert d["churn"].high == pytest.approx(1 - 0.025 ** (1 / 200))
    assert diff(*write([model, model[::-1]], y, start=2), details=False).identical == ()


@pytest.mark.parametrize(
    "options",
    [
        {"which": ["hellinger"]},
        {"rank": True},
        {"temperature_matched": True},
        {"top_k": [5]},
        {"waive": ["1"]},
        {"by": "country", "by_slice": ["log_loss"]},
        {"show": ["country"]},
        {"weight": "w"},
    ],
    ids=str,
)
def test_what_needs_the_rows_is_not_left_to_duckdb(draw, write, options):
    probs, y = draw(2, 60, 2)
    country = np.array(["AT", "BR"], dtype=object)[np.arange(60) % 2]
    paths = write(probs, y, country, more={"w": 1 + np.arange(60.0) // 20})
    assert not left_to_sql(diff(*paths, details=False, **options))


def test_nor_are_arrays_more_classes_retrains_and_regressions(draw, write):
    probs, y = draw(3, 60, 3)
    paths = write(probs, y)
    assert not left_to_sql(diff(*paths[:2], details=False))
    assert not left_to_sql(diff(probs[0], probs[1], details=False))
    binary = write(draw(3, 60, 2)[0], y % 2, start=5)
    assert not left_to_sql(diff(binary[0], binary[1], floor=binary[2:], details=False))
    assert left_to_sql(diff(binary[0], binary[1], details=False))
    assert not left_to_sql(diff(binary[0], binary[1]))  # few rows


def test_very_many_rows_are(draw, write, monkeypatch):
    monkeypatch.setattr("traintwice.compare._diff.FROM_ROWS", 60)
    paths = write(draw(2, 60, 2)[0])
    assert left_to_sql(diff(*paths))
    assert not left_to_sql(diff(*paths, details=True))


def test_an_infinite_loss_is_said(write):
    probs = np.array([[[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]], [[0.6, 0.4], [1.0, 0.0], [0.7, 0.3]]])
    paths = write(probs, np.array([0, 1, 0]))
    d = diff(*paths, details=False, which=["log_loss"])
    assert left_to_sql(d)
    assert d.infinite["log_loss"] == "in 1 row of the new model"
    (loss,) = (q for q in d.quality if q.name == "log_loss")
    assert (loss.new.value, loss.change.value, loss.p_value) == (np.inf, np.inf, None)
    assert np.isfinite(loss.old.high)
    assert np.isnan(loss.new.low)


def test_no_common_rows_are_refused():
    tables = [{"id": np.arange(3) + 10 * m, "p": np.array([0.1, 0.5, 0.9])} for m in range(2)]
    with pytest.raises(BadInput):
        diff(*tables, details=False, on_missing="drop")
