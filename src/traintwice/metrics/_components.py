"""Correlation of the components of a replica, and the variance of their mean across replicas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traintwice.errors import BadInput, TooFewReplicas, Undefined


@dataclass(frozen=True)
class ComponentDiagnostics:
    """Numbers about the components of a recipe, each over all its replicas.

    Attributes:
        components: J.
        variance_within: v of `variance_parts`, of probabilities.
        covariance_between: c of `variance_parts`, of probabilities; None for one component.
        variance_of_mean: (v + (J − 1) c) / J, the variance across replicas of the mean of the components' probabilities.
        correlation: mean cosine between the logits of two components over the examples, for each class, as they are; None for one
            component, as the next two.
        correlation_gauge_fixed: the same after each example's mean over classes, which softmax does not see, is taken from its logits.
        correlation_pearson: the same after the mean over examples is taken away too.
        confidence: mean of the largest minus the second largest probability, CH (5).
        logit_scale: root of the mean square of the logits without their mean over classes.
    """

    components: int
    variance_within: float
    covariance_between: float | None
    variance_of_mean: float
    correlation: float | None
    correlation_gauge_fixed: float | None
    correlation_pearson: float | None
    confidence: float
    logit_scale: float


def component_diagnostics(logits: np.ndarray) -> ComponentDiagnostics:
    """Correlation between the components of a replica, and their common variance across replicas, from raw logits ``M J N K``.

    Different components do not lower churn by themselves. Churn falls where the errors of the components vary across replicas
    independently, so that their mean varies less. Low correlation with an unchanged ``variance_of_mean`` has no effect on churn. A class
    whose logits are all 0 (the first of two where a network has one logit) has no correlation and is left out.

    >>> z = np.random.default_rng(0).normal(size=(4, 2, 100, 3))
    >>> found = component_diagnostics(z)
    >>> abs(found.correlation_pearson) < 0.2, round(found.logit_scale, 1)
    (True, 0.8)
    """
    if logits.ndim != 4 or logits.shape[-1] < 2:
        raise BadInput(
            f"component_diagnostics: got shape {logits.shape}, expected replicas, components, examples, classes (two or more)"
        )
    z = np.asarray(logits, dtype=np.float64)
    centred = z - z.mean(axis=-1, keepdims=True)
    exponents = np.exp(z - z.max(axis=-1, keepdims=True))
    probs = exponents / exponents.sum(axis=-1, keepdims=True)
    v, c = variance_parts(probs)
    components = z.shape[1]
    top = np.partition(probs, -2, axis=-1)[..., -2:]
    several = components > 1
    return ComponentDiagnostics(
        components=components,
        variance_within=v,
        covariance_between=c,
        variance_of_mean=v if c is None else (v + (components - 1) * c) / components,
        correlation=_mean_cosine(z) if several else None,
        correlation_gauge_fixed=_mean_cosine(centred) if several else None,
        correlation_pearson=_mean_cosine(centred - centred.mean(axis=2, keepdims=True)) if several else None,
        confidence=float((top[..., 1] - top[..., 0]).mean()),
        logit_scale=float(np.sqrt((centred**2).mean())),
    )


def variance_parts(values: np.ndarray) -> tuple[float, float | None]:
    """Variance within and covariance between components, across replicas, from ``M J N K``; no covariance for one component.

        v = mean_j Var_m(x_j),   c = mean_{i≠j} Cov_m(x_i, x_j),   Var_m(mean_j x_j) = (v + (J − 1) c) / J

    for each example and class, summed over classes, averaged over examples.

    >>> variance_parts(np.array([[[[1.0]], [[1.0]]], [[[3.0]], [[3.0]]]]))  # two components that move together
    (2.0, 2.0)
    """
    replicas, components = values.shape[:2]
    if replicas < 2:
        raise TooFewReplicas("variance_parts: got 1 replica; the variance across replicas needs at least 2")
    deviation = values - values.mean(axis=0)
    v = float((deviation**2).sum(axis=(0, 3)).mean()) / (replicas - 1)
    if components == 1:
        return v, None
    of_mean = float((deviation.mean(axis=1) ** 2).sum(axis=(0, 2)).mean()) / (replicas - 1)
    return v, (components * of_mean - v) / (components - 1)


def _mean_cosine(signal: np.ndarray) -> float:
    """Mean over replicas, pairs of components and classes of the cosine over the examples: ``M J N K`` -> a number."""
    moments = np.einsum("minK,mjnK->mKij", signal, signal)
    size = np.sqrt(np.einsum("mKii->mKi", moments))
    scale = size[..., :, None] * size[..., None, :]
    i, j = np.triu_indices(signal.shape[1], k=1)
    known = scale[..., i, j] > 0
    if not known.any():
        raise Undefined(
            "component_diagnostics: every logit is 0 (or constant) in a component of each pair, so no correlation is defined"
        )
    return float((moments[..., i, j][known] / scale[..., i, j][known]).mean())
