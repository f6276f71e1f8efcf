"""A network of one logit learns from the probabilities that a model logged, as one of two logits does."""

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import nn

from traintwice.data import Dataset, Split
from traintwice.engine import Execution, train, train_group
from traintwice.engine._batches import batches
from traintwice.errors import BadSpec
from traintwice.losses import Distillation, LoggedDistillation
from traintwice.methods import Method, Term, logged_distillation
from traintwice.nets import Factory
from traintwice.optimizers import SGD
from traintwice.predictions import write_predictions
from traintwice.randomness import stream
from traintwice.recipes import Recipe
from traintwice.served import Logged, Weights

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(90, 3)).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0).astype(np.int64)
PARTS = [Split(INPUTS[at], LABELS[at], ids=np.arange(90)[at]) for at in (slice(0, 40), slice(40, 60), slice(60, 90))]
DATA = Dataset("made", 2, *PARTS)
BASE = Recipe(network=Factory("test_one_logit:make"), optimizer=SGD(0.5), epochs=2, batch_size=20)


def make(shape, classes, logits=1):
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, logits))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    made = train(BASE, DATA, seed=5, replica=0)
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(made.weights))
    network = BASE.network.build(DATA.shape, 2, np.random.default_rng(0)).eval()
    network.load_state_dict({name[2:]: torch.from_numpy(array) for name, array in made.weights.items()})
    with torch.no_grad():
        z = network.network(torch.from_numpy(PARTS[0].inputs)).double()
    assert z.shape == (40, 1)
    probs = torch.cat([1 - z.sigmoid(), z.sigmoid()], 1).numpy()
    write_predictions(folder / "served.parquet", probs, ids=DATA.ids_of("train"))
    return folder


@pytest.mark.parametrize("loss", [LoggedDistillation(1.0), Distillation(1.0)])
def test_a_model_that_equals_the_old_one_does_not_move(served, loss):
    logged, same = Logged(str(served / "served.parquet")), Weights(str(served / "model.safetensors"))
    recipe = BASE.change(method=Method((Term(loss),)), teacher=logged, start=same)
    after, before = (train(r, DATA, seed=0, replica=1) for r in (recipe, recipe.change(optimizer=SGD(1e-30))))
    assert max(float(np.abs(after.weights[name] - before.weights[name]).max()) for name in before.weights) < 1e-6


def test_it_learns_from_the_log_as_from_the_model(served):
    student = BASE.change(method=logged_distillation(0.7), teacher=Logged(str(served / "served.parquet")))
    by_log = train(student, DATA, seed=0, replica=1, execution=Execution("loop", precision="float64"))
    by_model = train(student.change(teacher=Weights(str(served / "model.safetensors"))), DATA, seed=0, replica=1)
    np.testing.assert_allclose(by_log.outputs["test"], by_model.outputs["test"], atol=1e-4)
    assert np.abs(by_log.outputs["test"] - train(BASE, DATA, seed=0, replica=1).outputs["test"]).max() > 1e-2


@pytest.mark.parametrize("engine", ["loop", "vectorised"])
def test_it_trains_as_by_the_binary_cross_entropy(engine):
    ((_, ours),) = train_group(BASE, DATA, seed=0, replicas=[1], execution=Execution(engine))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(0, "initialisation", replica=1).integers(2**63)))
        network = make((3,), 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for epoch in range(2):
        for batch in batches(BASE, 40, seed=0, replica=1, epoch=epoch):
            x, y = (torch.from_numpy(a)[batch.rows] for a in (PARTS[0].inputs, PARTS[0].labels))
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(network(x).squeeze(1), y.float()).backward()
            optimizer.step()
    with torch.no_grad():
        z = network(torch.from_numpy(PARTS[2].inputs)).numpy()
    np.testing.assert_allclose(ours.outputs["test"][0], np.hstack([0 * z, z]), atol=1e-5)


def test_one_logit_of_three_classes_is_refused():
    with pytest.raises(BadSpec, match=r"expected logits \(2, 3\)$"):
        BASE.network.build((3,), 3, np.random.default_rng(0))
