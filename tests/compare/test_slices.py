from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice import metrics
from traintwice.compare import benjamini_hochberg, diff, interval
from traintwice.compare._parts import PREDICTED
from traintwice.compare._slices import restless_slices, worse_slices
from traintwice.errors import BadInput
from traintwice.predictions import Predictions
from traintwice.statistics._inference import change_of_share, mcnemar, slice_against_floor


def mid_p(of, x):
    return min(1.0, 2 * min(of.cdf(x) - of.pmf(x) / 2, of.sf(x) + of.pmf(x) / 2))


def every(d):
    return (*d.slices, *d.predicted, *d.periods)


@pytest.mark.parametrize("kind", ["plain", "weighted", "clustered"])
def test_each_slice_is_the_metric_on_its_rows(draw, kind):
    probs, y = draw(6, 300, 3)
    rng = np.random.default_rng(0)
    groups = {"country": np.array(["AT", "BR", "CH"])[np.arange(300) % 3], "kind": np.arange(300) // 150}
    w = rng.random(300) + 0.5 if kind == "weighted" else None
    clusters = rng.integers(0, 40, 300) if kind == "clustered" else None
    by_slice = ["negative_flips", "churn_to_error", "total_variation"]
    d = diff(
        probs[0], probs[1], floor=list(probs[2:]), label=y, weight=w, cluster=clusters, by=groups, min_support=10,
        by_slice=by_slice, level=0.9,
    )  # fmt: skip
    assert [(s.column, s.rows) for s in sorted(d.slices, key=lambda s: (s.column, s.value))] == [
        *[("country", 100)] * 3,
        *[("kind", 150)] * 2,
    ]
    assert {s.column for s in d.predicted} == {PREDICTED}
    assert len(d.predicted) == 3
    for s in every(d):
        of_row = probs[0].argmax(axis=1) if s.column == PREDICTED else groups[s.column]
        inside = of_row.astype(str) == s.value
        known = {"weights": None if w is None else w[inside], "clusters": None if clusters is None else clusters[inside]}
        part = Predictions(probs[:2, inside], y[inside], **known)
        for found, metric in [(s.churn, metrics.churn), *[(s.measures[n], getattr(metrics, n)) for n in by_slice]]:
            expected = interval(metric.measure(part), level=0.9)
            assert_allclose(
                [found.value, found.low, found.high], [expected.value, expected.low, expected.high],
                rtol=1e-6, err_msg=metric.__name__,
            )  # fmt: skip
        alone = diff(
            probs[0, inside], probs[1, inside], label=y[inside], weight=known["weights"], cluster=known["clusters"], level=0.9
        )
        for found, expected in ((s.accuracy_change, alone["accuracy"]), (s.negative_flips, alone["negative_flips"])):
            assert_allclose([found.low, found.high], [expected.low, expected.high], rtol=1e-6)
        assert s.share == pytest.approx(inside.mean() if w is None else w[inside].sum() / w.sum())


def test_excess_of_a_slice_by_its_definition(draw):
    probs, _ = draw(6, 300, 3)
    group = np.arange(300) % 2
    for level in (0.95, 0.8):
        d = diff(probs[0], probs[1], floor=list(probs[2:]), by={"g": group}, min_support=10, level=level)
        votes = probs.argmax(axis=2)
        for s in d.slices:
            inside = group == int(s.value)
            rows = np.array([(votes[0] != v)[inside] for v in votes[1:]], dtype=float)
            z = rows[0] - rows[1:].mean(axis=0)
            of_retrains = rows[1:].mean(axis=1).var(ddof=1) * 1.25
            n = inside.sum()
            half = stats.t.ppf(0.5 + level / 2, n - 1) * np.sqrt(z.var(ddof=1) / n + of_retrains)
            assert_allclose([s.excess.value, s.excess.low, s.excess.high], [z.mean(), z.mean() - half, z.mean() + half])
            assert_allclose(s.tests[0].old, rows[1:].mean())


class TestQuestions:
    @pytest.fixture
    def world(self):
        rng = np.random.default_rng(1)
        y = rng.integers(0, 2, 2000)
        votes = np.where(rng.random((7, 2000)) < 0.1, 1 - y, y)
        group = np.array(["a", "b", "c"])[np.arange(2000) % 3]
        votes[1] = np.where((group == "b") & (rng.random(2000) < 0.3), 1 - y, votes[1])
        return votes, y, group

    def test_without_retrains_churn_is_tested_against_all_other_rows(self, world):
        votes, y, group = world
        d = diff(votes[0], votes[1], label=y, by={"g": group})
        flips = votes[0] != votes[1]
        for s in d.slices:
            inside = group == s.value
            t = s.tests[0]
            expected = mid_p(stats.hypergeom(2000, flips.sum(), inside.sum()), flips[inside].sum())
            assert t.question == "churn"
            assert_allclose([t.old, t.new, t.p_value], [flips[~inside].mean(), flips[inside].mean(), expected], rtol=1e-7)

    def test_with_retrains_churn_is_tested_against_them(self, world):
        votes, y, group = world
        d = diff(votes[0], votes[1], floor=list(votes[2:]), label=y, by={"g": group})
        for s in every(d):
            inside = votes[0].astype(str) == s.value if s.column == PREDICTED else group == s.value
            counts = [int((votes[0] != v)[inside].sum()) for v in votes[1:]]
            assert_allclose(s.tests[0].p_value, slice_against_floor(counts[0], counts[1:]))
            assert_allclose(s.tests[0].old, np.mean(counts[1:]) / inside.sum())

    def test_accuracy_and_recall_are_tested_by_mcnemar(self, world):
        votes, y, group = world
        probs = np.stack([1 - votes, votes], axis=2).astype(float)
        d = diff(probs[0], probs[1], label=y, by={"g": group})
        right = votes == y
        for s in d.slices:
            for t, rows in zip(s.tests[1:], ((group == s.value), (group == s.value) & (y == 1)), strict=True):
                b, c = (right[0] & ~right[1])[rows].sum(), (~right[0] & right[1])[rows].sum()
                low, high = change_of_share(b, c, rows.sum(), 0.95)
                assert_allclose([t.p_value, t.change.low, t.change.high], [mcnemar(b, c, mid=True), low, high])
                assert_allclose([t.old, t.new], [right[0][rows].mean(), right[1][rows].mean()])
            assert [t.question for t in s.tests] == ["churn", "accuracy", "recall"]

    def test_false_discoveries_are_controlled_over_all_slices_and_questions(self, world):
        votes, y, group = world
        d = diff(votes[0], votes[1], label=y, by={"g": group, "h": np.arange(2000) % 5}, min_support=10)
        tests = [t for s in every(d) for t in s.tests]
        assert len(tests) == (3 + 5) * 2 + 2  # rows chosen by the old model's answer are not asked for their accuracy
        assert_allclose([t.q_value for t in tests], benjamini_hochberg([t.p_value for t in tests]))

    def test_the_worst_come_first(self, world):
        votes, y, group = world
        votes = votes.copy()
        votes[1, (group == "c") & (np.arange(2000) % 2 == 0)] ^= 1
        d = diff(votes[0], votes[1], label=y, by={"g": group})
        assert [s.value for s in d.slices] == ["c", "b", "a"]
        assert [bool(s.worse) for s in d.slices] == [True, True, False]
        assert d.slices[0].worse[0].change.value < d.slices[1].worse[0].change.value < 0
        assert worse_slices(d.slices) == list(d.slices[:2])
        assert d.slices[0].q_value == min(t.q_value for t in d.slices[0].tests)

    def test_only_more_churn_than_elsewhere_is_restless(self, world):
        votes, _, group = world
        d = diff(votes[0], votes[1], by={"g": group})
        assert {s.value for s in d.slices if s.tests[0].significant} == {"a", "b", "c"}  # two of them churn less
        assert [s.value for s in restless_slices(d.slices)] == ["b"]

    def test_a_change_of_nothing_has_an_interval(self, world):
        votes, y, group = world
        for cluster in (None, np.arange(2000) // 4):
            d = diff(votes[0], votes[0], label=y, by={"g": group}, cluster=cluster)
            for s in d.slices:
                assert s.accuracy_change.low < 0 < s.accuracy_change.high
                assert s.tests[1].p_value == 1.0


@pytest.mark.parametrize("floor", [False, True])
def test_with_clusters_the_tests_are_t_tests_over_clusters(floor):
    rng = np.random.default_rng(0)
    clusters, group = np.arange(1200) // 10, (np.arange(1200) // 10) % 3
    votes = (rng.random((6, 120)) < 0.15).astype(int).repeat(10, axis=1)
    d = diff(votes[0], votes[1], floor=list(votes[2:]) if floor else (), by={"g": group}, cluster=clusters)
    changed = (votes[0] != votes[1:])[:, ::10].astype(float)  # of each cluster
    for s in d.slices:
        inside = (group == int(s.value))[::10]
        here, rest = changed[0, inside], changed[0, ~inside]
        if floor:
            gap = here.mean() - changed[1:, inside].mean()
            z = changed[0, inside] - changed[1:, inside].mean(axis=0)
            variance = z.var(ddof=1) / 40 + changed[1:, inside].mean(axis=1).var(ddof=1) * 1.25
            expected = 2 * stats.t.sf(abs(gap) / np.sqrt(variance), 3)
        else:
            variance = here.var(ddof=1) / 40
            for g in range(3):  # of the other groups, weighted by their rows
                if g != int(s.value):
                    variance += 0.25 * changed[0, (group == g)[::10]].var(ddof=1) / 40
            expected = 2 * stats.t.sf(abs(here.mean() - rest.mean()) / np.sqrt(variance), 39)
        assert_allclose(s.tests[0].p_value, expected, rtol=1e-6)


@pytest.mark.parametrize("of", ["weight", "cluster"])
@pytest.mark.parametrize("changed", [0, 1])
def test_a_slice_in_which_every_row_changes_or_none_differs_from_others(of, changed):
    old, group, rng = np.zeros(1000, int), (np.arange(1000) >= 900).astype(int), np.random.default_rng(0)
    new = np.where(group == 1, changed, rng.random(1000) < 0.5)
    units = {"weight": rng.random(1000) + 0.5, "cluster": np.arange(1000) // 2}[of]
    found = {s.value: s for s in diff(old, new, by={"g": group}, **{of: units}).slices}
    w = units if of == "weight" else np.ones(1000)
    share = np.average(new != old, weights=w)
    n = w[900:].sum() ** 2 / np.sum(w[900:] ** 2) if of == "weight" else 50
    z = w[:900] * (new[:900] - np.average(new[:900], weights=w[:900])) / w[:900].sum()
    z, rest = (z, w[:900].sum() ** 2 / np.sum(w[:900] ** 2)) if of == "weight" else (z.reshape(-1, 2).sum(axis=1), 450)
    variance = share * (1 - share) / n + rest / (rest - 1) * np.sum(z**2)
    gap = changed - np.average(new[:900], weights=w[:900])
    assert_allclose(found["1"].tests[0].p_value, 2 * stats.t.sf(abs(gap) / np.sqrt(variance), n - 1), rtol=1e-6)
    assert found["1"].moved


def test_rows_in_another_order_give_the_same_slices(draw):
    probs, y = draw(6, 400, 3)
    group = np.array(["a", None, "c", "d"], dtype=object)[np.arange(400) % 4]
    order = np.random.default_rng(0).permutation(400)
    one, other = (
        diff(probs[0, o], probs[1, o], floor=list(probs[2:, o]), label=y[o], by={"g": group[o]}, min_support=10)
        for o in (np.arange(400), order)
    )
    for a, b in zip(sorted(every(one), key=str), sorted(every(other), key=str), strict=True):
        assert (a.column, a.value, a.rows) == (b.column, b.value, b.rows)
        assert_allclose([t.p_value for t in a.tests], [t.p_value for t in b.tests])
        assert_allclose(a.excess.high, b.excess.high)
    assert None in {s.value for s in one.slices}


def test_predicted_classes_and_periods_are_apart(draw, write):
    probs, y = draw(2, 400, 3)
    months = np.array(["2024-01", "2024-02"])[np.arange(400) % 2]
    days = np.array([f"{m}-01" for m in months], dtype="M8[D]").astype(str)
    paths = write(probs, y, np.array(["AT", "BR"], dtype=object)[np.arange(400) // 200], more={"day": days})
    d = diff(*paths, by="country", time="day")
    assert {s.column for s in d.slices} == {"country"}
    assert {s.column for s in d.predicted} == {PREDICTED}
    assert [s.value for s in d.periods] == sorted(s.value for s in d.periods)
    assert len(d.periods) == 2


def test_small_slices_are_counted_and_not_shown():
    group = np.array(["a"] * 190 + ["b"] * 9 + ["c"])
    d = diff(np.zeros(200, int), np.ones(200, int), by={"g": group}, min_support=10)
    assert [s.value for s in d.slices] == ["a"]
    assert [s.value for s in d.predicted] == ["0"]
    assert d.predicted[0].tests[0].p_value == 1.0  # the only predicted class has no other rows
    assert d.slices_left_out == 2


def test_a_slice_of_the_least_number_of_rows_is_shown():
    group = np.array(["a"] * 180 + ["b"] * 10 + ["c"] * 10)
    for least, shown in ((10, ["a", "b", "c"]), (11, ["a"])):
        d = diff(np.zeros(200, int), np.ones(200, int), by={"g": group}, min_support=least)
        assert sorted(s.value for s in d.slices) == shown
        assert d.slices_left_out == 3 - len(shown)


def test_rows_without_a_label_have_no_accuracy(write, draw):
    probs, y = draw(2, 400, 3)
    labels = np.where(np.arange(400) % 2, y.astype(float), np.nan)
    d = diff(*write(probs, labels, np.array(["AT", "BR"], dtype=object)[np.arange(400) % 2]), by="country")
    by_value = {s.value: s for s in d.slices}
    assert (by_value["AT"].accuracy_change, by_value["AT"].negative_flips) == (None, None)
    right = probs[:, 1::2].argmax(axis=2) == y[1::2]
    assert by_value["BR"].accuracy_change.value == pytest.approx(right[1].mean() - right[0].mean())


def test_measures_without_rows_of_their_own_have_no_slices():
    with pytest.raises(BadInput, match="fleiss_kappa"):
        diff(np.zeros(5, int), np.ones(5, int), by_slice=["fleiss_kappa"])


def test_rare_flips_in_many_groups_make_no_discoveries():
    """Fifty groups of 100 rows in which 0.2 % of the labels change, anywhere: a z test finds something in more than half of them."""
    rng = np.random.default_rng(0)
    group, found = np.arange(5000) // 100, 0
    for _ in range(30):
        new = (rng.random(5000) < 0.002).astype(int)
        d = diff(np.zeros(5000, int), new, by={"g": group}, listed=0)
        found += any(t.significant for s in d.slices for t in s.tests)
    assert found / 30 <= 0.1


def test_a_loss_whose_interval_contains_zero_is_not_significant():
    n, lost = 400, np.arange(400) < 5
    d = diff(np.zeros(n, dtype=int), lost.astype(int), label=np.zeros(n, dtype=int), by={"all": np.zeros(n)}, by_position=True)
    (one,) = [s for s in d.slices if s.column == "all"]
    churn, loss = one.tests
    assert loss.p_value < 0.05  # McNemar's mid-p
    assert loss.change.low < loss.change.value < 0 < loss.change.high  # Bonett and Price's interval
    alone = replace(one, tests=(churn, replace(loss, q_value=loss.p_value)))
    assert not alone.tests[1].significant
    assert not alone.worse
