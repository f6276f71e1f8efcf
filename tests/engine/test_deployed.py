import logging
import queue
from logging.handlers import QueueHandler
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from traintwice.engine import Deployed, export_model
from traintwice.engine._deployed import _without_known_noise
from traintwice.errors import BadInput, TrainingFailed
from traintwice.methods import co_distillation, ensemble


@pytest.fixture
def model():
    generator = torch.Generator().manual_seed(0)
    networks = [nn.Linear(4, 3) for _ in range(2)]
    for network in networks:
        nn.init.normal_(network.weight, generator=generator)
    return Deployed(networks, "mean-prob").eval()


def test_what_is_written_predicts_the_same_elsewhere(model, tmp_path):
    x = torch.randn(5, 4)
    assert export_model(model, x, tmp_path / "new", formats=("safetensors", "pt2")) == {
        name: tmp_path / "new" / f"model.{name}" for name in ("safetensors", "pt2")
    }
    program = torch.export.load(tmp_path / "new" / "model.pt2").module()
    torch.testing.assert_close(program(x[:3]), model(x[:3]))


def test_what_is_deployed_is_what_a_method_keeps(model):
    networks, gate, x = list(model.networks), nn.Linear(4, 2), torch.randn(5, 4)
    probs = torch.stack([network(x).softmax(-1) for network in networks])
    torch.testing.assert_close(Deployed.of(co_distillation(), networks)(x), probs[0])
    torch.testing.assert_close(Deployed.of(ensemble(2), networks)(x), probs.mean(0))
    mixed = torch.einsum("bj,jbk->bk", gate(x).softmax(-1), probs)
    torch.testing.assert_close(Deployed.of(ensemble(2, "gate"), networks, [gate])(x), mixed)
    for method, several, gates in ((ensemble(2), networks[:1], []), (ensemble(2, "gate"), networks, []), (ensemble(2), [], [])):
        with pytest.raises(BadInput, match=r"Deployed.of: got \d networks and 0 gates, expected 2 networks"):
            Deployed.of(method, several, gates)


@pytest.mark.parametrize("keep", ["mean-prob", "mean-logit"])
def test_what_the_logits_are(keep):
    networks, x = [nn.Linear(4, 3), nn.Linear(4, 3)], torch.randn(5, 4)
    z = torch.stack([network(x) for network in networks])
    probs = z.sigmoid().mean(0) if keep == "mean-prob" else z.mean(0).sigmoid()
    torch.testing.assert_close(Deployed.of(ensemble(2, keep), networks, task="multi-label")(x), probs)
    torch.testing.assert_close(Deployed.of(ensemble(2, keep), networks, task="numbers")(x), z.mean(0))


def test_half_precision_is_averaged_in_single():
    networks, x = [nn.Linear(4, 3).bfloat16() for _ in range(2)], torch.randn(5, 4).bfloat16()
    probs = sum(network(x).float().softmax(-1) for network in networks) / 2
    torch.testing.assert_close(Deployed.of(ensemble(2), networks)(x), probs)


class WithLogits(nn.Module):
    """A network whose output is an object, or whose logits have another shape."""

    def __init__(self, change=lambda logits: SimpleNamespace(logits=logits), width=1):
        super().__init__()
        self.layer, self.change = nn.Linear(4, width), change

    def forward(self, x):
        return self.change(self.layer(x))


def test_outputs_of_networks():
    x = torch.randn(5, 4)
    network = WithLogits()
    torch.testing.assert_close(Deployed([network], "first")(x)[:, 1:], network.layer(x).sigmoid())
    for change, message in (
        (lambda z: z.squeeze(1), r"logits of shape \(5,\).*returns \(B, 1\)"),
        (lambda z: None, "a NoneType"),
    ):
        with pytest.raises(BadInput, match=message):
            Deployed([WithLogits(change)], "first")(x)
    with pytest.raises(BadInput, match="they return 1 and 3 logits"):
        Deployed([WithLogits(), WithLogits(width=3)], "mean-prob")(x)


class Unsaved(nn.Module):
    """Its state dict does not hold all that it predicts with."""

    def __init__(self):
        super().__init__()
        self.register_buffer("shift", torch.ones(3), persistent=False)
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x) * self.layer.weight.detach().sum() if self.shift.sum() > 0 else x

    def load_state_dict(self, state, **settings):
        self.shift = torch.zeros(3)
        return super().load_state_dict(state, **settings)


def test_what_predicts_something_else_is_not_kept(tmp_path):
    with pytest.raises(TrainingFailed, match=r"model.safetensors: the exported model's outputs differ by .*; it was not kept"):
        export_model(Unsaved().eval(), torch.randn(5, 3), tmp_path, formats=("safetensors",))
    assert list(tmp_path.iterdir()) == []


def test_mistakes(model, tmp_path):
    with pytest.raises(BadInput, match="got 'pb', expected one of safetensors, pt2, onnx"):
        export_model(model, torch.randn(5, 4), tmp_path, formats=("pb",))
    with pytest.raises(BadInput, match="BatchNorm1d and Dropout layers are in training mode"):
        export_model(nn.Sequential(nn.BatchNorm1d(4), nn.Dropout()), torch.randn(5, 4), tmp_path)
    with pytest.raises(BadInput, match="got 1 example, expected at least 2"):
        export_model(model, torch.randn(1, 4), tmp_path)
    with pytest.raises(BadInput, match="got 4 and 5 examples, expected inputs of the same examples"):
        export_model(model, (torch.randn(5, 4), torch.randn(4, 4)), tmp_path)
    with pytest.raises(BadInput, match="a gate reads one input, got several"):
        Deployed([nn.Bilinear(4, 4, 2)], "gate", [nn.Linear(4, 1)])((torch.randn(5, 4), torch.randn(5, 4)))


def test_only_known_noise_is_kept_off():
    import warnings

    logger, logged = logging.getLogger("torch.onnx._internal.exporter._registration"), queue.SimpleQueue()
    handler = QueueHandler(logged)
    logger.addHandler(handler)
    with _without_known_noise():
        logger.warning("torchvision is not installed. Skipping %s", "nms")
        logger.warning("something else")
        with pytest.warns(FutureWarning, match="of another kind"):
            warnings.warn("of another kind", FutureWarning, stacklevel=1)
    logger.warning("torchvision is not installed. Skipping %s", "nms")
    logger.removeHandler(handler)
    assert [logged.get().getMessage()[:15] for _ in range(logged.qsize())] == ["something else", "torchvision is "]
