"""Components trains as a loop written by hand does, and resumes from its state dict."""

import copy
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from torch import nn

from heavy import heavy
from traintwice.data import Digits
from traintwice.engine import Deployed, export_model
from traintwice.errors import BadInput, BadSpec
from traintwice.integrations.components import Components
from traintwice.losses import Outputs
from traintwice.methods import (
    anti_distillation,
    baseline,
    co_distillation,
    ensemble,
    label_smoothing,
    logged_distillation,
    regularised_co_distillation,
)
from traintwice.nets import Factory
from traintwice.randomness import stream
from traintwice.schedules import Ramp

METHODS = {
    "baseline": baseline(),
    "ensemble": ensemble(3),
    "label smoothing ramp": label_smoothing(Ramp(0.2, steps=4)),
    "anti-distillation": anti_distillation(2, 0.05, center="class"),
    "running": anti_distillation(2, Ramp(0.05, steps=3), rho=0.9, center="class"),
    "signal": anti_distillation(2, 0.05, signal="0"),
    "co-distillation": co_distillation(1.0),
    "co-distillation ramp": regularised_co_distillation(Ramp(1.0, steps=3), 0.1),
    "stale peers": co_distillation(1.0, kind="ce", lag_steps=2),
    "old peers": co_distillation(1.0, kind="ce", lag_steps=10),
    "gate": ensemble(2, keep="gate"),
    "teacher": logged_distillation(0.5),
}
STEPS = 6


def make():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def built(method, seed=0, **options):
    gate = nn.Linear(6, method.components) if "gate" in method.needs else None
    return Components(make, method, seed=seed, gate=gate, **options).double()


