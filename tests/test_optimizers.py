import pytest
import torch

from traintwice import optimizers, specs
from traintwice.data import Digits
from traintwice.engine import choose, train
from traintwice.errors import BadSpec
from traintwice.nets import MLP
from traintwice.optimizers import SGD, AdaGrad, Adam, Group, ParameterGroups
from traintwice.randomness import stream
from traintwice.recipes import Recipe
from traintwice.schedules import LinearDecay, at_step


def after_two_steps(optimizer):
    w = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    built = optimizer.build([w])
    for gradient in ([0.5, 0.1], [-0.2, 0.3]):
        w.grad = torch.tensor(gradient, dtype=torch.float64)
        built.step()
    return w.tolist()


def test_adagrad_is_its_formula():
    s, w = torch.full((2,), 0.1, dtype=torch.float64), torch.tensor([1.0, -2.0], dtype=torch.float64)
    for gradient in ([0.5, 0.1], [-0.2, 0.3]):
        g = torch.tensor(gradient, dtype=torch.float64)
        s = s + g**2
        w = w - 0.02 * g / (s.sqrt() + 1e-10)
    assert after_two_steps(AdaGrad()) == pytest.approx(w.tolist(), rel=1e-12)


def test_nesterov_is_its_formula():
    v, w = torch.zeros(2, dtype=torch.float64), torch.tensor([1.0, -2.0], dtype=torch.float64)
    for gradient in ([0.5, 0.1], [-0.2, 0.3]):
        g = torch.tensor(gradient, dtype=torch.float64) + 1e-4 * w
        v = 0.9 * v + g
        w = w - 0.1 * (g + 0.9 * v)
    assert after_two_steps(SGD(0.1, 0.9, nesterov=True, weight_decay=1e-4)) == pytest.approx(w.tolist(), rel=1e-12)


def test_decoupled_decay_differs_from_coupled():
    assert after_two_steps(Adam(weight_decay=0.1)) != after_two_steps(Adam(weight_decay=0.1, decoupled=True))


@pytest.mark.parametrize("optimizer", [SGD(0.2, 0.9, True, 1e-4), AdaGrad(0.3), Adam(decoupled=True)])
def test_prints_as_itself(optimizer):
    assert eval(repr(optimizer), vars(optimizers)) == optimizer  # noqa: S307


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=0), "SGD.lr: got 0, expected a number greater than 0"),
        (lambda: SGD(momentum=1), "SGD.momentum: got 1, expected a number from 0 to below 1"),
        (lambda: SGD(nesterov=True), "nesterov=True with momentum=0"),
        (lambda: AdaGrad(accumulator=-1), "AdaGrad.accumulator: got -1"),
        (lambda: Adam(eps=0), "Adam.eps"),
        (lambda: Adam(weight_decay=float("nan")), "Adam.weight_decay: got nan"),
    ],
)
def test_ranges(make, message):
    with pytest.raises(BadSpec, match=message):
        make()


def test_groups_of_parameters_are_those_of_pytorch():
    """Each pattern takes its parameters, the first one wins, and training is that of an optimiser made by hand."""
    made = ParameterGroups(Adam(0.01, weight_decay=0.1), (Group("*bias", weight_decay=0.0), Group("0.*", lr=0.5)))
    recipe = Recipe(network=MLP((6,)), optimizer=made, epochs=1, batch_size=20, lr_schedule=LinearDecay())
    data = Digits(train=60, validation=10, test=10).load()
    trained = train(recipe, data, seed=0, replica=0)
    network = recipe.network.build(data.shape, 10, stream(0, "initialisation"))
    named = dict(network.named_parameters())
    biases = [p for name, p in named.items() if name.endswith("bias")]
    first = [p for name, p in named.items() if name.startswith("0.") and not name.endswith("bias")]
    rest = [p for name, p in named.items() if not name.startswith("0.") and not name.endswith("bias")]
    groups = [{"params": rest, "lr": 0.01}, {"params": biases, "lr": 0.01, "weight_decay": 0.0}, {"params": first, "lr": 0.005}]
    assert all(group["params"] for group in groups)
    optimizer = torch.optim.Adam(groups, lr=0.01, weight_decay=0.1)
    rates = [group["lr"] for group in optimizer.param_groups]
    order = torch.from_numpy(stream(0, "order").permutation(60))
    for step, rows in enumerate(order.split(20)):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * at_step(recipe.resolve(60).lr_schedule, step)
        optimizer.zero_grad()
        x, y = torch.from_numpy(data.train.inputs)[rows], torch.from_numpy(data.train.labels)[rows].long()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(torch.from_numpy(trained.weights[f"0.{name}"]), value)
    assert specs.decode(Recipe, specs.encode(recipe)) == recipe
    assert choose(recipe, data).engine == "loop"


def test_groups_that_cannot_be():
    with pytest.raises(BadSpec, match="got none, expected at least one Group"):
        ParameterGroups(SGD(), ())
    with pytest.raises(BadSpec, match=r"Group.names: 'scale' matches no parameter of the network; it has weight, bias"):
        ParameterGroups(SGD(), (Group("scale"),)).build_named(torch.nn.Linear(2, 2).named_parameters())
    with pytest.raises(BadSpec, match=r"Group.lr: got 0, expected a number greater than 0"):
        Group("bias", lr=0)
    with pytest.raises(BadSpec, match="expected SGD, AdaGrad or Adam"):
        ParameterGroups(ParameterGroups(SGD(), (Group("a"),)), (Group("b"),))
