"""CPU time of the adapters against loops written by hand with the same loss.

    PYTHONPATH=src python benchmarks/adapters.py [--rounds 150] [--steps 20]

Each round times every way once, in random order, on one thread; the ratio of a round is paired. The aim is a median ratio of at most 1.05.
``MethodTrainer`` is compared with a `Trainer` whose ``compute_loss`` is written by hand, since the Trainer's own loop has a cost that this
package does not set; the ratio to a bare loop is printed too. `MethodModule` is compared with a
module by hand in the same way. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from torch import nn

from traintwice.integrations.components import Components
from traintwice.losses import Outputs
from traintwice.methods import Method, anti_distillation, co_distillation

AIM = 1.05
METHODS = {
    "co-distillation": co_distillation(1.0),
    "anti-distillation": anti_distillation(2, 0.05, center="class"),
    "running": anti_distillation(2, 0.05, rho=0.9, center="class"),
}


def make() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def by_hand(method: Method, steps: int) -> Callable[[], None]:
    networks = nn.ModuleList(make() for _ in range(method.components))
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    optimizer = torch.optim.SGD(networks.parameters(), lr=0.01)

    def run() -> None:
        memories = None
        for step in range(steps):
            loss, memories = method.advance(Outputs(torch.stack([network(x) for network in networks]), y), step, memories)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def by_components(method: Method, steps: int) -> Callable[[], None]:
    model = Components(make, method)
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def run() -> None:
        for _ in range(steps):
            loss = model.loss(x, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def trainers(method: Method, steps: int, folder: str) -> dict[str, Callable[[], None]]:
    """A bare loop, a Trainer with a loss by hand, and `MethodTrainer`, on a small BERT."""
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    from traintwice.integrations.transformers import MethodTrainer

    config = BertConfig(
        vocab_size=100, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, num_labels=10
    )
    ids, labels = torch.randint(100, (16 * steps, 32)), torch.randint(10, (16 * steps,))
    rows = [{"input_ids": x, "labels": y} for x, y in zip(ids, labels, strict=True)]

    def network() -> nn.Module:
        return BertForSequenceClassification(config)

    class Stacked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.networks = nn.ModuleList(network() for _ in range(method.components))

        def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return torch.stack([one(input_ids=input_ids).logits for one in self.networks])

    class ByHand(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # type: ignore[no-untyped-def]
            return method.loss(Outputs(model(**inputs), inputs["labels"]), self.state.global_step)

    def arguments() -> TrainingArguments:
        return TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=16,
            optim="sgd",
            max_grad_norm=0.0,
            logging_steps=50,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            log_level="error",
        )

    model = Stacked().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def bare() -> None:
        for step, batch in enumerate(torch.randperm(len(ids)).split(16)):
            loss = method.loss(Outputs(model(ids[batch], labels[batch]), labels[batch]), step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    hand = ByHand(model_init=Stacked, args=arguments(), train_dataset=rows)
    ours = MethodTrainer(model_init=network, method=method, args=arguments(), train_dataset=rows)
    for trainer in (hand, ours):
        trainer.log = lambda *_: None
    return {"bare loop": bare, "Trainer by hand": lambda: hand.train(), "MethodTrainer": lambda: ours.train()}


def modules(method: Method, steps: int, folder: str) -> dict[str, Callable[[], None]]:
    """A `LightningModule` by hand, and `MethodModule`; each round is a fit of so many steps."""
    from lightning import LightningModule, Trainer
    from torch.utils.data import DataLoader, TensorDataset

    from traintwice.integrations.lightning import MethodModule

    batches = DataLoader(TensorDataset(torch.randn(64 * steps, 64), torch.randint(10, (64 * steps,))), batch_size=64)

    class ByHand(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.networks = nn.ModuleList(make() for _ in range(method.components))

        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return torch.optim.SGD(self.parameters(), lr=0.01)

        def training_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
            x, y = batch
            loss = method.loss(Outputs(torch.stack([network(x) for network in self.networks]), y), self.trainer.global_step)
            self.log("train_loss", loss, prog_bar=True)
            return loss

    class Ours(MethodModule):
        def make(self) -> nn.Module:
            return make()

        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return torch.optim.SGD(self.parameters(), lr=0.01)

    def fit(model: LightningModule) -> None:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
        Trainer(max_steps=steps, accelerator="cpu", default_root_dir=folder, **quiet).fit(model, batches)

    hand, ours = ByHand(), Ours(method)
    return {"Lightning by hand": lambda: fit(hand), "MethodModule": lambda: fit(ours)}


def compare(title: str, ways: dict[str, Callable[[], None]], rounds: int) -> None:
    """Print the paired ratio of the last way to each of the others."""
    rng = np.random.default_rng(0)
    times = {name: np.zeros(rounds) for name in ways}
    for run in ways.values():
        run()
    for round_ in range(rounds):
        for name in rng.permutation(list(ways)):
            start = time.process_time()
            ways[name]()
            times[name][round_] = time.process_time() - start
    *others, last = ways
    for other in others:
        low, middle, high = np.quantile(times[last] / times[other], [0.25, 0.5, 0.75])
        aim = "no aim" if other == "bare loop" else "within the aim" if middle <= AIM else f"above the aim of {AIM}"
        print(f"{title:20} {last} / {other}: {middle:.3f} (quartiles {low:.3f} to {high:.3f}), {aim}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name, method in METHODS.items():
        compare(name, {"loop by hand": by_hand(method, args.steps), "Components": by_components(method, args.steps)}, args.rounds)
    if find_spec("transformers") and find_spec("accelerate"):
        with tempfile.TemporaryDirectory() as folder:
            compare("co-distillation", trainers(METHODS["co-distillation"], 2 * args.steps, folder), args.rounds // 8)
    if find_spec("lightning"):
        for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
            logging.getLogger(name).setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory() as folder:
            compare("co-distillation", modules(METHODS["co-distillation"], 5 * args.steps, folder), args.rounds // 8)


if __name__ == "__main__":
    main()
