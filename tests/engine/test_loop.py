from dataclasses import replace

import numpy as np
import pytest
import torch

from traintwice.data import Digits
from traintwice.engine import Execution, train
from traintwice.errors import Diverged
from traintwice.losses import CrossEntropy, Difference, LogitL2, Outputs
from traintwice.methods import (
    Method,
    Term,
    anti_distillation,
    anti_distillation_difference,
    baseline,
    co_distillation,
    ensemble,
    entropy_regulariser,
    symmetric_kl_regulariser,
)
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.randomness import stream
from traintwice.recipes import Recipe
from traintwice.schedules import Jump, LinearDecay

DATA = Digits(train=100, validation=20, test=30).load()
SMALL = Recipe(network=MLP((9, 7)), optimizer=SGD(0.1, 0.9), epochs=2, batch_size=32)


def test_shapes_and_steps():
    done = train(SMALL.change(method=ensemble(3)), DATA, seed=0, replica=0)
    assert {name: z.shape for name, z in done.outputs.items()} == {"validation": (3, 20, 10), "test": (3, 30, 10)}
    assert done.outputs["test"].dtype == np.float32
    assert done.steps == 2 * 4


def test_is_a_plain_training_loop():
    """The same network trained by a loop a user would write, from the same streams."""
    network = SMALL.network.build(DATA.shape, 10, stream(5, "initialisation", replica=3)).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.from_numpy(DATA.train.inputs).double(), torch.from_numpy(DATA.train.labels)
    for epoch in range(2):
        order = stream(5, "order", replica=3, epoch=epoch).permutation(100)
        for start in range(0, 100, 32):
            rows = order[start : start + 32]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
    expected = network(torch.from_numpy(DATA.test.inputs).double()).detach().float().numpy()
    ours = train(SMALL, DATA, seed=5, replica=3, execution=Execution("loop", precision="float64")).outputs["test"][0]
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "method", [baseline(), ensemble(2), anti_distillation(2), co_distillation(ramp_epochs=1), entropy_regulariser()]
)
def test_twice_the_same_bits(method):
    recipe = SMALL.change(method=method)
    first, second = (train(recipe, DATA, seed=0, replica=1).outputs["test"] for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != train(recipe, DATA, seed=0, replica=2).outputs["test"].tobytes()
    assert first.tobytes() != train(recipe, DATA, seed=1, replica=1).outputs["test"].tobytes()


def test_rows_share_their_streams():
    """Without coupling, the first component of an ensemble is the baseline's network, bit for bit."""
    alone = train(SMALL, DATA, seed=0, replica=4).outputs["test"]
    together = train(SMALL.change(method=ensemble(2)), DATA, seed=0, replica=4).outputs["test"]
    assert alone[0].tobytes() == together[0].tobytes()
    assert together[0].tobytes() != together[1].tobytes()


def test_decayed_rate_reaches_the_optimiser():
    """With the rate at zero from the second step on, more epochs change nothing."""
    frozen = SMALL.change(lr_schedule=LinearDecay(steps=1))
    short, long = (train(frozen.change(epochs=e), DATA, seed=0, replica=0).outputs["test"] for e in (1, 3))
    assert short.tobytes() == long.tobytes()
    assert short.tobytes() != train(SMALL.change(epochs=1), DATA, seed=0, replica=0).outputs["test"].tobytes()


def test_weights_of_terms_reach_the_loss():
    """A cross entropy of weight 1/2 at twice the rate is the plain one under SGD without momentum."""
    plain = SMALL.change(optimizer=SGD(0.1))
    halved = SMALL.change(optimizer=SGD(0.2), method=Method((Term(CrossEntropy(), 0.5),)))
    first, second = (
        train(r, DATA, seed=0, replica=0, execution=Execution("loop", precision="float64")).outputs["test"]
        for r in (plain, halved)
    )
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_learns():
    done = train(Recipe(epochs=10), Digits().load(), seed=0, replica=0)
    assert (done.outputs["test"][0].argmax(-1) == Digits().load().test.labels).mean() > 0.85


DIVERGING = {
    "a rate too high": (
        {"optimizer": SGD(1e30)},
        r"at step 1 the logits of component 0 are not finite; the steps may be too large: lower the learning rate",
    ),
    "difference": (
        {"method": anti_distillation_difference(2, 1.0, signal="logits")},
        r"the logits of component 0 are not finite; at the last finite step Difference\(.*\) enlarged them most: lower its weight",
    ),
    "difference of a sub-network": (
        {"method": Method((*ensemble(2).terms, Term(Difference(signal="0"))), 2), "optimizer": SGD(1e20)},
        r"at step 1 the logits of component 0 are not finite; at the last finite step Difference\(.*signal='0'.*\) enlarged them most",
    ),
    "symmetric KL": (
        {"method": symmetric_kl_regulariser(0.9), "optimizer": SGD(1.0, 0.9)},
        r"are not finite; at the last finite step SymmetricKLToUniform\(.*\) enlarged them most",
    ),
    "de-correlation": ({"method": anti_distillation(2, 100.0)}, r"the term Decorrelation\(.*\) is inf"),
    "a weight": (
        {"method": Method((Term(CrossEntropy()), Term(LogitL2(), -1e38))), "optimizer": SGD(1e-36)},
        r"at step 1 the term LogitL2\(\) is \d\S*, and not finite times its weight -1e\+38",
    ),
    "not one whose weight is 0": (
        {
            "method": Method((Term(CrossEntropy()), Term(Difference(), 0.0), Term(LogitL2(), Jump(-1.0, steps=10))), 2),
            "epochs": 9,
        },
        r"the term LogitL2\(\) is inf",
    ),
}


@pytest.mark.parametrize("name", DIVERGING)
def test_divergence_names_the_step_and_the_cause(name):
    change, message = DIVERGING[name]
    with pytest.raises(Diverged, match=message) as seen:
        train(SMALL.change(**{"epochs": 9, **change}), DATA, seed=0, replica=7)
    assert f"at step {seen.value.step} " in str(seen.value)


@pytest.mark.parametrize("split", ["train", "test"])
def test_divergence_names_inputs_that_are_not_finite(split):
    inputs = getattr(DATA, split).inputs.copy()
    inputs[3, 1] = np.nan
    data = replace(DATA, **{split: replace(getattr(DATA, split), inputs=inputs)})
    with pytest.raises(
        Diverged, match=rf"1 of {len(inputs)} {split} inputs have NaN or infinite numbers \(first: row 3 of the split\)"
    ):
        train(SMALL, data, seed=0, replica=0)


def test_outputs_are_what_the_loss_sees():
    seen = []

    class Spy:
        def __call__(self, out: Outputs):
            seen.append((tuple(out.logits.shape), tuple(out.labels.shape)))
            return CrossEntropy()(out)

    train(SMALL.change(method=Method((Term(Spy()),), 2), epochs=1), DATA, seed=0, replica=0)
    assert seen == [((2, 32, 10), (32,))] * 3 + [((2, 4, 10), (4,))]
