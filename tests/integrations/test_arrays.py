"""Plain functions of arrays against the losses of PyTorch, in NumPy, a strict array API, and JAX where it is installed."""

from importlib.util import find_spec

import array_api_strict
import numpy as np
import pytest
import torch

from no_torch import HIDE_TORCH
from traintwice.errors import BadInput, BadSpec
from traintwice.integrations.arrays import agreement, cross_entropy, decorrelation, logged_targets
from traintwice.losses import Agreement, Decorrelation, LoggedDistillation, Outputs

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(3, 7, 4))
LABELS = RNG.integers(4, size=7)
OLD = RNG.dirichlet(np.ones(4), size=7)

COUPLING = [
    *[(agreement, (kind,), {}, Agreement(kind)) for kind in ("skl", "l1", "ce")],
    *[
        (
            decorrelation,
            (matrix,),
            {"center": center, "normalize": normalize},
            Decorrelation(matrix, center=center, normalize=normalize),
        )
        for matrix in ("second-moment", "covariance", "residue")
        for center in ("none", "class")
        for normalize in (False, True)
    ],
]
LIBRARIES = {"numpy": np.asarray, "strict": array_api_strict.asarray, "torch": torch.as_tensor}


def of_torch(loss, logits=LOGITS, **fields):
    """Value and gradient of a loss of PyTorch."""
    leaf = torch.tensor(logits, requires_grad=True)
    value = loss(Outputs(leaf, torch.tensor(LABELS), **fields))
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.item(), gradient.numpy()


def logged_loss(logits, labels, old):
    return cross_entropy(logits, logged_targets(labels, old, 0.3)).sum()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("function", "given", "options", "loss"), COUPLING)
def test_values_are_those_of_the_losses(function, given, options, loss, library):
    found = float(function(LIBRARIES[library](LOGITS), *given, **options))
    assert found == pytest.approx(of_torch(loss)[0], rel=1e-9)
    assert float(function(LIBRARIES[library](LOGITS[:1]), *given, **options)) == 0


def test_logged_targets_are_those_of_the_loss():
    by_number = logged_targets(LABELS, OLD, 0.3)
    np.testing.assert_allclose(by_number, 0.3 * OLD + 0.7 * np.eye(4)[LABELS])
    np.testing.assert_array_equal(logged_targets(np.eye(4)[LABELS], OLD, 0.3), by_number)
    value, _ = of_torch(LoggedDistillation(0.3), teacher=torch.tensor(OLD).log())
    assert float(cross_entropy(LOGITS, by_number).sum()) == pytest.approx(value, rel=1e-9)


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed (make test-frameworks)")
@pytest.mark.parametrize(("function", "given", "options", "loss"), [*COUPLING, (None, (), {}, LoggedDistillation(0.3))])
def test_gradients_under_jax(function, given, options, loss):
    import jax

    fields = {} if function else {"teacher": torch.tensor(OLD).log()}
    value, gradient = of_torch(loss, **fields)
    with jax.enable_x64(True):
        inputs = jax.numpy.asarray(LOGITS)
        of = (
            (lambda z: function(z, *given, **options)) if function else (lambda z: logged_loss(z, LABELS, jax.numpy.asarray(OLD)))
        )
        found, slope = jax.jit(jax.value_and_grad(of))(inputs)
    assert float(found) == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(slope, gradient, rtol=1e-7, atol=1e-10)


def test_no_torch_is_needed(tmp_path):
    import subprocess
    import sys

    code = (
        HIDE_TORCH
        + "\nimport numpy as np\nfrom traintwice.integrations.arrays import agreement\nprint(agreement(np.zeros((2, 1, 3))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0.0\n"


def test_bad_inputs():
    with pytest.raises(BadInput, match=r"got labels of shape \(3,\) and logged predictions of shape \(7, 4\)"):
        logged_targets(LABELS[:3], OLD)
    with pytest.raises(BadSpec, match=r"share: got 1\.5, expected a number in"):
        logged_targets(LABELS, OLD, 1.5)
    with pytest.raises(BadSpec, match=r"agreement\.kind: got 'js', expected one of 'skl', 'l1', 'ce'"):
        agreement(LOGITS, "js")
    with pytest.raises(BadSpec, match=r"decorrelation\.matrix: got 'rank'"):
        decorrelation(LOGITS, "rank")
    with pytest.raises(BadInput, match=r"agreement: got shape \(7, 4\), expected \(networks, rows, classes\)"):
        agreement(LOGITS[0])
