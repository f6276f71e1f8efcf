from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.errors import BadInput
from traintwice.metrics import (
    churn,
    delta_1,
    delta_2,
    delta_label,
    prediction_difference,
    regression_difference,
    relative_delta_1,
    relative_delta_positive,
    relative_pairwise,
    relative_regression_difference,
    score_difference,
)
from traintwice.predictions import Predictions


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


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_relative_differences_equal_the_definitions(draw, M, K):
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


def test_relative_zero_over_zero_is_zero_and_more_than_two_classes_are_refused(draw):
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


@pytest.mark.parametrize("M", [2, 3, 10, 25])
def test_differences_of_scores_equal_the_definitions(M):
    f = np.random.default_rng(0).normal(1, 2, (M, 20))
    pairs = list(combinations(range(M), 2))
    assert_allclose(regression_difference(f), np.mean([np.abs(f[a] - f[b]) for a, b in pairs]), rtol=1e-12)
    relative = [2 * np.abs(f[a] - f[b]) / (np.abs(f[a]) + np.abs(f[b])) for a, b in pairs]
    assert_allclose(relative_regression_difference(f), np.mean(relative), rtol=1e-12)
    assert_allclose(score_difference(f), np.abs(f - f.mean(axis=0)).mean(), rtol=1e-12)
    z = np.random.default_rng(1).normal(size=(M, 20, 3))
    for p in (1, 2, 3):
        norms = np.linalg.norm(z - z.mean(axis=0), ord=p, axis=2)
        assert_allclose(score_difference(z, p=p), norms.mean(), rtol=1e-12)


def test_on_probabilities_it_is_the_prediction_difference(draw):
    p, _ = draw()
    assert_allclose(score_difference(p), delta_1(p), rtol=1e-12)


def test_zero_over_zero_of_scores_is_zero():
    assert relative_regression_difference(np.array([[0.0, 1.0], [0.0, -1.0]])) == 1.0


def test_scores_are_no_probabilities_nor_labels():
    p = Predictions.from_scores(np.array([[1.0, 2.0], [3.0, 2.0]]))
    with pytest.raises(BadInput, match="only scores were given"):
        churn(p)
    with pytest.raises(BadInput, match="reads probabilities"):
        delta_1(p)
    with pytest.raises(BadInput, match=r"pass Predictions.from_scores\(scores\)"):
        regression_difference(Predictions(np.array([[0, 1], [1, 1]])))
    with pytest.raises(BadInput, match=r"got scores of shape \(2, 2, 1\)"):
        regression_difference(np.zeros((2, 2, 1)))
    with pytest.raises(BadInput, match=r"score_difference: got p=0.5"):
        score_difference(np.zeros((2, 2)), p=0.5)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0], "scores: got list"),
        (np.zeros(3), r"scores: got shape \(3,\)"),
        (np.zeros((2, 0)), r"scores: got shape \(2, 0\)"),
        (np.zeros((2, 3), int), "scores: got dtype int64"),
        (np.array([[0.0, np.nan]]), r"scores: 1 are NaN or infinite \(first: replica 0, example 1\)"),
    ],
)
def test_bad_scores(scores, message):
    with pytest.raises(BadInput, match=message):
        Predictions.from_scores(scores)
