import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice import metrics
from traintwice.compare import benjamini_hochberg, diff, interval
from traintwice.compare.results import PREDICTED
from traintwice.errors import BadInput
from traintwice.predictions import Predictions


def test_adjusted_p_values_are_scipys():
    p = np.random.default_rng(0).random(20) ** 2
    assert_allclose(benjamini_hochberg(list(p)), stats.false_discovery_control(p))


@pytest.mark.parametrize("weighted", [False, True])
def test_each_slice_is_the_metric_on_its_rows(draw, weighted):
    probs, y = draw(6, 300, 3)
    groups = {"country": np.array(["AT", "BR", "CH"])[np.arange(300) % 3], "kind": np.arange(300) // 150}
    w = np.linspace(0.5, 2, 300) if weighted else None
    by_slice = ["negative_flips", "churn_to_error", "total_variation"]
    d = diff(probs[0], probs[1], floor=list(probs[2:]), label=y, weight=w, by=groups, min_support=10, by_slice=by_slice)
    assert {s.column for s in d.slices} == {"country", "kind", PREDICTED}
    assert len(d.slices) == 8
    for s in d.slices:
        of_row = probs[0].argmax(axis=1) if s.column == PREDICTED else groups[s.column]
        inside = of_row.astype(str) == s.value
        part = Predictions(probs[:2, inside], y[inside], None if w is None else w[inside])
        for found, metric in [(s.churn, metrics.churn), *[(s.measures[n], getattr(metrics, n)) for n in by_slice]]:
            expected = interval(metric.measure(part))
            assert_allclose([found.value, found.low], [expected.value, expected.low], err_msg=metric.__name__)
        whole = diff(probs[0, inside], probs[1, inside], floor=list(probs[2:, inside]), label=part.labels, weight=part.weights)
        assert_allclose(s.excess.high, whole.floor.excess.high)
        assert_allclose(s.accuracy_change.low, whole["accuracy"].low)
        assert s.rows == inside.sum()
        assert_allclose(s.share, inside.mean() if w is None else w[inside].sum() / w.sum())
    assert [s.q_value for s in d.slices] == sorted(s.q_value for s in d.slices)
    assert_allclose(sorted(benjamini_hochberg([s.p_value for s in d.slices])), [s.q_value for s in d.slices])


def test_without_retrains_a_slice_is_held_against_all_other_rows():
    rng = np.random.default_rng(1)
    group = np.array(["a", "b"])[(np.arange(2000) % 4 == 0).astype(int)]
    old = np.zeros(2000, dtype=int)
    new = (rng.random(2000) < np.where(group == "b", 0.2, 0.05)).astype(int)
    d = diff(old, new, by={"g": group})
    table = [[((group == g) & (new == c)).sum() for c in (0, 1)] for g in ("a", "b")]
    expected = stats.chi2_contingency(table, correction=False).pvalue
    for s in d.slices:
        if s.column == "g":
            assert_allclose(s.p_value, expected)
        else:
            assert s.p_value == 1.0  # the only predicted class has no other rows


def test_small_slices_are_counted_and_not_shown():
    group = np.array(["a"] * 190 + ["b"] * 9 + ["c"])
    d = diff(np.zeros(200, int), np.ones(200, int), by={"g": group}, min_support=10)
    assert {s.value for s in d.slices} == {"a", "0"}
    assert d.slices_left_out == 2


def test_measures_without_rows_of_their_own_have_no_slices():
    with pytest.raises(BadInput, match="fleiss_kappa has no value by slice"):
        diff(np.zeros(5, int), np.ones(5, int), by_slice=["fleiss_kappa"])
