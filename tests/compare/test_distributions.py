import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.compare import diff, instability
from traintwice.compare._distributions import JOINT_BINS, FlowCounts, JointCounts, RankCounts, Reviews, TopSets
from traintwice.compare._expressions import Expression, RowValues
from traintwice.metrics import auc
from traintwice.predictions import Predictions


class TestFlow:
    def test_counts_every_pair_of_classes(self, draw):
        probs, _ = draw(2, 600, 3)
        found = diff(probs[0], probs[1]).flow
        old, new = probs.argmax(axis=2)
        for a in range(3):
            for b in range(3):
                assert found.counts[a][b] == ((old == a) & (new == b)).sum()
        assert [c.rows for c in found.cells] == sorted((c.rows for c in found.cells), reverse=True)
        assert all(c.share == c.rows / 600 and c.old != c.new for c in found.cells)
        assert found.changed_cells == len(found.cells) == 6
        assert found.classes == ("0", "1", "2")

    def test_of_many_classes_keeps_the_largest_cells(self):
        rng = np.random.default_rng(0)
        old, new = rng.integers(0, 40, (2, 2000))
        found = diff(old, new).flow
        assert (found.counts, found.classes) == (None, ())
        counts = {(a, b): ((old == a) & (new == b)).sum() for a in range(40) for b in range(40) if a != b}
        assert found.changed_cells == sum(n > 0 for n in counts.values())
        assert [c.rows for c in found.cells] == sorted(counts.values(), reverse=True)[:20]
        assert all(counts[int(c.old), int(c.new)] == c.rows for c in found.cells)

    def test_blocks_add(self):
        votes = np.random.default_rng(0).integers(0, 5, (2, 100))
        whole, parts = FlowCounts(5, None), FlowCounts(5, None)
        whole.add(RowValues(Predictions(votes)))
        for i in range(0, 100, 7):
            parts.add(RowValues(Predictions(votes[:, i : i + 7])))
        assert whole.result() == parts.result()

    @pytest.mark.parametrize(
        ("classes", "names", "counts"),
        [(3, ("a", "b", "c"), ((0, 1, 0), (0, 0, 0), (0, 0, 0))), (None, None, ((0, 1), (0, 0)))],
    )
    def test_classes_that_nobody_predicts_are_in_the_matrix(self, classes, names, counts):
        flow = FlowCounts(classes, names)
        flow.add(RowValues(Predictions(np.array([[0], [1]]))))
        found = flow.result()
        assert (found.classes, found.counts) == (names or ("0", "1"), counts)


class TestBands:
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("kind", ["confidence", "scores"])
    def test_by_their_definition(self, draw, kind, weighted):
        probs, _ = draw(2, 600, 2 if kind == "scores" else 3)
        probs[:, 0] = [0.5, 0.5] if kind == "scores" else [0.3, 0.6, 0.1]  # on an edge: of the band below it
        w = np.random.default_rng(0).random(600) + 0.2 if weighted else np.ones(600)
        d = diff(probs[0], probs[1], weight=w if weighted else None)
        changed = probs[0].argmax(axis=1) != probs[1].argmax(axis=1)
        distance = np.abs(probs[0] - probs[1]).sum(axis=1) / 2
        ordered = np.sort(probs, axis=2)
        numbers = probs[:, :, 1] if kind == "scores" else ordered[..., -1] - ordered[..., -2]
        bands = getattr(d, kind)
        assert [round(b.high, 9) for b in bands] == [round((i + 1) / len(bands), 9) for i in range(len(bands))]
        for band in bands:
            inside = (numbers[0] > band.low) & (numbers[0] <= band.high) | (band.low == 0) & (numbers[0] == 0)
            assert band.rows == inside.sum()
            assert band.new_rows == ((numbers[1] > band.low) & (numbers[1] <= band.high)).sum()
            if band.rows:
                expected = [np.average(x[inside], weights=w[inside]) for x in (changed, distance)]
                assert_allclose([band.churn, band.distance], expected)
            else:
                assert (band.churn, band.distance) == (None, None)

    def test_only_of_what_has_them(self, draw):
        probs, _ = draw(2, 50, 3)
        assert diff(probs[0], probs[1]).scores == ()
        assert diff(probs[0].argmax(axis=1), probs[1].argmax(axis=1)).confidence == ()


