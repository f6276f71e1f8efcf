"""What every metric promises; a new one is tested by being in `ALL`."""

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import traintwice.predictions.predictions as predictions_module
from traintwice.errors import TooFewReplicas
from traintwice.metrics import ALL
from traintwice.metrics.definition import to_numpy
from traintwice.predictions import Predictions

EVERY = pytest.mark.parametrize("metric", ALL, ids=lambda m: m.__name__)
REPLICAS = 5


def predictions_for(metric, draw, M=REPLICAS, N=60, weights=None, seed=0):
    probs, labels = draw(M, N, 3, seed=seed)
    return Predictions(probs, labels, weights)


@EVERY
def test_docstring_says_what_it_must(metric):
    text = metric.__doc__
    sections = [text.index(f"\n    {name}:\n") for name in ("Args", "Returns", "Raises", "Source", "Example")]
    assert sections == sorted(sections)
    head = text[: sections[0]].strip().splitlines()
    assert head[0].endswith(".") and len(head) >= 3, "one line, then the formula"
    assert ">>>" in text[sections[-1] :]


@EVERY
@pytest.mark.parametrize("convert", [torch.from_numpy, array_api_strict.asarray], ids=["torch", "strict"])
def test_reads_any_array(metric, convert, draw):
    p = predictions_for(metric, draw)
    other = Predictions(convert(to_numpy(p.probs)), convert(to_numpy(p.labels)))
    ours, theirs = metric.measure(p), metric.measure(other)
    assert_allclose(theirs.value, ours.value, rtol=1e-12)
    assert_allclose(theirs.influence, ours.influence, rtol=1e-9, atol=1e-14)
    assert type(metric(other)) is float


@EVERY
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_equal_whole(metric, weighted, draw, monkeypatch):
    weights = np.linspace(0.5, 2, 60) if weighted else None
    whole = metric.measure(predictions_for(metric, draw, weights=weights))
    monkeypatch.setattr(predictions_module, "BLOCK_ELEMENTS", REPLICAS * 3 * 7)  # 7 examples: the last block is shorter
    parts = metric.measure(predictions_for(metric, draw, weights=weights))
    for name in ("value", "rows", "dropped", "influence"):
        assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-11, atol=1e-14)


@EVERY
def test_dropped_is_the_number_without_that_replica(metric, draw):
    p = predictions_for(metric, draw)
    again = [metric(Predictions(np.delete(p.probs, m, axis=0), p.labels)) for m in range(REPLICAS)]
    assert_allclose(metric.measure(p).dropped, again, rtol=1e-11)


@EVERY
def test_influence_has_mean_zero_and_predicts_a_change_of_weight(metric, draw):
    p = predictions_for(metric, draw)
    measured = metric.measure(p)
    assert measured.influence.shape == (60,)
    assert abs(measured.influence.mean()) < 1e-14
    step = 1e-6
    for n in (0, 17, 59):
        weights = np.ones(60)
        weights[n] += step
        slope = (metric(Predictions(p.probs, p.labels, weights)) - measured.value) / step
        assert_allclose(slope, measured.influence[n] / 60, rtol=1e-4, atol=1e-8)


@EVERY
def test_one_replica_is_too_few_for_a_measure_between_replicas(metric, draw):
    p = predictions_for(metric, draw, M=1)
    if metric.definition.between_replicas:
        with pytest.raises(TooFewReplicas, match="got 1 replica"):
            metric(p)
    else:
        assert np.isfinite(metric(p))


@EVERY
def test_weights_repeat_rows(metric, draw):
    p = predictions_for(metric, draw)
    times = np.random.default_rng(5).integers(0, 4, 60)
    weighted = metric.measure(Predictions(p.probs, p.labels, times))
    repeated = metric.measure(Predictions(np.repeat(p.probs, times, axis=1), np.repeat(p.labels, times)))
    for name in ("value", "rows", "dropped"):
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-11)


@EVERY
def test_identical_replicas_differ_by_nothing(metric, draw):
    if not metric.definition.between_replicas:
        return
    p = predictions_for(metric, draw, M=1)
    assert_allclose(metric(Predictions(np.repeat(p.probs, 4, axis=0), p.labels)), 0, atol=1e-14)


@EVERY
def test_the_mean_of_the_values_is_the_number(metric, draw):
    p = predictions_for(metric, draw)
    values = metric.values(p)
    number = np.mean(values[0]) / np.mean(values[1]) if isinstance(values, tuple) else np.mean(values)
    assert_allclose(metric(p), number, rtol=1e-12)


@given(st.integers(2, 6), st.integers(2, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_order_of_replicas_and_examples_does_not_matter(M, N, seed):
    rng = np.random.default_rng(seed)
    probs, labels = rng.dirichlet(np.ones(3), (M, N)), rng.integers(0, 3, N)
    replicas, examples = rng.permutation(M), rng.permutation(N)
    labels[0], labels[1] = probs[0, 0].argmax(), probs[0, 1].argmin()  # one right, one wrong: every ratio has a value
    for metric in ALL:
        shuffled = Predictions(probs[replicas][:, examples], labels[examples])
        assert_allclose(metric(shuffled), metric(Predictions(probs, labels)), rtol=1e-10, atol=1e-14)
