"""The training loss along a training, against a plain loop."""

import numpy as np
import pytest
import torch

from traintwice.data import Digits
from traintwice.engine import Execution, train_group
from traintwice.engine._batches import batches
from traintwice.engine._training import Curve, points_of
from traintwice.losses import CrossEntropy, Entropy
from traintwice.methods import Method, Term
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.randomness import stream
from traintwice.recipes import Recipe

DATA = Digits(train=64, validation=20, test=40).load()


def by_hand(recipe, extra):
    """Loss of every step of replica 1."""
    network = recipe.network.build(DATA.shape, 10, stream(0, "initialisation", replica=1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    found = []
    for epoch in range(recipe.epochs):
        for batch in batches(recipe, 64, seed=0, replica=1, epoch=epoch):
            x, y = (torch.from_numpy(a)[batch.rows] for a in (DATA.train.inputs, DATA.train.labels))
            logits = network(x)
            probs = logits.softmax(1)
            loss = torch.nn.functional.cross_entropy(logits, y) - extra * (probs * probs.log()).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    return np.array(found)


@pytest.mark.parametrize("engine", ["loop", "stacked", "vectorised"])
@pytest.mark.parametrize("extra", [0.0, 0.3])
def test_each_point_is_the_mean_of_its_steps(engine, extra):
    """22 epochs of 3 steps, so a point for each epoch; a plain cross entropy has a gradient by hand in the grouped engines."""
    terms = (Term(CrossEntropy()), *([Term(Entropy(), extra)] if extra else []))
    recipe = Recipe(network=MLP((8,)), method=Method(terms), epochs=22, batch_size=30, optimizer=SGD(0.1))
    replicas = [1] if engine == "loop" else [0, 1, 2]
    found = dict(train_group(recipe, DATA, seed=0, replicas=replicas, execution=Execution(engine)))[1].curve
    np.testing.assert_allclose(found, by_hand(recipe, extra).reshape(22, 3).mean(1), rtol=2e-4)


def test_short_trainings_have_several_points_an_epoch():
    assert (points_of(20, 600), points_of(3, 90), points_of(1, 7)) == (20, 21, 7)
    curve = Curve(1, 40, 2, torch.device("cpu"))
    for step in range(39):
        curve.add(step, torch.tensor([step, -step]))
    assert curve.of(1).tolist() == [-(4 * i + 1) / 2 for i in range(19)] + [-38.0]
    again = Curve(1, 40, 2, torch.device("cpu"))
    again.restore([curve.state(1), curve.state(0)])
    again.add(39, torch.tensor([0.0, 0.0]))
    assert again.of(1)[-1] == 19.0
    assert np.isnan(Curve(1, 40, 1, torch.device("cpu")).of(0)).all()
