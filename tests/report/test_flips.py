import base64

import numpy as np
import pytest

from traintwice import metrics
from traintwice.errors import BadInput
from traintwice.report._page import most_flipping, png, to_bytes


def test_order_is_by_churn_over_all_recipes(study):
    results = study({"baseline": 0.3, "other": 0.1}, examples=60)
    churn = np.zeros(60)
    for row in results.rows:
        votes = np.asarray(results[row].test.votes)
        pairs = [(a, b) for a in range(6) for b in range(a)]
        churn += [np.mean([votes[a, n] != votes[b, n] for a, b in pairs]) for n in range(60)]
    found = [churn[flip.index] for flip in most_flipping(results, ["baseline"], 10)]
    assert np.allclose(found, sorted(churn, reverse=True)[:10])


def test_votes_are_counted_and_named(study):
    votes = np.zeros((4, 3), dtype=int)
    votes[:, 1] = [2, 1, 2, 2]
    results = study({"baseline": votes}, replicas=4, examples=3)
    (flip,) = most_flipping(results, ["baseline"])
    right = int(results.data.test.labels[1])
    assert flip.index == 1
    assert flip.label == ("ant", "bee", "cat")[right]
    assert flip.votes == (("baseline", (("cat", 3, right == 2), ("bee", 1, right == 1))),)


def test_nothing_flips(study):
    assert most_flipping(study({"baseline": "constant"}), ["baseline"]) == []


def test_pictures_are_the_inputs(decode, study):
    results = study({"baseline": 0.3}, pixels=(2, 3))
    inputs = results.data.test.inputs
    for flip in most_flipping(results, ["baseline"], 3):
        head, _, content = flip.picture.partition(",")
        assert head == "data:image/png;base64"
        pixels = decode(base64.b64decode(content))[..., 0]
        assert np.array_equal(pixels, to_bytes(inputs[flip.index].reshape(2, 3), inputs.min(), inputs.max()))
        assert flip.values == ""


def test_without_pixels_values_are_shown(study):
    results = study({"baseline": 0.3})
    flip = most_flipping(results, ["baseline"], 1)[0]
    assert flip.picture == ""
    assert [float(v) for v in flip.values.split(", ")] == [float(f"{v:.3g}") for v in results.data.test.inputs[flip.index]]
    assert metrics.churn.values(results["baseline"].test)[:, flip.index].any()


def test_rows_of_a_table_are_shown_by_name(streamed):
    flip = most_flipping(streamed, ["plain"], 1)[0]
    row = streamed.data.test.rows(np.array([flip.index]))[0]
    assert flip.values.startswith(f"C1 #{row[13]:.0f}, C2 #{row[14]:.0f}, ")
    assert flip.values.endswith("(39 values)")


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (4, 7, 1), (6, 2, 3)])
def test_decodes_to_the_same_pixels(decode, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert np.array_equal(decode(png(pixels)).reshape(shape), pixels)


def test_scaling():
    assert to_bytes(np.array([-1.0, 0.0, 1.0]), -1.0, 1.0).tolist() == [0, 128, 255]
    assert to_bytes(np.array([3.0, 3.0]), 3.0, 3.0).tolist() == [0, 0]


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.zeros(4, np.uint8), np.zeros((2, 2, 2), np.uint8)])
def test_refuses_what_is_no_picture(pixels):
    with pytest.raises(BadInput, match="expected uint8 of shape"):
        png(pixels)
