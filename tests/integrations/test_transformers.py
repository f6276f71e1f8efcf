"""The Trainer's steps are those of a loop written by hand; its checkpoints resume; what it keeps is saved for from_pretrained."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if not (find_spec("transformers") and find_spec("accelerate")):
    pytest.skip("transformers and accelerate are not installed", allow_module_level=True)

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    TrainingArguments,
    set_seed,
)

from traintwice.errors import BadInput
from traintwice.integrations.transformers import KeptModel, MethodTrainer, _kept
from traintwice.losses import Outputs
from traintwice.methods import (
    anti_distillation,
    co_distillation,
    ensemble,
    label_smoothing,
    logged_distillation,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns of its own parts
CONFIG = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 8,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "num_labels": 3,
}


def sequence():
    return BertForSequenceClassification(BertConfig(**CONFIG))


def token():
    return BertForTokenClassification(BertConfig(**CONFIG))


def rows(count=24, tokens=False, teacher=False):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        ids = rng.integers(1, 20, 6)
        labels = np.where(rng.random(6) < 0.4, -100, ids % 3) if tokens else int(ids[0] % 3)
        one = {"input_ids": torch.tensor(ids), "attention_mask": torch.ones(6, dtype=torch.long), "labels": torch.tensor(labels)}
        found.append(one | ({"teacher": torch.tensor(rng.normal(size=3), dtype=torch.float32)} if teacher else {}))
    return found


def arguments(folder, **options):
    settings = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 5,
        "learning_rate": 0.1,
        "optim": "sgd",
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "num_train_epochs": 1,
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "use_cpu": True,
        "seed": 3,
    }
    return TrainingArguments(**(settings | options))


class InOrder(MethodTrainer):
    """Without shuffling, so that the loop by hand sees the same batches."""

    def _get_train_sampler(self, *_):
        return None


def by_hand(make, method, data, batch=4, parts=1, epochs=1, clip=None):
    """Losses of optimiser steps and final weights of a loop over whole batches of ``batch * parts`` rows."""
    set_seed(3)
    networks = nn.ModuleList(make() for _ in range(method.components))
    optimizer = torch.optim.SGD(networks.parameters(), lr=0.1)
    memories, losses, size = None, [], batch * parts
    method = method.resolve(-(-len(data) // size))
    for step, start in enumerate([s for _ in range(epochs) for s in range(0, len(data), size)]):
        whole = {name: torch.stack([row[name] for row in data[start : start + size]]) for name in data[0]}
        labels, teacher = whole.pop("labels"), whole.pop("teacher", None)
        logits = torch.stack([network(**whole).logits for network in networks])
        if labels.ndim == 2:
            logits, labels = logits[:, labels != -100], labels[labels != -100]
        loss, memories = method.advance(Outputs(logits, labels, teacher=teacher), step, memories)
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            for network in networks:
                nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        losses.append(loss.item())
    return losses, networks


def of_trainer(make, method, data, folder, **options):
    trainer = InOrder(model_init=make, method=method, args=arguments(folder, **options), train_dataset=data)
    trainer.train()
    return trainer


def losses_of(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def check(trainer, expected):
    losses, networks = expected
    np.testing.assert_allclose(losses_of(trainer), losses, rtol=2e-4, atol=2e-4)  # the Trainer logs 4 digits
    for found, wanted in zip(trainer.components.networks.parameters(), networks.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


CASES = {
    "co-distillation": (sequence, co_distillation(1.0, ramp_epochs=2), {}, {}),
    "anti-distillation": (sequence, anti_distillation(2, 0.05, rho=0.5, center="class"), {}, {}),
    "teacher": (sequence, logged_distillation(0.5), {"teacher": True}, {}),
    "tokens": (token, co_distillation(1.0), {"tokens": True}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_a_loop_by_hand(name, tmp_path):
    make, method, options, more = CASES[name]
    data = rows(**options)
    check(of_trainer(make, method, data, tmp_path, num_train_epochs=2, **more), by_hand(make, method, data, epochs=2))


@pytest.mark.parametrize("make", [sequence, token])
def test_accumulated_micro_batches_make_the_loss_of_the_whole_batch(make, tmp_path):
    data = rows(22, tokens=make is token)  # the last micro-batch has 2 rows; tokens are never evenly labelled
    method = co_distillation(1.0, ramp_epochs=1)
    trainer = of_trainer(make, method, data, tmp_path, gradient_accumulation_steps=3)
    check(trainer, by_hand(make, method, data, parts=3))


def test_label_smoothing_and_clipping_of_each_network(tmp_path):
    data = rows()
    method = co_distillation(1.0)
    trainer = of_trainer(sequence, method, data, tmp_path, label_smoothing_factor=0.1, max_grad_norm=0.3)
    smoothed = type(method)((label_smoothing(0.1).terms[0], method.terms[1]), 2)
    check(trainer, by_hand(sequence, smoothed, data, clip=0.3))
    with pytest.raises(BadInput, match="no cross entropy to smooth"):
        of_trainer(sequence, logged_distillation(0.5), data, tmp_path, label_smoothing_factor=0.1)


def test_terms_are_logged_and_sum_to_the_loss(tmp_path):
    trainer = of_trainer(sequence, co_distillation(0.5), rows(), tmp_path, logging_steps=2, gradient_accumulation_steps=2)
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(logged) == 1
    for entry in logged:
        assert entry["loss_CrossEntropy"] + entry["loss_Agreement"] == pytest.approx(entry["loss"], abs=2e-4)


@pytest.mark.parametrize("method", [anti_distillation(2, 0.05, rho=0.9), co_distillation(kind="ce", lag_steps=2)])
def test_a_resumed_training_is_the_uninterrupted_one(method, tmp_path):
    data = rows()
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 5}
    whole = of_trainer(sequence, method, data, tmp_path / "whole", **options)
    state = load_file(tmp_path / "whole" / "checkpoint-5" / "model.safetensors")
    assert state["step"] == 4
    assert any(name.startswith(("memories.", "peers.")) for name in state)
    again = InOrder(model_init=sequence, method=method, args=arguments(tmp_path / "again", **options), train_dataset=data)
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-5"))
    for found, wanted in zip(again.components.parameters(), whole.components.parameters(), strict=True):
        torch.testing.assert_close(found, wanted)
    assert losses_of(again)[-7:] == losses_of(whole)[-7:]


@pytest.mark.parametrize("method", [co_distillation(1.0), ensemble(2), ensemble(2, keep="mean-logit")])
def test_evaluation_prediction_and_what_is_saved_are_what_is_kept(method, tmp_path):
    data = rows(12)
    trainer = InOrder(
        model_init=sequence,
        method=method,
        args=arguments(tmp_path),
        train_dataset=data,
        eval_dataset=data,
        compute_metrics=lambda given: {"accuracy": float((given.predictions.argmax(-1) == given.label_ids).mean())},
    )
    trainer.train()
    batch = {name: torch.stack([row[name] for row in data]) for name in ("input_ids", "attention_mask")}
    labels = torch.stack([row["labels"] for row in data])
    with torch.no_grad():
        logits = torch.stack([network(**batch).logits for network in trainer.components.networks])
        expected = trainer.components.probs(logits)
        loss = method.loss(Outputs(logits, labels))
    results = trainer.evaluate()
    assert results["eval_accuracy"] == pytest.approx((expected.argmax(-1) == labels).float().mean().item())
    assert results["eval_loss"] == pytest.approx(loss.item(), rel=0.05)  # the Trainer averages batches of 5, 5 and 2
    unlabelled = [{name: row[name] for name in ("input_ids", "attention_mask")} for row in data]
    for given in (data, unlabelled):
        found = torch.softmax(torch.tensor(trainer.predict(given).predictions), -1)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    trainer.save_model(tmp_path / "kept")
    kept = KeptModel.from_pretrained(tmp_path / "kept", AutoModelForSequenceClassification)
    with torch.no_grad():
        torch.testing.assert_close(torch.softmax(kept(**batch).logits, -1), expected, rtol=1e-4, atol=1e-6)
        if method.keep == "first":
            alone = AutoModelForSequenceClassification.from_pretrained(tmp_path / "kept")
            torch.testing.assert_close(torch.softmax(alone(**batch).logits, -1), expected, rtol=1e-4, atol=1e-6)


def test_tokens_are_predicted_at_every_position(tmp_path):
    data = rows(8, tokens=True)
    trainer = of_trainer(token, ensemble(2), data, tmp_path)
    assert trainer.predict(data).predictions.shape == (8, 6, 3)
    assert np.isfinite(trainer.evaluate(data)["eval_loss"])


@pytest.mark.parametrize("keep", ["first", "mean-prob", "mean-logit"])
def test_one_kept_logit_is_that_of_the_kept_probability(keep):
    z = torch.tensor([[[-300.0], [1.0]], [[2.0], [4.0]]])
    probs = {"first": z[0].sigmoid(), "mean-prob": z.sigmoid().mean(0), "mean-logit": z.mean(0).sigmoid()}[keep]
    torch.testing.assert_close(_kept(z, keep).sigmoid(), probs)


def test_what_is_not_supported_is_refused(tmp_path):
    with pytest.raises(BadInput, match="with a gate"):
        MethodTrainer(model_init=sequence, method=ensemble(2, keep="gate"), args=arguments(tmp_path))
    one = sequence()
    with pytest.raises(BadInput, match="same weights"):
        MethodTrainer(model_init=lambda: one, method=ensemble(2), args=arguments(tmp_path))
    language = {"vocab_size": 20, "n_embd": 8, "n_layer": 1, "n_head": 2}
    with pytest.raises(BadInput, match="made a GPT2LMHeadModel, whose labels are the next tokens"):
        MethodTrainer(model_init=lambda: GPT2LMHeadModel(GPT2Config(**language)), method=ensemble(2), args=arguments(tmp_path))
    several = BertConfig(**CONFIG, problem_type="multi_label_classification")
    with pytest.raises(BadInput, match="problem_type 'multi_label_classification', expected classes"):
        MethodTrainer(model_init=lambda: BertForSequenceClassification(several), method=ensemble(2), args=arguments(tmp_path))


DDP = {
    "accumulated": (co_distillation(1.0), {"gradient_accumulation_steps": 2}),
    "local counts": (co_distillation(1.0), {"gradient_accumulation_steps": 2, "average_tokens_across_devices": False}),
    "memories": (anti_distillation(2, 0.05, rho=0.5, center="class"), {}),
}


def worker(folder):
    """One of two processes; each sees half of every batch, of another number of labelled tokens."""
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    meeting = (Path(folder) / "meeting").as_uri()  # a file: a port that is free now may be taken in a second
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    for name, (method, options) in DDP.items():
        trainer = of_trainer(token, method, rows(24, tokens=True), folder, per_device_train_batch_size=2, **options)
        if trainer.args.process_index == 0:
            torch.save([losses_of(trainer), list(trainer.components.networks.parameters())], f"{folder}/{name}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_transformers as t; t.worker({str(folder)!r})"
    shared = os.environ | {"WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [one.communicate(timeout=300)[1] for one in workers]
    finally:
        for one in workers:
            one.kill()
    assert [one.returncode for one in workers] == [0, 0], "\n".join(said)
    return folder


@pytest.mark.parametrize("name", DDP)
def test_two_processes_train_as_one(name, of_two_processes):
    method, options = DDP[name]
    losses, parameters = torch.load(of_two_processes / f"{name}.pt", weights_only=False)
    expected, networks = by_hand(token, method, rows(24, tokens=True), parts=options.get("gradient_accumulation_steps", 1))
    np.testing.assert_allclose(losses, expected, rtol=2e-4, atol=2e-4)
    for found, wanted in zip(parameters, networks.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
