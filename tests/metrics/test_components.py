"""Diagnostics of components, against loops and against the losses that measure the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics._components import component_diagnostics, variance_parts


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@given(st.integers(2, 5), st.integers(1, 4), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_variance_of_the_mean_is_made_of_both_parts(replicas, components, examples, classes, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(replicas, components, examples, classes)) + rng.normal(size=(replicas, 1, examples, classes))
    v, c = variance_parts(x)
    of_mean = x.mean(axis=1).var(axis=0, ddof=1).sum(axis=-1).mean()
    assert of_mean == pytest.approx(v if c is None else (v + (components - 1) * c) / components, rel=1e-9, abs=1e-12)
    assert v == pytest.approx(x.var(axis=0, ddof=1).sum(axis=-1).mean())


def test_covariance_by_definition():
    x = np.random.default_rng(0).normal(size=(4, 3, 5, 2))
    covariances = [
        np.cov(x[:, i, n, k], x[:, j, n, k])[0, 1]
        for i in range(3)
        for j in range(3)
        if i != j
        for n in range(5)
        for k in range(2)
    ]
    assert variance_parts(x)[1] == pytest.approx(np.mean(covariances) * 2)  # summed over two classes


def test_low_correlation_of_components_need_not_lower_the_variance_of_their_mean():
    """D5: two components that are uncorrelated over the examples, and the same in every replica but for one shared error."""
    rng = np.random.default_rng(0)
    fixed, shared = rng.normal(size=(1, 2, 400, 3)), rng.normal(size=(30, 1, 400, 3))
    together = component_diagnostics(fixed * 3 + shared * 0.3)
    apart = component_diagnostics(fixed * 3 + rng.normal(size=(30, 2, 400, 3)) * 0.3)
    assert abs(together.correlation_pearson) < 0.1
    assert abs(apart.correlation_pearson) < 0.1
    assert together.variance_of_mean > 1.3 * apart.variance_of_mean
    assert abs(apart.covariance_between) < 0.1 * apart.variance_within
    assert together.covariance_between > 0.3 * together.variance_within


def test_the_rest_by_definition():
    z = np.random.default_rng(1).normal(size=(3, 3, 40, 4)) * 2 + 1
    centred = z - z.mean(-1, keepdims=True)
    pairs = [(m, i, j, k) for m in range(3) for i in range(3) for j in range(i + 1, 3) for k in range(4)]

    def cosine(s):
        return np.mean(
            [
                s[m, i, :, k] @ s[m, j, :, k] / np.sqrt((s[m, i, :, k] ** 2).sum() * (s[m, j, :, k] ** 2).sum())
                for m, i, j, k in pairs
            ]
        )

    found = component_diagnostics(z)
    assert found.correlation == pytest.approx(cosine(z))
    assert found.correlation_gauge_fixed == pytest.approx(cosine(centred))
    by_numpy = np.mean([np.corrcoef(centred[m, i, :, k], centred[m, j, :, k])[0, 1] for m, i, j, k in pairs])
    assert found.correlation_pearson == pytest.approx(by_numpy)
    ordered = np.sort(softmax(z), axis=-1)
    assert found.confidence == pytest.approx((ordered[..., -1] - ordered[..., -2]).mean())
    assert found.logit_scale == pytest.approx(np.sqrt(np.mean(centred**2)))
    v, c = variance_parts(softmax(z))
    assert (found.variance_within, found.covariance_between) == (v, c)
    of_mean = softmax(z).mean(axis=1).var(axis=0, ddof=1).sum(axis=-1).mean()
    assert found.variance_of_mean == pytest.approx(of_mean)


def test_only_the_raw_correlation_sees_the_gauge():
    rng = np.random.default_rng(2)
    z = rng.normal(size=(2, 2, 50, 3))
    moved = component_diagnostics(z + 20 * rng.normal(size=(2, 1, 50, 1)))
    still = component_diagnostics(z)
    assert moved.correlation > 0.9
    assert abs(still.correlation) < 0.3
    for name in ("correlation_gauge_fixed", "correlation_pearson", "confidence", "logit_scale", "variance_of_mean"):
        assert getattr(moved, name) == pytest.approx(getattr(still, name))


def test_one_logit_and_one_component():
    z = np.random.default_rng(3).normal(size=(3, 2, 20, 1))
    two = component_diagnostics(np.concatenate([np.zeros_like(z), z], axis=-1))
    assert -1 <= two.correlation <= 1
    alone = component_diagnostics(np.random.default_rng(3).normal(size=(3, 1, 20, 4)))
    assert alone.correlation is alone.correlation_pearson is alone.covariance_between is None
    assert alone.variance_of_mean == alone.variance_within


def test_what_is_refused():
    with pytest.raises(TooFewReplicas, match="got 1 replica"):
        component_diagnostics(np.zeros((1, 2, 5, 3)))
    with pytest.raises(BadInput, match=r"got shape \(2, 5, 3\)"):
        component_diagnostics(np.zeros((2, 5, 3)))
    with pytest.raises(Undefined, match="no correlation"):
        component_diagnostics(np.zeros((2, 2, 5, 3)))
