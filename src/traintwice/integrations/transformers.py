"""Methods in the Trainer of Hugging Face transformers."""

from __future__ import annotations

import copy
import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, cast

from traintwice.errors import BadInput, require

for _module in ("torch", "transformers", "accelerate"):
    require(_module, extra="transformers", purpose="traintwice.integrations.transformers")

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from transformers import Trainer, TrainerCallback, TrainingArguments  # noqa: E402
from transformers.modeling_outputs import ModelOutput  # noqa: E402

from traintwice._files import write_whole  # noqa: E402
from traintwice.integrations.components import Components  # noqa: E402
from traintwice.losses import CrossEntropy, LabelSmoothing, Outputs  # noqa: E402
from traintwice.methods import Method, Term  # noqa: E402

__all__ = ["KeptModel", "MethodTrainer"]

NEXT_TOKEN = ("ForCausalLM", "LMHeadModel")
"""Endings of the names of models whose own loss compares each position with the label after it."""

KEPT = "traintwice.json"
"""File that says how the networks of a folder are averaged."""


class MethodTrainer(Trainer):  # type: ignore[misc]
    """The Trainer of transformers, training J networks with a method.

    Sequence classification (labels ``B``) and token classification (labels ``B T``, -100 is ignored). Everything else is as in `Trainer`.

    Args:
        model_init: builds one network with a classification head; called J times. Its ``forward`` returns ``logits``.
        method: what to minimise; ramps in epochs are resolved when training starts.
        args, kwargs: of `Trainer`, without ``model`` and ``compute_loss_func``.

    - The loss of an optimiser step is the mean over all its labelled examples, of every micro-batch and process.
    - ``label_smoothing_factor`` replaces the cross entropy of the method by its smoothed form.
    - Logs hold each term, weighted, as ``loss_<name>``; they sum to ``loss``.
    - ``max_grad_norm`` clips each network by itself, so that components do not mix.
    - Checkpoints hold all networks and the memories of the losses; `train` resumes from them.
    - `evaluate` and `predict` give logits of the kept output; their softmax is the probability that is served.
    - A column ``teacher`` of the data set, logits ``K`` of an old model (probabilities p as log p), goes to methods that need one.

    Raises:
        BadInput: a model of next tokens, numbers or several labels, a method with a gate, label smoothing of a method without cross
            entropy, several GPUs in one process (start one process for each with torchrun), FSDP or DeepSpeed. MissingExtra:
            transformers is not installed (on import).
    Source:
        Ours.
    """

    _signature_columns: list[str] | None

    def __init__(
        self, *, model_init: Callable[[], nn.Module], method: Method, args: TrainingArguments | None = None, **kwargs: Any
    ) -> None:
        if "gate" in method.needs:
            raise BadInput("MethodTrainer.method: got a method with a gate, which needs inputs of a fixed size; use Components")
        self._make = model_init
        self._method = (
            _smoothed(method, args.label_smoothing_factor) if args is not None and args.label_smoothing_factor else method
        )
        self._terms: dict[str, Tensor | float] = defaultdict(float)
        self._logged_at = 0
        super().__init__(model_init=self._build, args=args, **kwargs)
        if self.args.n_gpu > 1 or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise BadInput(
                "MethodTrainer: DataParallel, FSDP and DeepSpeed are not supported; start one process for each GPU with torchrun"
            )
        _check_task(self.components.networks[0])
        self.label_smoother = None
        self.add_callback(_AtStart(self))

    def _build(self) -> nn.Module:
        group = dist.group.WORLD if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1 else None
        return _TrainedComponents(self._make, self._method, group=group)

    @property
    def components(self) -> Components:
        """The networks that are trained."""
        return cast(Components, self.accelerator.unwrap_model(self.model))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The part of a micro-batch in the loss of an optimiser step."""
        components = self.components
        components.step = self.state.global_step
        logits = None
        if return_outputs:
            logits, out = self._evaluated(model, inputs)
        else:
            out = model(**inputs)
        loss = components.loss(out, step=self.state.global_step)
        share = self._share(out, num_items_in_batch)
        if components.training:
            for name, value in components.terms.items():
                self._terms[name] = self._terms[name] + value * share
        return (loss * share, {"logits": logits}) if return_outputs else loss * share

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Loss, logits of the kept output, labels."""
        inputs = self._prepare_inputs(inputs)
        labels = inputs.get("labels")
        loss = None
        with torch.no_grad(), self.compute_loss_context_manager():
            if labels is None:
                logits = self._kept_logits(model(**{name: value for name, value in inputs.items() if name != "teacher"}))
            else:
                loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
                logits = outputs["logits"]
        return (None if loss is None else loss.detach()), (None if prediction_loss_only else logits), labels

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As `Trainer.log`, with the mean of each term since the last log."""
        if "loss" in logs and self._terms:
            steps = max(self.state.global_step - self._logged_at, 1)
            logs |= {f"loss_{name}": float(total) / steps for name, total in self._terms.items()}
            self._terms.clear()
            self._logged_at = self.state.global_step
        super().log(logs, start_time)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save what is kept, for ``from_pretrained``; checkpoints hold all networks."""
        if _internal_call:
            super().save_model(output_dir, _internal_call)
        elif self.args.should_save:
            self.save_pretrained(output_dir or self.args.output_dir)

    def save_pretrained(self, folder: str | Path) -> None:
        """Save what the method keeps.

        One kept network: the folder of a transformers model, for ``AutoModel...from_pretrained``. Several: a folder for each,
        for `KeptModel.from_pretrained`.
        """
        self.kept().save_pretrained(folder)
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)

    def kept(self) -> KeptModel:
        """A copy of what the method keeps, in evaluation mode."""
        networks = list(self.components.networks)[: self._method.kept_components]
        return KeptModel([copy.deepcopy(network) for network in networks], self._method.keep).eval()

    def _share(self, out: Outputs, num_items: Tensor | int | None) -> Tensor | float:
        """The part of a micro-batch in the mean over an optimiser step: its labelled examples over all of them."""
        if num_items is None:
            return 1.0
        if out.group is not None and not self.args.average_tokens_across_devices:
            num_items = self.accelerator.gather(torch.as_tensor(num_items, device=out.logits.device)).sum()
        return cast(Tensor, out.examples / num_items)

    def _evaluated(self, model: nn.Module, inputs: Mapping[str, Any]) -> tuple[Tensor, Outputs]:
        """Logits of the kept output on every position, and what the losses read."""
        features = {name: value for name, value in inputs.items() if name not in ("labels", "teacher")}
        logits = model(**features)
        if self.components.method.signals:
            return self._kept_logits(logits), model(**inputs)
        peers = logits if self.components.method.peer_lag else None
        return self._kept_logits(logits), self.components.outputs(logits, inputs["labels"], peers, inputs.get("teacher"))

    def _kept_logits(self, logits: Tensor) -> Tensor:
        return _kept(logits.detach(), self._method.keep)

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        self.accelerator.unscale_gradients()
        norms = [nn.utils.clip_grad_norm_(network.parameters(), self.args.max_grad_norm) for network in self.components.networks]
        return cast(Tensor, torch.stack(norms).norm())

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        # Weights that a network ties are written once for each name: a file of tensors cannot hold two names for one.
        state = self.model.state_dict() if state_dict is None else state_dict
        super()._save(output_dir, {name: value.clone().contiguous() for name, value in state.items()})

    def _set_signature_columns_if_needed(self) -> None:
        if not self._signature_columns:
            named = inspect.signature(self.components.networks[0].forward).parameters
            self._signature_columns = [*named, "label", "label_ids", "teacher", *self.label_names]


