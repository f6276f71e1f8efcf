"""Lightning's steps are those of a loop written by hand; its checkpoints resume; two processes train as one."""

import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

if not find_spec("lightning"):
    pytest.skip("lightning is not installed", allow_module_level=True)

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from traintwice.errors import BadInput
from traintwice.integrations.lightning import MethodModule
from traintwice.losses import Outputs
from traintwice.methods import anti_distillation, co_distillation, ensemble, logged_distillation

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning warns of its own parts


class Small(MethodModule):
    def make(self):
        return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.3)


def rows(count=24, teacher=False):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    logits = [torch.randn(count, 3, generator=generator, dtype=torch.float64)] if teacher else []
    return TensorDataset(x, torch.randint(3, (count,), generator=generator), *logits)


def trainer_of(folder, **options):
    settings = {
        "default_root_dir": folder,
        "accelerator": "cpu",
        "max_epochs": 2,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return Trainer(**(settings | options))


def by_hand(method, data, epochs=2, batch=8, clip=None):
    networks = Small(method, seed=1).components.networks
    optimizer = torch.optim.SGD(networks.parameters(), lr=0.3)
    method, memories, step, losses = method.resolve(-(-len(data) // batch)), None, 0, []
    for _ in range(epochs):
        for x, y, *teacher in DataLoader(data, batch_size=batch):
            out = Outputs(torch.stack([network(x) for network in networks]), y, teacher=teacher[0] if teacher else None)
            loss, memories = method.advance(out, step, memories)
            optimizer.zero_grad()
            loss.backward()
            if clip:
                for network in networks:
                    nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
            losses.append(loss.item())
            step += 1
    return losses, networks


def check(module, networks):
    for found, wanted in zip(module.components.networks.parameters(), networks.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (co_distillation(1.0, ramp_epochs=2), {}),
        (anti_distillation(2, 0.05, rho=0.5, center="class"), {}),
        (logged_distillation(0.5), {"teacher": True}),
    ],
)
def test_steps_are_those_of_a_loop_by_hand(method, options, tmp_path):
    data, module = rows(**options), Small(method, seed=1)
    trainer_of(tmp_path).fit(module, DataLoader(data, batch_size=8))
    check(module, by_hand(method, data)[1])


def test_accumulated_micro_batches_and_clipping_of_each_network(tmp_path):
    data, module, method = rows(), Small(co_distillation(1.0, ramp_epochs=2), seed=1), co_distillation(1.0, ramp_epochs=2)
    trainer_of(tmp_path, accumulate_grad_batches=2, gradient_clip_val=0.2).fit(module, DataLoader(data, batch_size=4))
    check(module, by_hand(method, data, clip=0.2)[1])


def test_terms_are_logged_by_any_logger(tmp_path):
    module, data = Small(co_distillation(0.5), seed=1), rows()
    logger = CSVLogger(tmp_path)
    loader = DataLoader(data, batch_size=8)
    trainer_of(tmp_path, logger=logger, log_every_n_steps=1).fit(module, loader, loader)
    with Path(logger.log_dir, "metrics.csv").open() as file:
        found = list(csv.DictReader(file))
    steps = [row for row in found if row["train_loss"]]
    losses, networks = by_hand(co_distillation(0.5), data)
    assert [float(row["train_loss"]) for row in steps] == pytest.approx(losses)
    sums = [float(row["train_CrossEntropy"]) + float(row["train_Agreement"]) for row in steps]
    assert sums == pytest.approx(losses)
    with torch.no_grad():
        right = networks[0](data.tensors[0]).argmax(-1) == data.tensors[1]
    last = [row for row in found if row["val_accuracy"]][-1]
    assert float(last["val_accuracy"]) == pytest.approx(right.float().mean().item())
    assert 0 < float(last["val_loss"]) < losses[0] * 2


def test_terms_are_logged_as_often_as_the_loss_and_at_the_end_of_an_epoch(tmp_path):
    module, logger = Small(co_distillation(0.5), seed=1), CSVLogger(tmp_path)
    trainer = trainer_of(tmp_path, logger=logger, log_every_n_steps=3)
    trainer.fit(module, DataLoader(rows(), batch_size=8))
    with Path(logger.log_dir, "metrics.csv").open() as file:
        found = [row for row in csv.DictReader(file) if row["train_loss"]]
    assert found
    assert all(row["train_Agreement"] for row in found)
    assert {"train_CrossEntropy", "train_Agreement"} <= set(trainer.callback_metrics)


@pytest.mark.parametrize("method", [anti_distillation(2, 0.05, rho=0.9), co_distillation(kind="ce", lag_steps=2)])
def test_a_resumed_training_is_the_uninterrupted_one(method, tmp_path):
    whole, again = Small(method, seed=1), Small(method, seed=2)
    loader = DataLoader(rows(), batch_size=8)
    keep = ModelCheckpoint(tmp_path, every_n_epochs=1, save_top_k=-1, filename="{epoch}")
    trainer_of(tmp_path, callbacks=[keep], enable_checkpointing=True, max_epochs=3).fit(whole, loader)
    trainer_of(tmp_path, max_epochs=3).fit(again, loader, ckpt_path=tmp_path / "epoch=0.ckpt", weights_only=True)
    for found, wanted in zip(again.state_dict().items(), whole.state_dict().items(), strict=True):
        assert found[0] == wanted[0]
        torch.testing.assert_close(found[1], wanted[1])


@pytest.mark.parametrize("method", [co_distillation(), ensemble(2), ensemble(2, keep="gate")])
def test_predictions_are_those_of_what_is_kept(method, tmp_path):
    gate = nn.Linear(6, 2).double() if "gate" in method.needs else None
    module, data = Small(method, seed=1, gate=gate), rows()
    trainer = trainer_of(tmp_path)
    trainer.fit(module, DataLoader(data, batch_size=8))
    found = torch.cat(trainer.predict(module, DataLoader(data, batch_size=8)))
    with torch.no_grad():
        torch.testing.assert_close(found, module.deployed()(data.tensors[0]))


@pytest.mark.parametrize("kind", ["classes", "column of floats", "soft"])
def test_accuracy_of_labels_of_any_kind(kind, tmp_path):
    class Binary(Small):
        def make(self):
            return nn.Linear(6, 2 if kind == "soft" else 1).double()

    x = rows()[:][0]
    y = (x[:, 0] > 0).long()
    labels = {"classes": y, "column of floats": y.double().unsqueeze(1), "soft": nn.functional.one_hot(y).double()}[kind]
    model, trainer = Binary(co_distillation(), seed=1), trainer_of(tmp_path)
    (found,) = trainer.validate(model, DataLoader(TensorDataset(x, labels), batch_size=8), verbose=False)
    expected = (model.deployed()(x).argmax(1) == y).double().mean().item()
    assert found["val_accuracy"] == pytest.approx(expected)


def test_what_is_not_supported_is_refused(tmp_path):
    with pytest.raises(NotImplementedError, match="define make"):
        MethodModule(co_distillation())
    module = Small(co_distillation(), seed=1)
    module._trainer = SimpleNamespace(strategy=SimpleNamespace())
    with pytest.raises(BadInput, match="got strategy SimpleNamespace, expected a single device or DDP"):
        module.on_train_start()


SCRIPT = """
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {tests!r})
import torch
from torch.utils.data import DataLoader, DistributedSampler
from test_lightning import Small, anti_distillation, rows, trainer_of

if __name__ == "__main__":
    torch.set_num_threads(1)
    module = Small(anti_distillation(2, 0.05, rho=0.5, center="class"), seed=1)
    trainer = trainer_of({folder!r}, strategy="ddp", devices=2, use_distributed_sampler=False)
    # Process r gets rows r, r + 2, r + 4 ...; a batch of both together is a batch of 8.
    part = DistributedSampler(rows(), 2, int(os.environ.get("LOCAL_RANK", 0)), shuffle=False)
    trainer.fit(module, DataLoader(rows(), batch_size=4, sampler=part))
    if trainer.global_rank == 0:
        torch.save(module.state_dict(), {folder!r} + "/state.pt")
"""


def test_two_processes_train_as_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path)))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    method = anti_distillation(2, 0.05, rho=0.5, center="class")
    networks = by_hand(method, rows())[1]
    state = torch.load(tmp_path / "state.pt")
    for name, wanted in networks.state_dict().items():
        torch.testing.assert_close(state[f"components.networks.{name}"], wanted, rtol=1e-10, atol=1e-12)
    assert state["components.memories.1.steps"] == 6
