import logging
import queue
from logging.handlers import QueueHandler

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
