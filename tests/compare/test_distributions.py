import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.compare import diff
from traintwice.compare._distributions import (
    JOINT_BINS,
    FlowCounts,
    JointCounts,
)


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

    def test_blocks_and_counts_add(self):
        rng = np.random.default_rng(0)
        old, new = rng.integers(0, 5, (2, 100))
        whole, parts, counted = FlowCounts(), FlowCounts(), FlowCounts()
        whole.add(old, new)
        for i in range(0, 100, 7):
            parts.add(old[i : i + 7], new[i : i + 7])
        pairs, counts = np.unique(np.stack([old, new]), axis=1, return_counts=True)
        counted.add(pairs[0], pairs[1], counts.astype(float))
        assert whole.result(5, None) == parts.result(5, None) == counted.result(5, None)

    def test_classes_that_nobody_predicts_are_in_the_matrix(self):
        flow = FlowCounts()
        flow.add(np.array([0]), np.array([1]))
        assert flow.result(3, ["a", "b", "c"]).counts == ((0, 1, 0), (0, 0, 0), (0, 0, 0))
        assert flow.result(None, None).classes == ("0", "1")


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
            joint.add(x[0, i : i + 100], x[1, i : i + 100], None)
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
        joint.add(np.full(5, 7.0), np.full(5, 7.0), None)
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
