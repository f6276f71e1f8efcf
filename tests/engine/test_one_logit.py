"""A network of one logit learns from the probabilities that a model logged, as one of two logits does."""

import numpy as np
import pytest
import safetensors.numpy
import torch

from traintwice.data import Columns, Dataset, Split
from traintwice.engine import Execution, train
from traintwice.errors import BadInput
from traintwice.losses import Distillation, LoggedDistillation, Outputs
from traintwice.methods import Method, Term, logged_distillation
from traintwice.nets import Towers
from traintwice.optimizers import SGD
from traintwice.predictions import write_predictions
from traintwice.recipes import Recipe
from traintwice.served import Logged, Weights

RNG = np.random.default_rng(0)
INPUTS = np.concatenate([RNG.normal(size=(90, 2)), RNG.integers(0, 5, (90, 1))], axis=1).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0).astype(np.int64)
PARTS = [Split(INPUTS[at], LABELS[at]) for at in (slice(0, 40), slice(40, 60), slice(60, 90))]
DATA = Dataset("made", 2, *PARTS, columns=Columns(("a", "b"), ("c",), (5,)))
BASE = Recipe(network=Towers((6,), embedding=3), optimizer=SGD(0.5), epochs=2, batch_size=20)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    made = train(BASE, DATA, seed=5, replica=0)
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(made.weights))
    network = BASE.network.build(DATA.shape, 2, np.random.default_rng(0)).eval()
    network.load_state_dict({name[2:]: torch.from_numpy(array) for name, array in made.weights.items()})
    with torch.no_grad():
        z = network(torch.from_numpy(PARTS[0].inputs)).double()
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


def test_a_sure_teacher_gives_finite_numbers_and_three_classes_are_refused():
    z, labels = torch.tensor([[[0.3], [0.1]]]), torch.tensor([0, 1])
    sure = torch.tensor([[[0.0, -torch.inf], [-torch.inf, 0.0]]])
    out = Outputs(z, labels, teacher=sure)
    expected = (torch.log1p(z[0, 0].exp()) + torch.log1p((-z[0, 1]).exp())) / 2
    torch.testing.assert_close(LoggedDistillation(1.0)(out), expected[0])
    with pytest.raises(BadInput, match="got teacher of shape"):
        Outputs(z, labels, teacher=torch.zeros(1, 2, 3))
