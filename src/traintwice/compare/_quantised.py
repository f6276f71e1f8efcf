"""How far two language models differ token by token: summaries with intervals clustered by document."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from traintwice._names import entry
from traintwice._typed import typed
from traintwice.compare._estimates import interval
from traintwice.compare._inputs import check_level
from traintwice.compare._shown import Shown
from traintwice.errors import BadInput
from traintwice.logs._tokens import TokenComparison, compare_tokens
from traintwice.metrics import Summary
from traintwice.metrics._summaries import MEAN, Estimator, effective_units, sums_of
from traintwice.statistics._inference import wilson
from traintwice.types import Estimate

QUANTILES = (0.5, 0.99, 0.999)


@dataclass(frozen=True)
class TokenMeasure:
    """One summary of a `TokenComparison`.

    Attributes:
        name: "same_top", "kl_mean", "kl_q50", "kl_q99", "kl_q99.9" or "delta_p_rms".
        title: the same in words.
        at_least, at_most: of the lower and of the upper bounds of the tokens; the same estimate where the tokens are exact.
    """

    name: str
    title: str
    at_least: Estimate
    at_most: Estimate

    @property
    def exact(self) -> bool:
        """Whether the value is known rather than bounded."""
        return self.at_least.value == self.at_most.value


@dataclass(frozen=True, repr=False)
class TokenDiff(Shown):
    """A language model against a reference, token by token. Made by `diff_tokens`.

    Attributes:
        base, other: the files.
        tokens, documents: tokens compared, and the documents (chunks, responses) that they belong to.
        left_out: tokens that were not compared, because the texts differ before them.
        assumed: what upper bounds rest on, in words; empty where they rest on nothing.
        level: nominal coverage of the intervals, which are about new documents.
        measures: see `summarise_tokens`.
    """

    base: str
    other: str
    tokens: int
    documents: int
    left_out: int
    assumed: str
    level: float
    measures: tuple[TokenMeasure, ...]

    def __getitem__(self, name: str) -> TokenMeasure:
        """A measure by its name."""
        return entry("measure", name, {measure.name: measure for measure in self.measures})


@typed
def diff_tokens(
    base: str | os.PathLike[str], other: str | os.PathLike[str], *, level: float = 0.95, least: float | None = -23.0
) -> TokenDiff:
    """Compare the token distributions of a model with those of a reference, such as a quantised model with full precision.

    Args:
        base, other: two files that llama.cpp wrote with ``--kl-divergence-base``, or two JSONL files of responses with logprobs.
        level: nominal coverage, in (0, 1).
        least: see `traintwice.logs.compare_tokens`.
    Returns:
        Same-top share, KL(base ‖ other) and Δp with intervals over new documents; for lists of the k most likely tokens bounds of these.
    Raises:
        BadInput: see `traintwice.logs.compare_tokens` and `summarise_tokens`.
    Source:
        See `summarise_tokens`.
    """
    found = compare_tokens(base, other, least=least)
    documents = len(np.unique(found.document))
    measures = summarise_tokens(found, level=level)
    return TokenDiff(found.base, found.other, len(found), documents, found.left_out, found.assumed, level, measures)


@typed
def summarise_tokens(tokens: TokenComparison, *, level: float = 0.95) -> tuple[TokenMeasure, ...]:
    """Same-top share, KL(base ‖ other) and Δp of all tokens, each with an interval over new documents.

        same_top     share of tokens where both models find the same token most likely, in [0, 1]
        kl_mean      mean of KL(base ‖ other), in nats, ≥ 0; 0.01: other needs 0.01 nats more a token to code what base predicts
        kl_q50 …     quantiles of the KL divergence of a token: 50 %, 99 %, 99.9 %
        delta_p_rms  sqrt(mean Δp²), in [0, 1]; 0.02: the probability of the recorded token moves by about 2 percentage points

    Intervals, with documents as clusters: same_top by Wilson at the effective number of tokens; kl_mean and delta_p_rms on the log
    scale (one degree of freedom fewer than documents carry the measure); quantiles by Woodruff: Wilson's interval of q at the effective
    number n of tokens (one degree of freedom fewer than documents), read off the distribution of the tokens. n is the smaller of the
    effective numbers of the shares of tokens up to the quantiles q and 1 − sqrt((1 − q)/2), because the variance at q rests on few
    tokens. Where n tokens are too few for the quantile (q^n > (1 − level)/2: all of them may be below it), the upper bound is infinite.

    Args:
        tokens: from `traintwice.logs.compare_tokens`.
        level: nominal coverage, in (0, 1).
    Returns:
        The measures above. Where tokens have bounds, the value lies between ``at_least.value`` and ``at_most.value``.
    Raises:
        BadInput: no tokens, or a level outside (0, 1).
    Source:
        llama.cpp, tools/perplexity, for the measures; Woodruff 1952 for intervals of quantiles. Ours: the clusters, and n; simulated
        coverage at 95 % is 92 to 96 % for the mean, the share, the root mean square and the median, 94 to 100 % for 99 % and 99.9 %.
    Example:
        >>> import numpy as np
        >>> kl, delta = np.tile([0.01, 0.03], 50), np.tile([0.1, -0.1], 50)
        >>> found = TokenComparison("a", "b", np.arange(100) // 10, kl, kl, kl < 0.02, delta, delta, exact=True)
        >>> [(m.name, round(m.at_least.value, 3)) for m in summarise_tokens(found)][:2]
        [('same_top', 0.5), ('kl_mean', 0.02)]
    """
    check_level(level)
    if not len(tokens):
        raise BadInput(f"{tokens.base}, {tokens.other}: no tokens to compare.")
    clusters = np.unique(tokens.document, return_inverse=True)[1]
    low, high = tokens.delta_low**2, tokens.delta_high**2
    crosses = (tokens.delta_low <= 0) & (tokens.delta_high >= 0)
    squares = (np.where(crosses, 0.0, np.minimum(low, high)), np.maximum(low, high))
    same, kl = _mean(tokens.same_top, clusters, level, share=True), (tokens.kl_low, tokens.kl_high)

    def measure(name: str, title: str, ends: tuple[np.ndarray, np.ndarray], of: Callable[[np.ndarray], Estimate]) -> TokenMeasure:
        return TokenMeasure(name, title, of(ends[0]), of(ends[1]))

    titles = {q: "median KL divergence" if q == 0.5 else f"{100 * q:g} % quantile of the KL divergence" for q in QUANTILES}
    return (
        TokenMeasure("same_top", "same top token", same, same),
        measure("kl_mean", "mean KL divergence", kl, lambda x: _mean(x, clusters, level)),
        *(measure(f"kl_q{100 * q:g}", title, kl, partial(_quantile, q, clusters, level)) for q, title in titles.items()),
        measure("delta_p_rms", "root mean square of Δp", squares, lambda x: _root(_mean(x, clusters, level))),
    )


def _summary(values: np.ndarray, clusters: np.ndarray, *, share: bool = False) -> Summary:
    """A mean over tokens in clusters, or a share of them; its variance is nan with one cluster."""
    estimator = Estimator((MEAN,), "log", share, 1.0 if share else math.inf)
    (found,) = estimator.summaries(sums_of(values[None].astype(np.float64), None, clusters), 2)
    return replace(found, effective_clusters=None)


def _mean(values: np.ndarray, clusters: np.ndarray, level: float, *, share: bool = False) -> Estimate:
    """A mean with an interval on the log scale, or a share with Wilson's interval; infinite where a value is."""
    if not np.isfinite(values).all():
        units = len(np.unique(clusters))
        return Estimate(math.inf, math.nan, math.nan, math.nan, 2, len(values), level, "examples", units)
    return interval(_summary(values, clusters, share=share), level=level)


def _quantile(q: float, clusters: np.ndarray, level: float, values: np.ndarray) -> Estimate:
    """A quantile with Woodruff's interval."""

    def at(share: float) -> float:
        return float(np.quantile(values, share, method="inverted_cdf"))

    n, units, beyond = float(len(values)), 1, (1 - level) / 2
    for end in (at(q), at(1 - math.sqrt((1 - q) / 2))):
        s = _summary(values <= end, clusters)
        share, variance, units = s.value, s.example_variance, s.units or 1
        # The number of independent tokens whose share has this variance; clusters where the variance is 0.
        n = min(n, effective_units(share, variance, len(values), level, max(units - 1, 1)) if variance > 0 else units)
    low, high = map(at, wilson(q, n, level))
    low = low if (1 - q) ** n <= beyond else min(0.0, low)
    return Estimate(at(q), low, high if q**n <= beyond else math.inf, math.nan, 2, len(values), level, "examples", units)


def _root(of: Estimate) -> Estimate:
    """The square root of an estimate and its bounds."""
    root = math.sqrt(of.value)
    error = of.standard_error / (2 * root) if root > 0 else of.standard_error
    return replace(of, value=root, low=math.sqrt(of.low), high=math.sqrt(of.high), standard_error=error)
