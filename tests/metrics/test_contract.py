"""What every metric promises; a new one is tested by being in `ALL`."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import traintwice.predictions._predictions as predictions_module
from other_arrays import EACH_LIBRARY
from traintwice.compare import interval
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import ALL, Accumulator, MeanOf, RatioOf

EVERY = pytest.mark.parametrize("metric", ALL, ids=lambda m: m.__name__)
REPLICAS = 5


EITHER_SIGN = {"fleiss_kappa", "kendall_tau", "mean_bias", "mean_error"}
NEAR_ONE = {"mean_score", "accuracy", "precision", "recall", "auc", "churn_incorrect", "self_consistency", "ambiguity",
            "bad_churn", "good_churn", "lateral_churn", "lemma_2_bound", "tight_lemma_2_bound", "top_k_overlap",
            "churn_to_error"}  # fmt: skip

WHOLE = [m for m in ALL if not m.definition.one_pass]
MEANS = [m for m in ALL if isinstance(m.definition, MeanOf | RatioOf)]
SUMMED = pytest.mark.parametrize("metric", [m for m in ALL if m.definition.one_pass], ids=lambda m: m.__name__)

WITHOUT_EXAMPLE_PART = {"calibration_error", "discrepancy", "kendall_tau", "top_k_overlap"}
BINS_MOVE = {"calibration_error_equal_mass"}  # where a weight moves an edge; tested beside it with edges that stay
WITHOUT_WEIGHTS = {"kendall_tau", "top_k_overlap"}
AGREEMENT = {"fleiss_kappa", "kendall_tau", "self_consistency", "top_k_overlap"}  # 1, not 0, where nothing differs


def arrays_for(metric, draw, M=REPLICAS, N=60, seed=0):
    definition = metric.definition
    probs, labels = draw(2 if definition.old_vs_new else M, N, 2 if definition.binary else 3, seed=seed)
    if definition.needs_targets:
        return np.log(probs[:, :, 0]), labels - 1.7
    if definition.needs_outcomes:
        return probs[:, :, 0], labels
    return (np.log(probs[:, :, 0]) if definition.needs_scores else probs), labels % 2 if definition.needs_scores else labels


def made(metric, probs, labels=None, weights=None):
    return metric.definition.predictions_of(probs, None if metric.definition.needs_outcomes else labels, weights)


def predictions_for(metric, draw, M=REPLICAS, N=60, weights=None, seed=0):
    return made(metric, *arrays_for(metric, draw, M, N, seed), weights)


@EVERY
def test_docstring_says_what_it_must(metric):
    text = metric.__doc__
    sections = [text.index(f"\n    {name}:\n") for name in ("Args", "Returns", "Raises", "Source", "Example")]
    assert sections == sorted(sections)
    head = text[: sections[0]].strip().splitlines()
    assert head[0].endswith(".")
    assert len(head) >= 3, "one line, then the formula"
    assert ">>>" in text[sections[-1] :]


@EVERY
@EACH_LIBRARY
def test_reads_any_array(metric, convert, draw):
    probs, labels = arrays_for(metric, draw)
    p, other = made(metric, probs, labels), made(metric, convert(probs), convert(labels))
    ours, theirs = metric.measure(p), metric.measure(other)
    assert_allclose(theirs.value, ours.value, rtol=1e-12)
    assert_allclose(theirs.influence, ours.influence, rtol=1e-9, atol=1e-14)
    assert type(metric(other)) is float


def assert_alone_is_measured(metric, alone, measured):
    """To the last bit, except where the number alone is summed in another way."""
    assert_allclose(alone, measured, rtol=1e-13 if getattr(metric.definition, "total", None) else 0)


@EVERY
@pytest.mark.parametrize("elements", [15, 105], ids=["some labels or single rows of probabilities", "7 rows of probabilities"])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_equal_whole(metric, weighted, elements, draw, monkeypatch):
    weights = np.linspace(0.5, 2, 60) if weighted and metric.__name__ not in WITHOUT_WEIGHTS else None
    whole = metric.measure(predictions_for(metric, draw, weights=weights))
    monkeypatch.setattr(predictions_module, "BLOCK_ELEMENTS", elements)
    parts = metric.measure(predictions_for(metric, draw, weights=weights))
    for name in ("value", "rows", "jackknife_values", "influence"):
        if getattr(whole, name) is not None:
            assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-11, atol=1e-14)
    assert_alone_is_measured(metric, metric.definition.value(predictions_for(metric, draw, weights=weights)), parts.value)


@EVERY
def test_dropped_is_the_number_without_that_replica(metric, draw):
    p = predictions_for(metric, draw)
    if metric.definition.old_vs_new:
        assert metric.measure(p).jackknife_values is None
        return
    again = [metric(p.without(m)) for m in range(REPLICAS)]
    assert_allclose(metric.measure(p).jackknife_values, again, rtol=1e-11)


@EVERY
def test_influence_has_mean_zero_and_predicts_a_change_of_weight(metric, draw):
    probs, labels = arrays_for(metric, draw)
    measured = metric.measure(made(metric, probs, labels))
    assert measured.influence.shape == (60,)
    if metric.__name__ in WITHOUT_EXAMPLE_PART:
        assert np.isnan(measured.influence).all()
        assert "no example part" in " ".join(metric.__doc__.split())
        return
    assert abs(measured.influence.mean()) < 1e-13
    if metric.__name__ in BINS_MOVE:
        return
    step = 1e-6
    for n in (0, 17, 59):
        weights = np.ones(60)
        weights[n] += step
        slope = (metric(made(metric, probs, labels, weights)) - measured.value) / step
        assert_allclose(slope, measured.influence[n] / 60, rtol=1e-4, atol=1e-8)


@EVERY
def test_one_replica_is_too_few_for_a_measure_between_replicas(metric, draw):
    p = predictions_for(metric, draw).without(1)
    while p.replicas > 1:
        p = p.without(0)
    if metric.definition.between_replicas:
        with pytest.raises(TooFewReplicas, match=f"{metric.definition.title}: got 1 replica"):
            metric(p)
        p = predictions_for(metric, draw)
        assert_alone_is_measured(metric, metric(p), metric.measure(p).value)
    else:
        assert np.isfinite(metric(p))


@EVERY
def test_weights_repeat_rows(metric, draw):
    probs, labels = arrays_for(metric, draw)
    times = np.random.default_rng(5).integers(0, 4, 60)
    if metric.__name__ in WITHOUT_WEIGHTS:
        with pytest.raises(BadInput, match="no weighted form here"):
            metric(made(metric, probs, labels, times))
        return
    weighted = metric.measure(made(metric, probs, labels, times))
    repeated = metric.measure(made(metric, np.repeat(probs, times, axis=1), np.repeat(labels, times)))
    for name in ("value", "rows", "jackknife_values"):
        if getattr(repeated, name) is not None:
            assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-11)


@pytest.mark.parametrize("metric", [m for m in ALL if m.definition.between_replicas], ids=lambda m: m.__name__)
def test_identical_replicas_differ_by_nothing(metric, draw):
    probs, labels = arrays_for(metric, draw)
    same = made(metric, np.repeat(probs[:1], 2 if metric.definition.old_vs_new else 4, axis=0), labels)
    if metric.definition.old_vs_new and metric.definition.name not in ("negative_flips", "positive_flips", "lateral_flips"):
        with pytest.raises(Undefined):
            metric(same)
    else:
        assert_allclose(metric(same), 1 if metric.__name__ in AGREEMENT else 0, atol=1e-14)


@EVERY
def test_its_scale_fits_its_range(metric, draw):
    scale = metric.definition.scale
    if "calibration" in metric.__name__:
        assert scale == "none"
        return
    assert scale == ("plain" if metric.__name__ in EITHER_SIGN else "logit" if metric.__name__ in NEAR_ONE else "log")
    value = metric(predictions_for(metric, draw))
    assert scale == "plain" or value >= 0
    assert scale != "logit" or value <= metric.definition.most


LIMITED = [m for m in ALL if m.definition.limit is not None and np.isfinite(m.definition.limit) and m.definition.one_pass]


@pytest.mark.parametrize("metric", LIMITED, ids=lambda m: m.__name__)
@pytest.mark.parametrize("M", [2, 3, 12])
def test_no_replicas_are_beyond_its_limit(metric, M, draw):
    """One replica that is certain of one class, and others that are certain of another."""
    probs, labels = arrays_for(metric, draw, M)
    far = np.zeros_like(probs)
    if metric.definition.needs_scores:
        far[0], far[1:] = 1.0, -1.0
    else:
        far[0, :, 1], far[1:, :, 0] = 1.0, 1.0
    for each in (probs, far):
        p = made(metric, each, np.ones_like(labels))
        assert metric(p) <= metric.definition.limit * (1 + 1e-12)
        found = interval(metric.measure(p))
        assert not found.high > metric.definition.limit * (1 + 1e-12)


@pytest.mark.parametrize("metric", MEANS, ids=lambda m: m.__name__)
def test_the_mean_of_the_values_is_the_number(metric, draw):
    p = predictions_for(metric, draw)
    values = metric.values(p)
    number = np.mean(values[0]) / np.mean(values[1]) if isinstance(values, tuple) else np.mean(values)
    assert_allclose(metric(p), number, rtol=1e-12)


@pytest.mark.parametrize("metric", WHOLE, ids=lambda m: m.__name__)
def test_what_needs_all_examples_together_says_so(metric, draw):
    with pytest.raises(BadInput, match="needs all examples together"):
        Accumulator(metric)
    assert "one-pass" in metric.__doc__


@pytest.mark.parametrize("metric", [m for m in ALL if m not in MEANS], ids=lambda m: m.__name__)
def test_what_is_not_a_mean_of_contributions_says_so(metric, draw):
    with pytest.raises(BadInput, match="is not a mean of contributions"):
        metric.values(predictions_for(metric, draw))


@SUMMED
@pytest.mark.parametrize("weighted", [False, True])
def test_streaming_equals_the_whole(metric, weighted, draw):
    probs, labels = arrays_for(metric, draw)
    weights = np.linspace(0.0, 2, 60) if weighted else None
    cuts = [(0, 1), (1, 20), (20, 33), (33, 60)]
    parts = [made(metric, probs[:, i:j], labels[i:j], None if weights is None else weights[i:j]) for i, j in cuts[1:]]
    first, second = Accumulator(metric), Accumulator(metric)
    first.update(parts[0])
    second.update(parts[1]).update(parts[2])
    if weights is None:
        second.update(made(metric, probs[:, :1], labels[:1]))
    first.merge(pickle.loads(pickle.dumps(second)))  # noqa: S301  # our own
    first.merge(Accumulator(metric))
    whole = metric.measure(made(metric, probs[:, 1:], labels[1:], weights[1:]) if weighted else made(metric, probs, labels))
    streamed = first.compute()
    assert_allclose(streamed.value, whole.value, rtol=1e-13, atol=1e-16)
    assert_allclose(streamed.rows, whole.rows, rtol=1e-13, atol=1e-16)
    assert (streamed.jackknife_values is None) == (whole.jackknife_values is None)
    if whole.jackknife_values is not None:
        assert_allclose(streamed.jackknife_values, whole.jackknife_values, rtol=1e-12)
    assert_allclose(streamed.example_variance, whole.example_variance, rtol=1e-10)
    ours, theirs = interval(streamed), interval(whole)
    assert_allclose([ours.low, ours.high], [theirs.low, theirs.high], rtol=1e-10, atol=1e-14)
    counted = getattr(metric.definition, "counts_out_of", None) is not None
    if counted and not weighted:
        assert streamed.value == whole.value
        assert streamed.rows.tolist() == whole.rows.tolist()


@given(st.integers(3, 6), st.integers(10, 16), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_order_of_replicas_and_examples_does_not_matter(M, N, seed):
    rng = np.random.default_rng(seed)
    for metric in ALL:
        d = metric.definition
        replicas, classes = (2 if d.old_vs_new else M), (2 if d.binary else 3)
        probs, labels = rng.dirichlet(np.ones(classes), (replicas, N)), rng.integers(0, 2, N)
        labels[:4] = [0, 1, 0, 1]
        probs[:, :4, :] = 0.25 / (classes - 1)
        for n, tops in enumerate([(0, 1), (0, 1), (0, 0), (1, 1)]):  # right to wrong, wrong to right: every ratio has a value
            for m in range(replicas):
                probs[m, n, tops[m % 2]] = 0.75
        probs = np.log(probs[:, :, 0]) if d.needs_scores else probs[:, :, 0] if d.needs_outcomes else probs
        new_order = np.arange(replicas) if d.old_vs_new else rng.permutation(replicas)
        examples = rng.permutation(N)
        shuffled = made(metric, probs[new_order][:, examples], labels[examples])
        assert_allclose(metric(shuffled), metric(made(metric, probs, labels)), rtol=1e-9, atol=1e-13)
