import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.errors import BadInput
from traintwice.metrics import delta_1, prediction_difference, relative_delta_1, relative_delta_positive, relative_pairwise


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equal_the_definitions(draw, M, K):
    p, _ = draw(M, 10, K)
    mean = sum(p) / M
    each = [sum(abs(p[m, n, k] - mean[n, k]) / mean[n, k] for k in range(K)) for m in range(M) for n in range(10)]
    assert_allclose(relative_delta_1(p), np.mean(each), rtol=1e-11)
    for order in (1, 2, 3):
        weighted = [
            sum(mean[n, k] * abs(p[m, n, k] - mean[n, k]) ** order for k in range(K)) ** (1 / order)
            for m in range(M)
            for n in range(10)
        ]
        assert_allclose(prediction_difference(p, p=order, label_weighted=True), np.mean(weighted), rtol=1e-11)
    if K == 2:
        each = [np.abs(p[m, n] - mean[n]).sum() / mean[n, 1] for m in range(M) for n in range(10)]
        assert_allclose(relative_delta_positive(p), np.mean(each), rtol=1e-11)


def test_of_two_click_models_it_is_their_difference_over_their_mean(draw):
    p, _ = draw(2, 20, 2)
    a, b = p[:, :, 1]
    assert_allclose(relative_delta_positive(p), np.mean(np.abs(a - b) / ((a + b) / 2)), rtol=1e-12)


@pytest.mark.parametrize("M", [2, 5])
def test_relative_difference_of_pairs_equals_the_definition(draw, M):
    p, _ = draw(M, 10, 2)
    pairs = [abs(a - b) / ((a + b) / 2) for i, a in enumerate(p[:, :, 1]) for b in p[:i, :, 1]]
    assert_allclose(relative_pairwise(p), np.mean(pairs), rtol=1e-12)
    if M == 2:
        assert_allclose(relative_pairwise(p), relative_delta_positive(p), rtol=1e-12)


def test_zero_over_zero_is_zero_and_more_than_two_classes_are_refused(draw):
    p = np.array([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.7, 0.3]]])
    assert relative_delta_positive(p) == pytest.approx(0.2 / 0.4 / 2)
    assert relative_pairwise(p) == pytest.approx(0.2 / 0.4 / 2)
    assert relative_delta_1(p) == pytest.approx((0.1 / 0.6 + 0.1 / 0.4) / 2)
    with pytest.raises(BadInput, match="got 4 classes, expected 2"):
        relative_delta_positive(draw()[0])


def test_a_positive_label_that_is_never_expected_makes_a_real_difference_infinite():
    p = np.array([[[1.0, 0.0]], [[0.9995, 0.0]]])  # a file in low precision: the sums are off
    assert relative_delta_positive(p) == np.inf
    assert delta_1(p) > 0