class KeptModel(nn.Module):
    """What a method keeps of its networks, as one model whose ``logits`` are those of the average.

    Args:
        networks: transformers models.
        keep: "first", "mean-prob" or "mean-logit"; see `traintwice.methods.Keep`.

    The softmax of the logits (of one logit: the sigmoid) is the kept probability: the log of the mean probability for "mean-prob".
    """

    def __init__(self, networks: list[nn.Module], keep: str) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.keep = keep

    def forward(self, *inputs: Any, **named: Any) -> ModelOutput:
        """An output with ``logits``, ``B K`` or ``B T K``."""
        return ModelOutput(logits=_kept(torch.stack([network(*inputs, **named).logits for network in self.networks]), self.keep))

    def save_pretrained(self, folder: str | Path) -> None:
        """Save; see `MethodTrainer.save_pretrained`."""
        if self.keep == "first":
            cast(Any, self.networks[0]).save_pretrained(folder)
            return
        for j, network in enumerate(self.networks):
            cast(Any, network).save_pretrained(Path(folder) / f"component-{j}")
        write_whole(Path(folder) / KEPT, json.dumps({"keep": self.keep, "components": len(self.networks)}).encode())

    @classmethod
    def from_pretrained(cls, folder: str | Path, kind: Any) -> Self:
        """Load what `save_pretrained` wrote, in evaluation mode.

        Args:
            folder: one network, or several with their file.
            kind: class of the networks, such as ``AutoModelForSequenceClassification``.
        """
        facts = Path(folder) / KEPT
        if not facts.is_file():
            return cls([kind.from_pretrained(folder)], "first").eval()
        stored = json.loads(facts.read_text())
        networks = [kind.from_pretrained(Path(folder) / f"component-{j}") for j in range(stored["components"])]
        return cls(networks, stored["keep"]).eval()


