"""Networks for pictures on the reference engine: batch norm, averages, dropout, augmentation, peers, interruption, deployment."""

import numpy as np
import pytest
import torch

from traintwice.augmentation import CropFlip
from traintwice.averaging import EMA, SWA, Snapshots
from traintwice.data import Dataset
from traintwice.data._splits import split
from traintwice.engine import train
from traintwice.engine._deployed import deployed
from traintwice.methods import anti_distillation, co_distillation, ensemble
from traintwice.nets import LeNet5, ResNet, ResNetV2
from traintwice.optimizers import SGD
from traintwice.recipes import Recipe


def pictures(shape=(3, 8, 8), classes=4):
    """Pictures whose class is the corner that is bright."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 90)
    inputs = rng.normal(0, 0.3, (90, *shape)).astype(np.float32)
    rows, columns = (slice(None, 4), slice(4, None)), (slice(None, 4), slice(4, None))
    for x, label in zip(inputs, labels, strict=True):
        x[..., rows[label // 2], columns[label % 2]] += 1
    parts = split(inputs, labels, (50, 20, 20), seed=0)
    return Dataset("corners", classes, *parts, pixels=(8, 8))


DATA = pictures()
BASE = Recipe(network=ResNet(((1, 4, 1), (1, 8, 2))), optimizer=SGD(0.1, 0.9, nesterov=True), epochs=2, batch_size=16)

RECIPES = {
    "LeNet5 with dropout": {"network": LeNet5(dropout=0.3)},
    "ResNet": {},
    "ResNetV2, crops": {"network": ResNetV2(((1, 4, 1), (1, 8, 2))), "augmentation": CropFlip(1)},
    "EMA": {"averaging": EMA(), "method": anti_distillation(2, 0.05)},
    "SWA, dropout": {"averaging": SWA(0.5), "network": LeNet5("smelu", dropout=0.2)},
    "snapshots": {"averaging": Snapshots(2)},
    "stale peer, SAM, clipped": {"method": co_distillation(kind="ce", lag_steps=1), "sharpness": 0.05, "clip_norm": 1.0},
    "gate, emulated hardware": {"method": ensemble(2, keep="gate"), "hardware": "emulated"},
}


@pytest.mark.parametrize("name", RECIPES)
def test_trains_the_same_bits_twice_and_is_deployed_as_trained(name):
    recipe = BASE.change(**RECIPES[name])
    first, second = (train(recipe, DATA, seed=0, replica=1) for _ in range(2))
    assert first.outputs["test"].tobytes() == second.outputs["test"].tobytes()
    assert first.outputs["test"].tobytes() != train(recipe, DATA, seed=0, replica=2).outputs["test"].tobytes()
    model = deployed(recipe, DATA, first.weights)
    logits = torch.stack([network(torch.from_numpy(DATA.test.inputs)) for network in model.networks]).detach().numpy()
    np.testing.assert_allclose(logits, first.outputs["test"][: len(logits)], atol=1e-5)


def test_learns():
    done = train(BASE.change(epochs=8), DATA, seed=0, replica=0)
    assert (done.outputs["test"][0].argmax(-1) == DATA.test.labels).mean() > 0.8


def test_batch_statistics_are_those_of_the_averaged_weights():
    """The running mean behind the first convolution is the mean of its outputs over the training set, batch by batch."""
    weights = train(BASE.change(averaging=EMA()), DATA, seed=0, replica=0).weights
    first = torch.from_numpy(weights["0.1.weight"])
    x = torch.from_numpy(DATA.train.inputs)
    means = [torch.nn.functional.conv2d(part, first, padding=1).mean((0, 2, 3)) for part in x.split(16)]
    np.testing.assert_allclose(weights["0.2.running_mean"], torch.stack(means).mean(0).numpy(), atol=1e-5)


def test_pictures_without_channels():
    data = pictures((8, 8))
    assert train(BASE.change(network=LeNet5(), epochs=1), data, seed=0, replica=0).outputs["test"].shape == (1, 20, 4)


def test_large_pictures_are_predicted_a_few_at_a_time(monkeypatch):
    """The numbers in a forward pass are bounded, and small pictures go on as a thousand at once."""
    from traintwice.engine import _reading as predicting

    seen = []

    class Spy(torch.nn.Linear):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x.flatten(1))

    monkeypatch.setattr(predicting, "PREDICT_NUMBERS", 8 * 192)
    predicting.predict([Spy(192, 4)], DATA.test)
    assert seen == [8, 8, 4]
    monkeypatch.undo()
    seen.clear()
    predicting.predict([Spy(192, 4)], DATA.test)
    assert seen == [20]
