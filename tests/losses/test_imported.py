import numpy as np
import pytest
import torch

from traintwice.data import Digits
from traintwice.engine import Execution, train_group
from traintwice.errors import BadInput, BadSpec
from traintwice.losses import CrossEntropy, ImportedLoss, Outputs
from traintwice.methods import Method, Term
from traintwice.nets import MLP
from traintwice.recipes import Recipe


def squared(out, power=2.0):
    """A label loss: the distance of the probabilities from the labels."""
    one_hot = torch.nn.functional.one_hot(out.label_of_component, out.logits.shape[-1])
    return out.mean((out.probs - one_hot).abs().pow(power).sum(-1)).sum(-1)


def own_cross_entropy(out):
    return -out.mean(out.of_label(out.log_probs)).sum(-1)


def of_the_wrong_shape(out):
    return out.probs


def test_trains_as_the_function_says():
    loss = ImportedLoss("test_imported:squared", {"power": 2})
    out = Outputs(torch.tensor([[[0.0, 0.0]]]), torch.tensor([0]))
    assert loss(out).item() == 0.5
    data = Digits(train=64, validation=20, test=20).load()
    recipes = [
        Recipe(network=MLP((8,)), method=Method((Term(own),)), epochs=2, batch_size=32)
        for own in (ImportedLoss("test_imported:own_cross_entropy"), CrossEntropy())
    ]
    for engine in ("loop", "stacked"):
        trained = [dict(train_group(r, data, seed=0, replicas=[0, 1], execution=Execution(engine=engine))) for r in recipes]
        for m in range(2):
            np.testing.assert_allclose(*(own[m].outputs["test"] for own in trained), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"maker": "__main__:f"}, "other processes can import"),
        ({"maker": "nonsense"}, "other processes can import"),
        ({"maker": "a:b", "reads": ("labels",)}, "expected some of 'teacher' and 'gate'"),
        ({"maker": "a:b", "settings": {"x": object()}}, "ImportedLoss.settings"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(BadSpec, match=message):
        ImportedLoss(**settings)


def test_what_the_function_returns_is_checked():
    out = Outputs(torch.zeros(1, 2, 3), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(BadInput, match=r"returned shape \(1, 2, 3\), expected a tensor of shape \(\): one number per replica"):
        ImportedLoss("test_imported:of_the_wrong_shape")(out)
    with pytest.raises(BadSpec, match="cannot be imported"):
        ImportedLoss("test_imported:missing")(out)