class _TrainedComponents(Components):
    """Components with what the Trainer reads of a model."""

    accepts_loss_kwargs = True

    @property
    def config(self) -> Any:
        """Configuration of the first network."""
        return getattr(self.networks[0], "config", None)

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """As of a transformers model, for every network."""
        for network in self.networks:
            cast(Any, network).activation_checkpointing_enable(**options)


class _AtStart(TrainerCallback):  # type: ignore[misc]
    """Resolves ramps in epochs when the number of steps is known."""

    def __init__(self, trainer: MethodTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: TrainingArguments, state: Any, control: Any, train_dataloader: Any = None, **_: Any) -> None:
        trainer = self.trainer
        trainer._terms.clear()
        trainer._logged_at = state.global_step
        if hasattr(train_dataloader, "__len__"):
            per_epoch = -(-len(train_dataloader) // args.gradient_accumulation_steps)
            trainer.components.resolve(max(per_epoch, 1), state.max_steps)


def _check_task(network: nn.Module) -> None:
    """Raise `BadInput` for a network whose labels are not classes of sequences or tokens."""
    name, task = type(network).__name__, getattr(getattr(network, "config", None), "problem_type", None)
    if name.endswith(NEXT_TOKEN):
        raise BadInput(
            f"MethodTrainer.model_init: made a {name}, whose labels are the next tokens; expected classes of sequences or of tokens. Take "
            "Components in your own loop, with logits[:, :, :-1] and labels[:, 1:]"
        )
    if task in ("regression", "multi_label_classification"):
        raise BadInput(
            f"MethodTrainer.model_init: made a {name} with problem_type {task!r}, expected classes; take Components(task=…) in a loop"
        )


def _kept(logits: Tensor, keep: Literal["first", "mean-prob", "mean-logit", "gate"] | str) -> Tensor:
    """Logits ``... K`` whose softmax (of one logit: sigmoid) is the kept probability, from stacked logits ``J ... K``."""
    if keep == "first":
        return logits[0]
    if keep == "mean-logit":
        return logits.mean(0)
    if logits.shape[-1] == 1:  # the logit of the mean probability of class 1
        z = logits.float()
        return nn.functional.logsigmoid(z).logsumexp(0) - nn.functional.logsigmoid(-z).logsumexp(0)
    return torch.log_softmax(logits.float(), -1).logsumexp(0) - float(torch.tensor(float(len(logits))).log())


def _smoothed(method: Method, smoothing: float) -> Method:
    """The method with its cross entropy smoothed."""
    terms = tuple(Term(LabelSmoothing(smoothing), t.weight) if isinstance(t.loss, CrossEntropy) else t for t in method.terms)
    if terms == method.terms:
        raise BadInput(f"label_smoothing_factor: got {smoothing}, expected 0: the method has no cross entropy to smooth")
    return replace(method, terms=terms)