class TestJoint:
    def test_of_scores_counts_squares(self, draw):
        probs, _ = draw(2, 500, 2)
        probs[0, 0] = probs[1, 1] = [0, 1]  # the end of the range
        found = diff(probs[0], probs[1]).joint
        assert (found.kind, found.bins, found.low, found.high) == ("score", 30, 0.0, 1.0)
        s = probs[:, :, 1]
        places = np.minimum(np.floor(s * 30), 29).astype(int)
        changed = probs[0].argmax(axis=1) != probs[1].argmax(axis=1)
        assert sum(c[2] for c in found.cells) == 500
        for a, b, rows, flips in found.cells:
            inside = (places[0] == a) & (places[1] == b)
            assert (rows, flips) == (inside.sum(), changed[inside].sum())

    def test_of_more_classes_is_of_confidence(self, draw):
        probs, _ = draw(2, 500, 3)
        found = diff(probs[0], probs[1]).joint
        ordered = np.sort(probs, axis=2)
        margin = ordered[..., -1] - ordered[..., -2]
        assert found.kind == "confidence"
        expected = np.histogram2d(margin[0], margin[1], bins=30, range=[[0, 1], [0, 1]])[0]
        got = np.zeros((30, 30))
        for a, b, rows, _ in found.cells:
            got[a, b] = rows
        assert np.abs(got - expected).sum() <= 2  # but for rounding at an edge

    @pytest.mark.parametrize("order", ["as drawn", "growing", "shrinking"])
    def test_of_numbers_grows_its_range_and_loses_no_row(self, order):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(2, 4000)) * np.exp(rng.normal(size=4000) * 2)
        size = np.abs(x).max(axis=0)
        x = x[:, {"as drawn": slice(None), "growing": np.argsort(size), "shrinking": np.argsort(-size)}[order]]
        joint = JointCounts("number")
        for i in range(0, 4000, 100):
            joint.add(RowValues(Predictions.from_scores(x[:, i : i + 100])))
        found = joint.result()
        assert sum(c[2] for c in found.cells) == 4000
        assert found.low <= x.min() < x.max() <= found.high
        assert found.high - found.low <= 4 * np.ptp(x) or order != "shrinking"
        width = (found.high - found.low) / JOINT_BINS
        for a, b, rows, flips in found.cells:
            inside = [(np.clip(np.floor((v - found.low) / width), 0, 29) == place) for v, place in zip(x, (a, b), strict=True)]
            assert abs(rows - (inside[0] & inside[1]).sum()) <= 1  # a number at an edge may round either way
            assert flips == 0

    def test_of_numbers_that_are_all_equal(self):
        joint = JointCounts("number")
        joint.add(RowValues(Predictions.from_scores(np.full((2, 5), 7.0))))
        found = joint.result()
        assert [c[2] for c in found.cells] == [5]
        assert found.low < 7 < found.high


class TestMovement:
    @pytest.mark.parametrize("weighted", [False, True])
    def test_shares_beyond_and_quantiles(self, draw, weighted):
        probs, _ = draw(2, 5000, 3)
        w = np.random.default_rng(0).random(5000) + 0.2 if weighted else None
        found = diff(probs[0], probs[1], weight=w, listed=0).movement
        far = np.abs(probs[0] - probs[1]).sum(axis=1) / 2
        for tolerance, e in found.beyond.items():
            assert_allclose(e.value, np.average(far > float(tolerance), weights=w))
            assert e.low < e.value < e.high
        assert set(found.beyond) == {"0.01", "0.05", "0.1", "0.2"}
        kl = {
            "kl_old_new": stats.entropy(probs[0], probs[1], axis=1),
            "kl_new_old": stats.entropy(probs[1], probs[0], axis=1),
        }
        for share, value in found.quantiles.items():
            assert abs(value - self.quantile(far, w, float(share))) <= 1 / 4096
        for name, values in kl.items():
            of = getattr(found, name)
            assert_allclose(of["mean"], np.average(values, weights=w))
            for share in found.quantiles:
                assert of[share] == pytest.approx(self.quantile(values, w, float(share)), rel=1 / 200)

    @staticmethod
    def quantile(values, w, share):
        if w is None:
            return np.quantile(values, share, method="inverted_cdf")
        return np.quantile(values, share, method="inverted_cdf", weights=w)

    def test_an_infinite_divergence_is_infinite_and_nothing_is_zero(self):
        old = np.array([[0.5, 0.5], [0.3, 0.7], [1.0, 0.0]])
        new = np.array([[1.0, 0.0], [0.3, 0.7], [1.0, 0.0]])
        found = diff(old, new).movement
        assert found.kl_old_new["mean"] == found.kl_old_new["0.9"] == math.inf
        assert_allclose(found.kl_new_old["mean"], math.log(2) / 3)
        assert (found.kl_old_new["0.5"], found.quantiles["0.5"], found.quantiles["0.99"]) == (0.0, 0.0, 0.5)


