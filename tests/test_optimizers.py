import pytest
import torch

from traintwice import optimizers
from traintwice.errors import BadSpec
from traintwice.optimizers import SGD, AdaGrad, Adam


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
