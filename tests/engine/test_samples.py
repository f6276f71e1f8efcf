"""Data as a source of randomness: each replica draws its own training sample, the same under every engine."""

import numpy as np
import pytest
from streams import SMALL as STREAM_RECIPE
from streams import N, stream_of

from traintwice.averaging import EMA
from traintwice.components import Component, OwnBatches, Sample
from traintwice.data import Dataset, Digits, Split
from traintwice.engine import Execution, train, train_group, training_rows
from traintwice.engine._batches import batch_sizes, batches
from traintwice.errors import BadSpec
from traintwice.methods import co_distillation, ensemble, ensemble_distillation
from traintwice.nets import MLP
from traintwice.optimizers import SGD, AdaGrad
from traintwice.progressive import Progressive
from traintwice.randomness import stream
from traintwice.recipes import Earlier, Recipe
from traintwice.specs import decode, digest, encode, identity, key_of
from traintwice.study._store import Store
from traintwice.study._worker import train_into

DATA = Digits(train=100, validation=20, test=30).load()
SMALL = Recipe(network=MLP((9,)), optimizer=SGD(0.1), epochs=2, batch_size=16)
BOOTSTRAP, SHARE = Sample(), Sample(0.6, replace=False)


def read(recipe, replica=0, examples=100, epoch=0):
    return [batch.rows.numpy() for batch in batches(recipe, examples, seed=0, replica=replica, epoch=epoch)]


@pytest.mark.parametrize("sample", [BOOTSTRAP, SHARE, Sample(0.3)])
def test_the_draw_is_that_of_the_definition(sample):
    for replica in range(3):
        rng = stream(0, "data", replica=replica)
        size = round(sample.share * 100)
        expected = [int(rng.integers(100)) for _ in range(size)] if sample.replace else list(rng.permutation(100)[:size])
        drawn = training_rows(SMALL.change(sample=sample), 100, seed=0, replica=replica)
        assert drawn.tolist() == sorted(expected) if not sample.replace else len(drawn) == size
        if sample.replace:
            assert drawn.tolist() == sorted(stream(0, "data", replica=replica).integers(100, size=size).tolist())


@pytest.mark.parametrize("sample", [BOOTSTRAP, SHARE])
def test_an_epoch_is_one_pass_over_the_sample(sample):
    recipe = SMALL.change(sample=sample)
    for replica in range(2):
        drawn = training_rows(recipe, 100, seed=0, replica=replica)
        for epoch in range(2):
            parts = read(recipe, replica, epoch=epoch)
            assert sorted(np.concatenate(parts).tolist()) == drawn.tolist()
            assert len(parts) == recipe.steps_per_epoch(100)
            assert {len(part) for part in parts} == set(batch_sizes(recipe, 100))


def test_replicas_draw_other_samples_and_a_fixed_source_draws_one():
    free, fixed = SMALL.change(sample=BOOTSTRAP), SMALL.change(sample=BOOTSTRAP, fixed=("data",))
    draws = {training_rows(free, 100, seed=0, replica=m).tobytes() for m in range(5)}
    assert len(draws) == 5
    assert {training_rows(fixed, 100, seed=0, replica=m).tobytes() for m in range(5)} <= draws
    assert free.free() == ("data", "initialisation", "order")
    assert fixed.free() == ("initialisation", "order")
    only_data = free.change(fixed=("initialisation", "order"))
    assert only_data.free() == ("data",)
    first, second = (train(only_data, DATA, seed=0, replica=m).outputs["test"] for m in (0, 1))
    assert not np.array_equal(first, second)


