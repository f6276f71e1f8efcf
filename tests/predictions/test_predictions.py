import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import traintwice.predictions._predictions as module
from other_arrays import CONVERTERS, EACH_LIBRARY
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.metrics import accuracy, churn, delta_label, log_loss
from traintwice.predictions import Predictions


@pytest.fixture
def probs():
    return np.random.default_rng(0).dirichlet(np.ones(4), (3, 10))


def test_what_is_derived(probs):
    y = np.arange(10) % 4
    p = Predictions(probs, y)
    assert (p.replicas, p.examples, p.classes, p.has_probs, p.has_labels) == (3, 10, 4, True, True)
    assert_array_equal(p.votes, probs.argmax(axis=2))
    assert_array_equal(p.correct, probs.argmax(axis=2) == y)
    assert_allclose(p.mean, probs.mean(axis=0).T)
    assert_allclose(p.of_label, [[probs[m, n, y[n]] for n in range(10)] for m in range(3)])
    ordered = np.sort(probs, axis=2)
    assert_allclose(p.confidence, ordered[..., -1] - ordered[..., -2])
    assert repr(p) == "Predictions(3 replicas x 10 examples, probabilities of 4 classes, labels)"


def test_predicted_labels_alone():
    p = Predictions(np.array([[0, 7], [1, 7]]), weights=[1, 2])
    assert (p.classes, p.has_probs, p.has_labels) == (None, False, False)
    assert repr(p) == "Predictions(2 replicas x 2 examples, predicted labels, weights)"
    with pytest.raises(BadInput, match="reads probabilities and only predicted labels were given"):
        _ = p.probs
    with pytest.raises(BadInput, match="compares with true labels and none were given"):
        _ = p.labels


def test_of_takes_predictions_as_they_are(probs):
    p = Predictions(probs)
    assert Predictions.of(p) is p
    with pytest.raises(BadInput, match="belong to the Predictions given"):
        Predictions.of(p, np.zeros(10, int))


def test_slice_and_without(probs):
    y, w = np.arange(10) % 4, np.arange(1.0, 11)
    p = Predictions(probs, y, w)
    part = p.slice(2, 5).without(1)
    assert_array_equal(part.probs, probs[[0, 2], 2:5])
    assert_array_equal(part.labels, y[2:5])
    assert_array_equal(part.weights, w[2:5])
    assert_array_equal(part.votes, probs[[0, 2], 2:5].argmax(axis=2))
    votes = Predictions(probs.argmax(axis=2)).slice(2, 5).without(0).votes
    assert_array_equal(votes, probs[1:, 2:5].argmax(axis=2))


def test_blocks_cover_every_example_once(probs, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 3 * 4 * 4)
    blocks = list(Predictions(probs).blocks())
    assert [(start, stop) for start, stop, _ in blocks] == [(0, 4), (4, 8), (8, 10)]
    assert_array_equal(np.concatenate([b.probs for *_, b in blocks], axis=1), probs)
    assert [stop for _, stop, _ in Predictions(probs.argmax(axis=2)).blocks(of_probs=False)] == [10]
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 1)
    assert [stop for _, stop, _ in Predictions(probs.argmax(axis=2)).blocks(of_probs=False)] == [2, 4, 6, 8, 10]
    assert len(list(Predictions(probs).blocks())) == 10


def test_one_replica_has_nothing_to_compare_with(probs):
    with pytest.raises(TooFewReplicas, match="churn: got 1 replica, expected at least 2"):
        churn(probs[:1])


@EACH_LIBRARY
def test_labels_and_weights_may_be_numpy_or_lists_beside_another_kind_of_predictions(convert, probs):
    y = np.arange(10) % 4
    for labels, weights in ((y, np.ones(10)), (y.tolist(), [1.0] * 10)):
        p = Predictions(convert(probs), labels, weights)
        assert accuracy(p) == accuracy(probs, y)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.uint16])
def test_labels_of_any_integer_type(probs, kind):
    y = (np.arange(10) % 4).astype(kind)
    for convert in (np.asarray, *CONVERTERS.values()):
        p = Predictions(convert(probs), convert(y))
        assert log_loss(p) == pytest.approx(log_loss(probs, y.astype(int)), rel=1e-14)
        assert delta_label(p) == pytest.approx(delta_label(probs, y.astype(int)), rel=1e-14)
        assert accuracy(Predictions(convert(probs.argmax(axis=2).astype(np.int32)), convert(y))) == accuracy(probs, y.astype(int))


def test_tensors_that_track_gradients_are_read(probs):
    torch = pytest.importorskip("torch")
    tracked = torch.from_numpy(probs).requires_grad_()
    assert churn(tracked) == churn(probs)


@pytest.mark.parametrize("K", [2, 10, 32, 33, 300])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_predicted_label_is_the_first_of_the_largest(K, kind):
    rng = np.random.default_rng(K)
    probs = rng.integers(1, 4, (2, 5000, K)).astype(np.float64)  # many ties
    probs = (probs / probs.sum(axis=2, keepdims=True)).astype(kind)
    assert_array_equal(Predictions(probs).votes, probs.argmax(axis=2))
    if "torch" in CONVERTERS:  # the other library has no float16
        assert_array_equal(Predictions(CONVERTERS["torch"](probs)).votes, probs.argmax(axis=2))
    assert Predictions(probs).votes.dtype == (np.uint8 if K <= 256 else np.int64)


@pytest.mark.parametrize(("largest", "kind"), [(255, np.uint8), (256, np.int64)])
def test_labels_are_held_in_a_byte_only_where_they_fit(largest, kind):
    votes = Predictions(np.array([[0, largest], [largest, largest]])).votes
    assert votes.dtype == kind
    assert votes.tolist() == [[0, largest], [largest, largest]]


def test_true_values_stay_with_their_examples():
    scores, targets = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]), np.array([1, 2, 3])
    p = Predictions.from_scores(scores, targets=targets)
    assert p.targets.dtype == np.float64
    assert p.slice(1, 3).targets.tolist() == [2, 3]
    assert p.where(np.array([2, 0])).targets.tolist() == [3, 1]
    assert p.models(0, 2).targets.tolist() == p.without(1).targets.tolist() == [1, 2, 3]
    assert np.isnan(Predictions.from_scores(scores, targets=np.array([1, np.nan, 3])).targets).tolist() == [False, True, False]


def test_true_values_are_one_finite_number_for_each_example():
    scores = np.zeros((2, 3))
    assert Predictions.from_scores(scores).targets is None
    with pytest.raises(BadInput, match="expected \\(3,\\), one number for each example"):
        Predictions.from_scores(scores, targets=np.zeros(2))
    with pytest.raises(BadInput, match="1 are infinite \\(first: example 2\\)"):
        Predictions.from_scores(scores, targets=np.array([0, 1, np.inf]))
