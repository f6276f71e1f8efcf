"""Summaries of token comparisons: values by definition, intervals that cover, bounds that hold."""

import numpy as np
import pytest

from traintwice.compare._quantised import summarise_tokens
from traintwice.errors import BadInput
from traintwice.logs import TokenComparison


def comparison(kl, delta, same, document, *, high=None):
    return TokenComparison("a", "b", document, kl, kl if high is None else high, same, delta, delta, exact=high is None)


def simulated(documents=40, tokens=50, *, share=0.5, seed=0):
    """Tokens whose KL divergence is log-normal, with a part of the variance that a document shares."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.normal(size=documents), tokens) * np.sqrt(share) + rng.normal(size=documents * tokens) * np.sqrt(
        1 - share
    )
    kl = np.exp(level - 4)
    return comparison(kl, 0.05 * level, level < 1.5, np.repeat(np.arange(documents), tokens))


def test_values_are_those_of_the_definition():
    found = simulated()
    by_name = {m.name: m for m in summarise_tokens(found)}
    assert list(by_name) == ["same_top", "kl_mean", "kl_q50", "kl_q99", "kl_q99.9", "delta_p_rms"]
    expected = {
        "same_top": found.same_top.mean(),
        "kl_mean": found.kl_low.mean(),
        "kl_q50": np.quantile(found.kl_low, 0.5, method="inverted_cdf"),
        "kl_q99": np.quantile(found.kl_low, 0.99, method="inverted_cdf"),
        "kl_q99.9": np.quantile(found.kl_low, 0.999, method="inverted_cdf"),
        "delta_p_rms": np.sqrt((found.delta_low**2).mean()),
    }
    for name, value in expected.items():
        estimate = by_name[name].at_least
        assert estimate.value == pytest.approx(value)
        assert estimate.low < value < estimate.high
        assert (estimate.units, estimate.examples, estimate.target) == (40, 2000, "examples")
        assert by_name[name].exact


def test_standard_error_is_that_of_the_sums_of_documents():
    found = simulated()
    sums = (found.kl_low - found.kl_low.mean()).reshape(40, 50).sum(axis=1)
    expected = np.sqrt(40 / 39 * (sums**2).sum()) / 2000
    assert summarise_tokens(found)[1].at_least.standard_error == pytest.approx(expected)


def test_intervals_cover():
    """95 % intervals over new documents, nominally; 150 simulations, half of the variance shared within a document."""
    from scipy.stats import norm

    z = norm.ppf([0.5, 0.99])
    medians = {"kl_q50": np.exp(z[0] - 4), "kl_q99": np.exp(z[1] - 4)}
    truth = medians | {"same_top": norm.cdf(1.5), "kl_mean": np.exp(-3.5), "delta_p_rms": 0.05}
    hits = dict.fromkeys(truth, 0)
    for seed in range(150):
        for measure in summarise_tokens(simulated(documents=60, tokens=30, seed=seed)):
            if measure.name in truth:
                hits[measure.name] += measure.at_least.low <= truth[measure.name] <= measure.at_least.high
    assert all(count / 150 >= 0.88 for count in hits.values()), hits


def test_quantile_that_few_tokens_do_not_bound():
    found = {m.name: m.at_least for m in summarise_tokens(simulated(documents=5, tokens=20))}
    assert np.isinf(found["kl_q99.9"].high)
    assert np.isfinite(found["kl_q50"].high)


def test_identical_models():
    zeros = np.zeros(100)
    found = {m.name: m.at_least for m in summarise_tokens(comparison(zeros, zeros, zeros == 0, np.arange(100) // 10))}
    assert (found["same_top"].value, found["same_top"].high) == (1, 1)
    assert found["same_top"].low < 0.8
    assert found["kl_mean"].value == found["delta_p_rms"].value == found["kl_q50"].value == 0


def test_bounds_of_tokens_give_two_estimates():
    found = simulated()
    wide = comparison(found.kl_low, found.delta_low, found.same_top, found.document, high=found.kl_low + 0.1)
    mean = summarise_tokens(wide)[1]
    assert mean.at_most.value == pytest.approx(mean.at_least.value + 0.1)
    assert not mean.exact
    endless = comparison(found.kl_low, found.delta_low, found.same_top, found.document, high=np.full(2000, np.inf))
    measures = summarise_tokens(endless)
    assert np.isinf(measures[1].at_most.value)
    assert np.isinf(measures[2].at_most.value)
    ends = TokenComparison(
        "a", "b", found.document, found.kl_low, found.kl_low, found.same_top, np.full(2000, -0.2), np.full(2000, 0.1), exact=False
    )
    rms = summarise_tokens(ends)[-1]
    assert (rms.at_least.value, rms.at_most.value) == (0, pytest.approx(0.2))


def test_bad_arguments():
    found = simulated()
    with pytest.raises(BadInput, match=r"level: got 95"):
        summarise_tokens(found, level=95)
    none = comparison(np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0, dtype=int))
    with pytest.raises(BadInput, match=r"no tokens to compare"):
        summarise_tokens(none)