def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(STEPS, 16, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(3, (STEPS, 16), generator=generator)
    teacher = torch.randn(STEPS, 16, 3, generator=generator, dtype=torch.float64)
    return list(zip(x, y, teacher, strict=True))


def by_hand(model, method):
    """Losses and gradients of a loop over Outputs that the test writes itself."""
    networks, gate = copy.deepcopy(model.networks), copy.deepcopy(model.gate)
    parameters = [*networks.parameters(), *(gate.parameters() if gate is not None else [])]
    optimizer = torch.optim.SGD(parameters, lr=0.3)
    memories, copies, found = None, [], []
    for step, (x, y, teacher) in enumerate(data()):
        logits = torch.stack([network(x) for network in networks])
        extra = {}
        if method.peer_lag:
            copies.append(copy.deepcopy(networks))
            age = min(method.peer_lag, step) if method.peer_lag <= 8 else step
            with torch.no_grad():
                extra["peers"] = torch.stack([network(x) for network in copies[step - age]])
        if "signals" in method.needs:
            extra["signals"] = {"0": torch.stack([network[0](x) for network in networks])}
        if gate is not None:
            extra["gate"] = gate(x)
        if "teacher" in method.needs:
            extra["teacher"] = teacher
        loss, memories = method.advance(Outputs(logits, y, **extra), step, memories)
        optimizer.zero_grad()
        loss.backward()
        found.append((loss.detach(), [p.grad.clone() for p in parameters]))
        optimizer.step()
    return found


def by_components(model, batches, start=0):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    found = []
    for x, y, teacher in batches[start:]:
        loss = model.loss(x, y, teacher=teacher if "teacher" in model.method.needs else None)
        optimizer.zero_grad()
        loss.backward()
        found.append((loss.detach(), [p.grad.clone() for p in model.parameters()]))
        optimizer.step()
    return found


@pytest.mark.parametrize("name", METHODS)
def test_value_and_gradient_are_those_of_a_loop_by_hand(name):
    model = built(METHODS[name])
    expected = by_hand(model, METHODS[name])
    found = by_components(model, data())
    assert model.step == STEPS
    for (loss, gradients), (wanted, theirs) in zip(found, expected, strict=True):
        torch.testing.assert_close(loss, wanted, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradients, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_training_is_the_uninterrupted_one(name, tmp_path):
    whole, first, second = (built(METHODS[name], seed) for seed in (0, 0, 5))
    if whole.gate is not None:
        first.gate.load_state_dict(whole.gate.state_dict())
    expected = by_components(whole, data())
    by_components(first, data()[:3])
    safetensors.torch.save_file(first.state_dict(), tmp_path / "model.safetensors")  # tensors only
    outer = nn.ModuleDict({"model": second})
    state = safetensors.torch.load_file(tmp_path / "model.safetensors")
    outer.load_state_dict({f"model.{key}": value for key, value in state.items()})
    assert second.step == 3
    assert second.state_dict().keys() == first.state_dict().keys()
    found = by_components(second, data(), start=3)
    for (loss, gradients), (wanted, theirs) in zip(found, expected[3:], strict=True):
        assert torch.equal(loss, wanted)
        assert all(map(torch.equal, gradients, theirs))


def test_terms_sum_to_the_loss_and_are_named():
    model = built(regularised_co_distillation(0.7, 0.1))
    x, y, _ = data()[0]
    total = model.loss(x, y)
    assert list(model.terms) == ["CrossEntropy", "Agreement", "Entropy"]
    torch.testing.assert_close(sum(model.terms.values()), total.detach())
    assert not any(value.requires_grad for value in model.terms.values())


def test_evaluation_changes_nothing():
    model = built(METHODS["running"])
    x, y, _ = data()[0]
    model.loss(x, y)
    before = model.state_dict()
    model.eval().loss(x, y)
    with torch.no_grad():
        model.train().loss(x, y)
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in after)
    assert built(METHODS["stale peers"]).eval().loss(x, y).isfinite()


def test_micro_batches_of_a_step_share_the_step():
    model = built(co_distillation(Ramp(1.0, steps=4)), accumulation=2)
    x, y, _ = data()[0]
    steps = []
    for rows in torch.arange(16).chunk(4):
        steps.append(model.step)
        model.loss(x[rows], y[rows])
    assert steps == [0, 0, 1, 1]
    model.loss(x, y, step=7)
    assert model.step == 7


def test_a_ramp_in_epochs_has_to_be_resolved():
    model = built(co_distillation(1.0, ramp_epochs=2))
    x, y, _ = data()[0]
    with pytest.raises(BadSpec, match="epoch"):
        model.loss(x, y)
    model.resolve(steps_per_epoch=3)
    assert set(model(x, labels=y).logits.shape) == {2, 16, 3}
    model.loss(x, y)


def test_initial_weights_are_independent_and_those_of_the_engines_with_a_seed():
    first = Components(make, ensemble(2), seed=3)
    again = Components(make, baseline(), seed=3)
    assert torch.equal(first.networks[0][0].weight, again.networks[0][0].weight)
    assert not torch.equal(first.networks[0][0].weight, first.networks[1][0].weight)
    engines = Factory("test_components_make:digits_network")
    sys.modules["test_components_make"] = sys.modules[__name__]
    network = engines.build(Digits().load().shape, 10, stream(3, "initialisation"))
    own = Components(lambda: digits_network((64,), 10), ensemble(2), seed=3).networks[0]
    assert torch.equal(network[0].weight, own[0].weight)


def digits_network(shape, classes):
    return nn.Sequential(nn.Linear(shape[0], 8), nn.ReLU(), nn.Linear(8, classes))


def test_equal_networks_are_refused():
    def seeded():
        torch.manual_seed(0)
        return make()

    one = make()
    for factory in (seeded, lambda: one):
        with pytest.raises(BadInput, match="networks 0 and 1 have the same weights"):
            Components(factory, ensemble(2))


def test_wrong_use_is_refused():
    x, y, _ = data()[0]
    model = built(ensemble(2))
    with pytest.raises(BadInput, match="without labels"):
        model.loss(x)
    with pytest.raises(BadInput, match="expected Outputs alone"):
        model.loss(model(x, labels=y), y)
    with pytest.raises(BadInput, match="trains a gate"):
        Components(make, ensemble(2), gate=nn.Linear(6, 2))
    with pytest.raises(BadInput, match="from inputs to J logits"):
        Components(make, ensemble(2, keep="gate"))
    with pytest.raises(BadInput, match="at least 1"):
        Components(make, ensemble(2), accumulation=0)
    with pytest.raises(BadInput, match="make: returned a NoneType"):
        Components(lambda: None, ensemble(2))
    with pytest.raises(BadSpec, match="no sub-network"):
        Components(make, anti_distillation(2, signal="tower"))
    with pytest.raises(RuntimeError, match=r"Missing key.*step"):
        model.load_state_dict({key: value for key, value in model.state_dict().items() if key != "step"})


@pytest.mark.parametrize("method", [co_distillation(), ensemble(2), ensemble(2, keep="mean-logit"), ensemble(2, keep="gate")])
def test_deployed_is_a_copy_of_what_is_kept(method, tmp_path):
    model = built(method).float()
    x = data()[0][0].float()
    gate = [] if model.gate is None else [model.gate]
    with torch.no_grad():
        expected = Deployed.of(method, list(model.networks), gate)(x)
        model.train()
        deployed = model.deployed()
        assert model.networks[0].training
        assert not deployed.training
        torch.testing.assert_close(deployed(x), expected)
        torch.testing.assert_close(model.probs(model(x), None if model.gate is None else model.gate(x)), expected)
        export_model(deployed, x, tmp_path, formats=("safetensors", "pt2"))
        for parameter in model.parameters():
            parameter.zero_()
        torch.testing.assert_close(deployed(x), expected)


def test_one_logit_is_read_through_the_sigmoid():
    model = Components(lambda: nn.Linear(6, 1), co_distillation()).double()
    x, y = data()[0][0], torch.arange(16) % 2
    model.loss(x, y).backward()
    expected = model.networks[0](x)[:, 0].sigmoid()
    torch.testing.assert_close(model.deployed()(x), torch.stack([1 - expected, expected], 1))


def test_several_labels_are_deployed_as_probabilities_of_each():
    x, y = data()[0][0], (torch.arange(48).view(16, 3) % 2).double()
    model = Components(make, ensemble(2), task="multi-label").double()
    model.loss(x, y).backward()
    expected = torch.stack([network(x) for network in model.networks]).sigmoid().mean(0)
    torch.testing.assert_close(model.deployed()(x), expected)
    torch.testing.assert_close(model.probs(model(x)), expected)
    with pytest.raises(
        BadInput, match="got outputs of the task 'numbers', expected 'multi-label'; pass task='numbers' to Components"
    ):
        model.loss(model.outputs(model(x), y, task="numbers"))


def test_sequences_leave_ignored_positions_out():
    method = co_distillation(1.0)
    model = built(method)
    x = torch.randn(5, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.arange(20).reshape(5, 4) % 3
    y[:, 0] = -100
    found = model.loss(x, y, step=0)
    logits = model(x)
    assert logits.shape == (2, 5, 4, 3)
    expected = method.loss(Outputs(logits[:, :, 1:].flatten(1, 2), y[:, 1:].flatten()))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    none = model.loss(x, torch.full_like(y, -100))
    none.backward()
    assert none == 0
    assert all(not p.grad.any() for p in model.parameters())
    with pytest.raises(BadInput, match="one for each position"):
        model.loss(x, y[:, 0])
    with pytest.raises(BadInput, match="got signals, which the positions"):
        built(METHODS["signal"]).loss(x, y)


def test_named_inputs_and_objects_with_logits():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = make()

        def forward(self, left, *, right):
            return type("Output", (), {"logits": self.layer(left + right)})

    x, y, _ = data()[0]
    model = Components(Named, ensemble(2), seed=0).double()
    plain = Components(make, ensemble(2), seed=0).double()
    torch.testing.assert_close(model.loss({"left": x, "right": x}, y), plain.loss((2 * x,), y))


DDP = """
import sys
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from traintwice.integrations.components import Components
from traintwice.methods import anti_distillation

torch.set_num_threads(1)
rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method="file://" + folder + "/meeting", rank=rank, world_size=2)
given = torch.load(folder + "/given.pt")
part = slice(0, 10) if rank == 0 else slice(10, 16)
model = Components(lambda: nn.Linear(6, 3), anti_distillation(2, 0.05, rho=0.9), seed=0, group=dist.group.WORLD).double()
wrapped = DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
losses = []
for x, y in zip(*given):
    loss = model.loss(wrapped(x[part], labels=y[part]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.detach())
torch.save([torch.stack(losses), model.state_dict()], folder + f"/{rank}.pt")
dist.destroy_process_group()
"""


@heavy
def test_two_processes_train_as_one(tmp_path):
    x, y, _ = (torch.stack(parts) for parts in zip(*data(), strict=True))
    torch.save([x, y], tmp_path / "given.pt")
    command = [sys.executable, "-c", DDP]
    workers = [subprocess.Popen([*command, str(r), str(tmp_path)], stderr=subprocess.PIPE, text=True) for r in range(2)]
    for worker in workers:
        _, said = worker.communicate(timeout=120)
        assert worker.returncode == 0, said
    model = Components(lambda: nn.Linear(6, 3), anti_distillation(2, 0.05, rho=0.9), seed=0).double()
    found = by_components(model, data())
    for rank in range(2):
        losses, state = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(losses, torch.stack([loss for loss, _ in found]))
        torch.testing.assert_close(state, dict(model.state_dict()))
