"""Methods of later papers in training: what is served, what stays as it was, and what is learnt from."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from traintwice import controls
from traintwice.averaging import StartInterpolation
from traintwice.components import Sample
from traintwice.data import Digits
from traintwice.engine import Execution, train, train_group, training_rows
from traintwice.engine._loss_inputs import Teacher, neighbour_shares
from traintwice.engine._training import TrainingSpec
from traintwice.errors import BadSpec
from traintwice.losses import LoggedDistillation, NeighbourSmoothing
from traintwice.methods import Method, Term, elodi, ensemble, neighbour_smoothing
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.recipes import Earlier, Recipe

DATA = Digits(train=100, validation=20, test=30).load()
SMALL = Recipe(network=MLP((9,)), optimizer=SGD(0.1), epochs=2, batch_size=32)
OLD = train(SMALL, DATA, seed=0, replica=0).weights


@pytest.mark.parametrize("engine", ["loop", "stacked", "vectorised"])
def test_interpolated_weights_are_those_of_the_formula(engine):
    def trained(recipe):
        ((_, made),) = train_group(recipe, DATA, seed=0, replicas=[1], starts={1: OLD}, execution=Execution(engine))
        return made.weights

    new, found = trained(controls.warm_start(SMALL)), trained(controls.weight_interpolation(SMALL, 0.3))
    for name, value in found.items():
        np.testing.assert_allclose(value, 0.3 * OLD[name] + 0.7 * new[name], atol=1e-6)


def test_interpolation_needs_an_old_model():
    with pytest.raises(BadSpec, match="StartInterpolation is between an old model and the new one"):
        SMALL.change(averaging=StartInterpolation())
    with pytest.raises(BadSpec, match=r"StartInterpolation.old: got 1.0"):
        StartInterpolation(1.0)


def test_gated_fusion_keeps_the_deployed_model_and_trains_the_other():
    recipe = controls.gated_fusion(SMALL)
    found = train(recipe, DATA, seed=0, replica=1, start=OLD).weights
    new = train(controls.warm_start(SMALL), DATA, seed=0, replica=1, start=OLD).weights
    for name in (name.removeprefix("0.") for name in OLD):
        np.testing.assert_array_equal(found[f"0.{name}"], OLD[f"0.{name}"])
        np.testing.assert_allclose(found[f"1.{name}"], new[f"0.{name}"], atol=1e-6)
    assert np.any(found["gate.0.weight"] != 0)
    assert recipe.cost(SMALL, (64,), 10).serve == 2


def test_shares_of_neighbours_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    points, labels, among = rng.normal(size=(200, 3)), rng.integers(0, 4, 200), np.sort(rng.permutation(200)[:150])
    known = KNeighborsClassifier(7).fit(points[among], labels[among])
    found = neighbour_shares(torch.from_numpy(points), torch.from_numpy(labels), 4, 7, torch.from_numpy(among))
    np.testing.assert_allclose(found.numpy(), known.predict_proba(points), atol=1e-12)
    one = neighbour_shares(torch.from_numpy(points), torch.from_numpy(labels), 4, 1, torch.arange(200))
    np.testing.assert_array_equal(one.argmax(1).numpy(), labels)  # an example is its own nearest neighbour


@pytest.mark.parametrize("sample", [None, Sample(0.5, replace=False)])
def test_neighbours_are_training_examples_of_the_replica(sample):
    recipe = SMALL.change(method=neighbour_smoothing(neighbours=200), teacher=Earlier(SMALL), sample=sample)
    spec = TrainingSpec(recipe.resolve(100), DATA, 0, Execution("loop"), teachers={0: OLD})
    found = Teacher(spec, 0).logits(torch.arange(3), None).exp()
    rows = training_rows(recipe, 100, seed=0, replica=0)
    counts = np.bincount(DATA.train.labels[rows], minlength=10) / len(rows)
    np.testing.assert_allclose(found.numpy(), np.broadcast_to(counts, (1, 3, 10)), atol=1e-6)


@pytest.mark.parametrize("engine", ["stacked", "vectorised"])
@pytest.mark.parametrize("method", [neighbour_smoothing(neighbours=5), elodi(0.1, top_k=3)])
def test_every_engine_teaches_the_same(engine, method):
    team = SMALL.change(method=ensemble(2))
    teachers = {m: train(team, DATA, seed=0, replica=m).weights for m in (0, 1)}
    recipe = SMALL.change(method=method, teacher=Earlier(team))

    def outputs(of):
        done = train_group(recipe, DATA, seed=0, replicas=[0, 1], teachers=teachers, execution=Execution(of, precision="float64"))
        return np.stack([made.outputs["test"] for _, made in done])

    np.testing.assert_allclose(outputs(engine), outputs("loop"), atol=1e-6)


@pytest.mark.parametrize("engine", ["stacked", "vectorised"])
def test_twin_bootstraps_are_the_same_in_every_engine(engine):
    recipe = controls.twin_bootstrap(SMALL, share=0.5)
    found = []
    for of in (engine, "loop"):
        done = train_group(recipe, DATA, seed=0, replicas=[0, 3], execution=Execution(of, precision="float64"))
        found.append(np.stack([made.outputs["test"] for _, made in done]))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_a_teacher_is_read_in_one_way():
    both = Method((Term(NeighbourSmoothing()), Term(LoggedDistillation())))
    with pytest.raises(BadSpec, match="read the predictions of a teacher and terms that read labels of near examples"):
        _ = both.neighbours


def test_costs_of_later_work():
    def cost(recipe):
        found = recipe.cost(SMALL, (64,), 10)
        return found.train, found.serve

    assert cost(controls.weight_interpolation(SMALL)) == (1, 1)
    assert cost(controls.bagging(SMALL, 3)) == (3, 3)
    assert cost(controls.twin_bootstrap(SMALL, share=1.0)) == (4, 2)
    assert cost(controls.data_draws(SMALL)) == (1, 1)
