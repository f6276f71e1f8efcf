import numpy as np
import pytest

from traintwice.compare import diff
from traintwice.report.diff.joint import BINS, joint_scores


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def by_definition(old, new, flips, low=0.0, high=1.0):
    counts = {}
    for a, b, flip in zip(old, new, flips, strict=True):
        i, j = (min(int((x - low) / (high - low) * BINS), BINS - 1) for x in (a, b))
        rows, changed = counts.get((i, j), (0, 0))
        counts[i, j] = rows + 1, changed + bool(flip)
    return tuple((i, j, *counts[i, j]) for i, j in sorted(counts))


def test_scores_of_a_binary_model(rng):
    old, new = rng.random((2, 500))
    found = joint_scores(old, new)
    assert (found.kind, found.low, found.high) == ("score", 0.0, 1.0)
    assert found.cells == by_definition(old, new, (old > 0.5) != (new > 0.5))


def test_confidence_of_several_classes(rng):
    old, new = rng.dirichlet(np.ones(4), (2, 400))
    gamma = [np.sort(p, axis=1)[:, -1] - np.sort(p, axis=1)[:, -2] for p in (old, new)]
    found = joint_scores(old, new)
    assert found.kind == "confidence"
    assert found.cells == by_definition(*gamma, old.argmax(1) != new.argmax(1))
    assert sum(c[3] for c in found.cells) / 400 == diff(old, new)["churn"].value


def test_numbers_of_a_regression_span_their_range(rng):
    old, new = rng.normal(size=(2, 300))
    found = joint_scores(old, new, regression=True)
    assert (found.low, found.high) == (min(old.min(), new.min()), max(old.max(), new.max()))
    assert found.cells == by_definition(old, new, np.zeros(300), found.low, found.high)
    assert joint_scores(np.ones(3), np.ones(3), regression=True).cells == ((BINS // 2, BINS // 2, 3, 0),)


def test_labels_alone_have_no_picture():
    assert joint_scores(np.array([0, 1, 2]), np.array([0, 1, 1])) is None


def test_files_in_another_order_count_the_same(rng, tmp_path):
    old, new = rng.random((2, 50))
    order = rng.permutation(50)
    for name, values, at in (("old.csv", old, range(50)), ("new.csv", new, order)):
        (tmp_path / name).write_text(
            "id,score\n" + "".join(f"{i},{values[i]!r}\n".replace("np.float64(", "").replace(")", "") for i in at)
        )
    assert joint_scores(tmp_path / "old.csv", tmp_path / "new.csv").cells == joint_scores(old, new).cells
    waived = joint_scores(tmp_path / "old.csv", tmp_path / "new.csv", waive=["3"])
    assert sum(c[2] for c in waived.cells) == 49