def test_a_sample_is_the_same_training_as_a_data_set_of_its_rows():
    recipe = SMALL.change(sample=SHARE, fixed=("order",))
    rows = training_rows(recipe, 100, seed=0, replica=0)
    smaller = Dataset(
        DATA.name, DATA.classes, Split(DATA.train.inputs[rows], DATA.train.labels[rows]), DATA.validation, DATA.test
    )
    order = stream(0, "order", replica=0).permutation(rows)
    np.testing.assert_array_equal(np.concatenate(read(recipe)), order)
    double = Execution("loop", precision="float64")
    found = train(recipe, DATA, seed=0, replica=0, execution=double).outputs["test"]
    expected = train(SMALL, smaller, seed=0, replica=0, execution=double).outputs["test"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sample", [BOOTSTRAP, SHARE])
@pytest.mark.parametrize("method", [ensemble(2), co_distillation(1.0)])
def test_every_engine_reads_the_same_sample(sample, method):
    recipe = SMALL.change(sample=sample, method=method, averaging=EMA())
    found = {}
    for engine in ("loop", "stacked", "vectorised"):
        execution = Execution(engine, precision="float64")
        found[engine] = [
            made.outputs["test"] for _, made in train_group(recipe, DATA, seed=3, replicas=[0, 1, 4], execution=execution)
        ]
    for engine in ("stacked", "vectorised"):
        np.testing.assert_allclose(found[engine], found["loop"], atol=1e-6)


def test_components_draw_from_the_sample_of_their_replica():
    bagged = SMALL.change(method=ensemble(3), own_batches=OwnBatches(sample=BOOTSTRAP))
    own = np.concatenate(read(bagged), axis=1)
    for j in range(3):
        drawn = stream(0, "subset", replica=0, component=j).integers(100, size=100)
        assert sorted(own[j].tolist()) == sorted(drawn.tolist())
    both = bagged.change(sample=SHARE)
    rows = training_rows(both, 100, seed=0, replica=2)
    assert set(np.concatenate(read(both, 2), axis=1).ravel().tolist()) <= set(rows.tolist())
    assert bagged.free() == ("initialisation", "order", "subset")


def test_a_student_has_the_sample_of_its_teacher():
    teacher = SMALL.change(method=ensemble(2), sample=BOOTSTRAP)
    student = SMALL.change(method=ensemble_distillation(), teacher=Earlier(teacher), sample=BOOTSTRAP)
    np.testing.assert_array_equal(*(training_rows(r, 100, seed=0, replica=2) for r in (teacher, student)))


def test_recipes_without_a_sample_keep_their_digests():
    assert "sample" not in encode(SMALL.change(own_batches=OwnBatches(), method=ensemble(2)))["own_batches"]
    assert "sample" not in encode(SMALL)
    sampled = SMALL.change(sample=SHARE)
    assert decode(Recipe, encode(sampled)) == sampled
    assert key_of(sampled, "d", 0) != key_of(SMALL, "d", 0)


def test_cost_counts_the_share():
    assert SMALL.change(sample=SHARE).cost(SMALL, (64,), 10).train == pytest.approx(0.6)
    assert SMALL.change(sample=BOOTSTRAP).cost(SMALL, (64,), 10).train == 1.0


def test_batch_statistics_of_averaged_weights_are_those_of_the_sample():
    recipe = SMALL.change(network=MLP((9,), batch_norm=True), averaging=EMA(), sample=SHARE)
    rows = training_rows(recipe, 100, seed=0, replica=0)
    inputs = DATA.train.inputs.copy()
    others = np.setdiff1d(np.arange(100), rows)
    inputs[others] = 1e3  # rows that were not drawn must not matter
    changed = Dataset(DATA.name, DATA.classes, Split(inputs, DATA.train.labels), DATA.validation, DATA.test)
    found = [train(recipe, data, seed=0, replica=0).outputs["test"] for data in (DATA, changed)]
    np.testing.assert_array_equal(*found)


def test_a_stream_predicts_every_example_and_trains_on_its_sample():
    recipe = SMALL.change(sample=Sample(0.5, replace=False), progressive=Progressive(window=10), epochs=1, optimizer=AdaGrad(0.1))
    drawn = training_rows(recipe, 100, seed=0, replica=0)
    rows, trained = [], []
    for batch in batches(recipe, 100, seed=0, replica=0, epoch=0):
        rows += batch.rows.tolist()
        trained += batch.rows[batch.trained].tolist()
    assert sorted(rows) == list(range(100))
    assert sorted(trained) == drawn.tolist()
    bootstrap = recipe.change(sample=BOOTSTRAP)
    again = [r for b in batches(bootstrap, 100, seed=0, replica=0, epoch=0) for r in b.rows[b.trained].tolist()]
    assert sorted(again) == training_rows(bootstrap, 100, seed=0, replica=0).tolist()


def test_rows_of_a_stream_that_are_not_drawn_are_predicted_and_change_no_weight():
    """Labels of rows that were not drawn are turned: no prediction changes. Those of drawn rows change later predictions."""
    recipe = STREAM_RECIPE.change(sample=Sample(0.5, replace=False))
    stream_data = stream_of()
    drawn = training_rows(recipe, N, seed=0, replica=0)
    others = np.setdiff1d(np.arange(N), drawn)

    def outputs(turned):
        labels = stream_data.train.labels.copy()
        labels[turned] = 1 - labels[turned]
        done = train(recipe, stream_of(labels), seed=0, replica=0)
        return np.concatenate([done.outputs[name] for name in ("warm_up", "validation", "test")], axis=1)

    plain = outputs([])
    assert np.isfinite(plain).all()
    np.testing.assert_array_equal(outputs(others), plain)
    assert not np.array_equal(outputs(drawn), plain)


def test_the_record_of_a_replica_has_its_sample(tmp_path):
    recipe, source = SMALL.change(sample=BOOTSTRAP, epochs=1), Digits(train=100, validation=20, test=30)
    store = Store(tmp_path)
    key = key_of(recipe, DATA.digest, 0)
    store.prepare(key, identity(recipe, DATA.digest, 0))
    assert [a["outcome"] for a in train_into(store, recipe, source, DATA, seed=0, replicas=(0, 1))] == ["done", "done"]
    for replica in (0, 1):
        rows = training_rows(recipe, 100, seed=0, replica=replica)
        found = store.record(key, replica)["sample"]
        assert found == {"rows": 100, "distinct": len(set(rows.tolist())), "digest": digest(rows.tolist())}


def test_contradictions_are_refused():
    with pytest.raises(BadSpec, match=r"Sample.share: got 0.0, expected a fraction greater than 0"):
        Sample(0.0)
    with pytest.raises(BadSpec, match="got 1 without replacement, which draws every example"):
        Sample(replace=False)
    with pytest.raises(BadSpec, match="two draws; leave one out"):
        SMALL.change(
            method=ensemble(2), components=(Component(subset=0.5), Component()), own_batches=OwnBatches(sample=BOOTSTRAP)
        )
