import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.errors import BadInput
from traintwice.metrics import delta_1, delta_2, delta_label, prediction_difference


def mean_of(p):
    return sum(p) / len(p)


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equal_the_definitions(draw, M, K):
    p, y = draw(M, 20, K)
    mean = mean_of(p)
    for order, metric in ((1, delta_1), (2, delta_2)):
        norms = [np.linalg.norm(p[m, n] - mean[n], ord=order) for m in range(M) for n in range(20)]
        assert_allclose(metric(p), np.mean(norms), rtol=1e-12)
        assert_allclose(prediction_difference(p, p=order), np.mean(norms), rtol=1e-12)
    norms = [np.linalg.norm(p[m, n] - mean[n], ord=3.5) for m in range(M) for n in range(20)]
    assert_allclose(prediction_difference(p, p=3.5), np.mean(norms), rtol=1e-12)
    label = [abs(p[m, n, y[n]] - mean[n, y[n]]) / mean[n, y[n]] for m in range(M) for n in range(20)]
    assert_allclose(delta_label(p, y), np.mean(label), rtol=1e-12)


def test_of_two_replicas_is_their_total_variation(draw):
    p, _ = draw(2, 30, 5)
    assert_allclose(delta_1(p), np.mean(np.abs(p[0] - p[1]).sum(axis=1)) / 2, rtol=1e-13)
    binary, _ = draw(2, 30, 2)
    assert_allclose(delta_1(binary), np.mean(np.abs(binary[0, :, 1] - binary[1, :, 1])), rtol=1e-13)


def test_label_that_nobody_believes_counts_zero():
    p = np.array([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.7, 0.3]]])
    assert delta_label(p, np.array([1, 0])) == pytest.approx(0.1 / 0.6 / 2)


def test_order_of_the_norm_below_one_is_refused(draw):
    with pytest.raises(BadInput, match=r"got p=0.5, expected a number of at least 1"):
        prediction_difference(draw()[0], p=0.5)


def test_leaving_a_replica_out_forms_the_mean_again(draw):
    p, _ = draw(4, 20)
    jackknife_values = []
    for m in range(4):
        rest = [p[i] for i in range(4) if i != m]
        jackknife_values.append(np.mean([np.abs(q - mean_of(rest)).sum(axis=1) for q in rest]))
    assert_allclose(delta_1.measure(p).jackknife_values, jackknife_values, rtol=1e-12)