class TestSwapSets:
    def test_by_their_definition(self, draw):
        probs, y = draw(2, 90_000, 2)
        probs = np.round(probs, 3)  # many ties, over several blocks
        probs[:, :, 0] = 1 - probs[:, :, 1]
        for found in diff(probs[0], probs[1], label=y, top_k=[100, 0.01], listed=0).swap_sets:
            k = 100 if found.asked == 100 else 900
            old, new = (set(np.argsort(-p, kind="stable")[:k].tolist()) for p in probs[:, :, 1])
            assert (found.rows, found.swapped) == (k, len(new - old))
            assert_allclose(found.overlap.value, len(new & old) / k)
            expected = stats.binomtest(len(new & old), k).proportion_ci(0.95, method="wilson")
            assert_allclose([found.overlap.low, found.overlap.high], [expected.low, expected.high])
            assert_allclose(found.entered_positive, y[list(new - old)].mean())
            assert_allclose(found.left_positive, y[list(old - new)].mean())

    def test_the_same_model_swaps_nothing(self, draw):
        probs, _ = draw(1, 50, 2)
        (found,) = diff(probs[0], probs[0], top_k=[1000]).swap_sets
        assert (found.rows, found.overlap.value, found.swapped, found.entered_positive) == (50, 1.0, 0, None)

    def test_ties_at_the_last_row_are_named(self):
        old, new = np.array([0.9, 0.8, 0.8, 0.1, 0.1]), np.full(5, 0.4)
        for k in range(1, 6):
            tied = [name for name, score in (("old", np.sort(old)[::-1]), ("new", new)) if k < 5 and score[k - 1] == score[k]]
            said = [w for w in diff(old, new, top_k=[k]).warnings if "order of the rows" in w]
            assert [w.split(":")[0] for w in said] == [
                f"the order of the rows decides on the top {k} of the {name} model" for name in tied
            ]

    def test_rows_without_a_label_are_no_part_of_the_share(self):
        top = TopSets([2], 4, 2)
        scores = np.array([[0.9, 0.8, 0.1, 0.2], [0.1, 0.2, 0.9, 0.8]])
        probs = np.stack([1 - scores, scores], axis=2)
        top.add(RowValues(Predictions(probs[:, :3], np.array([1, 0, 1]))))
        top.add(RowValues(Predictions(probs[:, 3:])))
        assert top.swapped(2, 0, 1) == (2, 1.0, 0.5)


def test_decisions_by_their_definition(draw):
    probs, _ = draw(2, 500, 2)
    probs[0, 0] = [0.7, 0.3]
    old, new = probs[:, :, 1]
    for found in diff(probs[0], probs[1], thresholds=[probs[0, 0, 1], 0.7]).decisions:
        before, after = old >= found.threshold, new >= found.threshold
        assert_allclose([found.old_positive.value, found.new_positive.value], [before.mean(), after.mean()])
        assert_allclose([found.to_positive.value, found.to_negative.value], [(~before & after).mean(), (before & ~after).mean()])
        count = int((before != after).sum())
        expected = stats.binomtest(count, 500).proportion_ci(0.95, method="wilson")
        assert_allclose([found.changed.low, found.changed.high], [expected.low, expected.high])
        expected = stats.binomtest(int(before.sum()), 500).proportion_ci(0.95, method="wilson")
        assert_allclose([found.old_positive.low, found.old_positive.high], [expected.low, expected.high])


def test_more_classes_have_no_thresholds(draw):
    probs, _ = draw(2, 50, 3)
    d = diff(probs[0], probs[1], thresholds=[0.5], top_k=[5])
    assert d.decisions == d.swap_sets == ()
    assert {"thresholds", "top_k"} <= set(d.left_out)


class TestReviews:
    @pytest.mark.parametrize("retrains", [0, 3])
    def test_share_of_flips_among_the_least_stable_rows(self, draw, retrains):
        probs, _ = draw(2 + retrains, 3000, 3)
        d = diff(probs[0], probs[1], floor=list(probs[2:]))
        changed = probs[0].argmax(axis=1) != probs[1].argmax(axis=1)
        least_stable = np.argsort(-instability(probs[[0, *range(2, 2 + retrains)]]))
        for review in d.reviews:
            assert review.rows == round(review.share * 3000)
            assert_allclose(review.caught, changed[least_stable[: review.rows]].sum() / changed.sum(), atol=0.005)

    def test_ties_catch_their_expectation(self):
        votes = np.array([[0] * 100, [1] * 50 + [0] * 50, [0] * 100])
        (review, *_) = diff(votes[0], votes[1], floor=[votes[2]]).reviews
        assert (review.rows, review.caught) == (1, 0.01)

    @pytest.mark.parametrize(("apart", "caught"), [(1, 1.0), (1 / 2, 0.5)])
    def test_scores_closer_than_a_65_536th_count_as_equal(self, apart, caught):
        scores = (1000.25 + apart * np.arange(100)) / 65_536
        reviews = Reviews(Expression("s", lambda rows: scores, is_truth=False))
        reviews.add(RowValues(Predictions(np.stack([np.zeros(100, int), scores == scores.max()]))))
        (review, *_) = reviews.result()
        assert (review.rows, review.caught) == (1, caught)

    def test_reasons_for_none(self, draw):
        probs, _ = draw(2, 30, 3)
        assert diff(probs[0], probs[0]).left_out["reviews"] == "no label changed"
        assert "do not say how close" in diff(probs[0].argmax(1), probs[1].argmax(1)).left_out["reviews"]


def test_ranks_give_the_auc():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    scores = np.round(np.clip(0.2 * y + rng.random((2, 300)) * 0.8, 0, 1) * 4096) / 4096
    probs = np.stack([1 - scores, scores], axis=2)
    ranks = RankCounts()
    ranks.add(RowValues(Predictions(probs[:, :250], y[:250])))
    ranks.add(RowValues(Predictions(probs[:, 250:])))
    for m in (0, 1):
        assert_allclose(ranks.auc(m), auc(probs[m : m + 1, :250], y[:250]))
    assert RankCounts().auc(0) is None
