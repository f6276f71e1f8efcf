"""The model to deploy: one module from inputs to probabilities, and its files for serving."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd as _Dropout

from traintwice._files import write_whole
from traintwice._typed import typed
from traintwice.data import Dataset
from traintwice.engine._building import Weights, build, build_gate, load
from traintwice.engine._state import within
from traintwice.errors import BadInput, StoreError, TrainingFailed, require
from traintwice.losses._outputs import Task, at_least_single
from traintwice.methods import Method
from traintwice.nets._factory import without_unpacking
from traintwice.recipes import Recipe

FORMATS = ("safetensors", "pt2", "onnx")
"""State dict; graph by torch.export; graph for other runtimes."""

TOLERANCE = 1e-5
"""Largest difference between the outputs of an exported model and its own."""

NetworkInputs = Tensor | Mapping[str, Tensor] | tuple[Tensor, ...]
"""Inputs of networks: one tensor ``B ...``, or several by name or by position, as a `traintwice.data.Loader` returns them."""


class Deployed(nn.Module):
    """Probabilities of a recipe's kept output.

    Args:
        networks: kept components of every kept set of weights, in order. They return logits ``B K``, or an object with such ``logits``.
        keep: "first", "mean-prob", "mean-logit" or "gate".
        gates: for "gate", one for each kept set of weights, from inputs to logits of the mixture weights.
        task: what the outputs of the networks are, see `traintwice.losses.Outputs`: "classes" gives a softmax, "multi-label" the
            probability of each label, "numbers" the numbers.
    Shapes: inputs ``B ...`` -> probabilities ``B K`` in at least float32; ``B 2`` for networks of one logit. Several inputs are a dict,
    whose entries the networks get by name, or a tuple.
    Raises:
        BadInput: on a call, outputs without an axis of classes, or networks with other numbers of outputs.
    """

    @typed
    def __init__(
        self, networks: Sequence[nn.Module], keep: str, gates: Sequence[nn.Module] = (), *, task: Task = "classes"
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.keep, self.task = keep, task
        self.gates = nn.ModuleList(gates)

    @classmethod
    def of(
        cls, method: Method, networks: Sequence[nn.Module], gates: Sequence[nn.Module] = (), *, task: Task = "classes"
    ) -> Deployed:
        """The kept output of a method, in evaluation mode.

        Args:
            method: its `keep` names the kept output.
            networks: all J components of every kept set of weights, in order.
            gates: from inputs to J logits, one for each set, if the method keeps a gate.
            task: as for `Deployed`.
        Raises:
            BadInput: another number of networks or gates.
        Example:
            >>> from traintwice.methods import co_distillation
            >>> model = Deployed.of(co_distillation(), [nn.Linear(4, 3), nn.Linear(4, 3)])
            >>> len(model.networks), model(torch.zeros(5, 4)).shape
            (1, torch.Size([5, 3]))
        """
        sets, rest = divmod(len(networks), method.components)
        wanted = sets if method.keep == "gate" else 0
        if rest or not sets or len(gates) != wanted:
            raise BadInput(
                f"Deployed.of: got {len(networks)} networks and {len(gates)} gates, expected {method.components} networks, or a multiple "
                f"of that, and {'a gate for each such set' if method.keep == 'gate' else 'no gate'}"
            )
        kept = networks[:: method.components] if method.keep == "first" else networks
        return cls(kept, method.keep, gates, task=task).eval()

    def forward(self, x: NetworkInputs) -> Tensor:
        """Probabilities for a batch."""
        logits = stacked_logits([_output(network, x) for network in self.networks])
        if self.keep != "gate":
            return mix_components(logits, self.keep, task=self.task)
        if not isinstance(x, Tensor):
            raise BadInput("Deployed: a gate reads one input, got several")
        return mix_components(logits, self.keep, mixture_weights(list(self.gates), x), task=self.task)


def _output(network: nn.Module, x: NetworkInputs) -> Any:
    if isinstance(x, Mapping):
        return network(**x)
    return network(x) if isinstance(x, Tensor) else network(*x)


def mixture_weights(gates: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Weights ``S·J B`` of the networks of all sets, by the gate of each set; their sum is 1 for each example."""
    return (torch.cat([torch.softmax(gate(x.flatten(1)), -1) for gate in gates], dim=-1) / len(gates)).T


def stacked_logits(outputs: Sequence[Any]) -> Tensor:
    """Logits ``J B K`` of several networks, from their outputs: tensors ``B K``, or objects with such ``logits``.

    Raises:
        BadInput: outputs without an axis of classes, or networks with other numbers of outputs.
    """
    logits: list[Tensor] = []
    for output in outputs:
        one = output if isinstance(output, Tensor) else getattr(output, "logits", None)
        if not isinstance(one, Tensor):
            raise BadInput(f"networks: one returned a {type(output).__name__}, expected logits (B, K) or an object with logits")
        if one.ndim < 2:
            raise BadInput(
                f"networks: one returned logits of shape {tuple(one.shape)}, expected (B, K); a network of one logit returns (B, 1)"
            )
        logits.append(one)
    if len(widths := {one.shape[-1] for one in logits}) > 1:
        raise BadInput(f"networks: they return {' and '.join(map(str, sorted(widths)))} logits, expected the same number of all")
    return torch.stack(logits)


def mix_components(logits: Tensor, keep: str, weights: Tensor | None = None, *, task: Task = "classes") -> Tensor:
    """Probabilities ``... K`` of the kept output in at least float32, from logits ``S ... K`` of the kept networks.

    Args:
        logits: networks of one logit (binary) are read as logits (0, z).
        keep: see `Deployed`.
        weights: of the mixture, ``S B``, for "gate".
        task: see `Deployed`.
    """
    logits = at_least_single(logits)
    if task == "classes" and logits.shape[-1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
    if keep == "mean-logit":
        logits = logits.mean(0, keepdim=True)
    probs = torch.softmax(logits, -1) if task == "classes" else torch.sigmoid(logits) if task == "multi-label" else logits
    return probs.mean(0) if weights is None else (probs * weights.unsqueeze(-1)).sum(0)


def deployed(recipe: Recipe, data: Dataset, weights: Weights) -> Deployed:
    """The model of a replica's stored weights, in evaluation mode, on the CPU, in float32; it takes inputs as a loader returns them."""
    sets = recipe.averaging.models if recipe.averaging is not None else 1
    networks = [network for _ in range(sets) for network in build(recipe, data)]
    load(networks, weights)
    gates = []
    if recipe.method.keep == "gate":
        gates = [build_gate(recipe, data) for _ in range(sets)]
        load(gates, within("gate", weights))
    return Deployed.of(recipe.method, [without_unpacking(network) for network in networks], gates)


@typed
def export_model(
    model: nn.Module, inputs: NetworkInputs, out: Path, *, name: str = "model", formats: tuple[str, ...] = FORMATS
) -> dict[str, Path]:
    """Write a model for serving, and check that each file predicts the same.

    Args:
        model: from inputs ``B ...`` to one tensor ``B ...``, such as `Deployed`; in evaluation mode, on the CPU.
        inputs: at least two examples ``N ...``; every file, loaded again, must give the model's own outputs on them. Several inputs are
            a dict or a tuple, which the model gets as its one argument. ONNX names them as the dict does, or ``x_0``, ``x_1`` ….
        out: directory; created if it does not exist.
        name: of the files, without extension.
        formats: any of "safetensors" (state dict), "pt2" (`torch.export`), "onnx".
    Returns:
        Format to file.
    Raises:
        BadInput: an unknown format, a model in training mode, fewer than two examples, or inputs of different lengths. MissingExtra: ONNX
            is not installed.
        StoreError: ``out`` cannot be written. TrainingFailed: an exported model predicts something else (a defect of the exporter).
    """
    for wanted in formats:
        if wanted not in FORMATS:
            raise BadInput(f"format: got {wanted!r}, expected one of {', '.join(FORMATS)}")
    if changing := sorted({type(m).__name__ for m in model.modules() if m.training and isinstance(m, _Dropout | _BatchNorm)}):
        raise BadInput(f"model: {' and '.join(changing)} layers are in training mode; call model.eval() before the export")
    if "onnx" in formats:
        for module in ("onnx", "onnxruntime", "onnxscript"):
            require(module, extra="onnx", purpose="ONNX export")
    examples = {len(each) for each in named_inputs(inputs).values()}
    if len(examples) != 1:
        raise BadInput(f"inputs: got {' and '.join(map(str, sorted(examples)))} examples, expected inputs of the same examples")
    if min(examples) < 2:
        raise BadInput(
            f"inputs: got {min(examples)} example, expected at least 2: the exporter treats a batch of 1 as a constant"
        )
    writers: dict[str, Callable[[nn.Module, NetworkInputs, Path], Tensor]] = {
        "safetensors": _as_state_dict,
        "pt2": _as_program,
        "onnx": _as_onnx,
    }
    written = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        with torch.no_grad(), _without_known_noise():
            expected = model(inputs)
            for wanted in formats:
                path = out / f"{name}.{wanted}"
                found = writers[wanted](model, inputs, path)
                if not torch.allclose(found, expected, atol=TOLERANCE):
                    path.unlink()
                    worst = (found - expected).abs().max().item()
                    raise TrainingFailed(f"{path.name}: the exported model's outputs differ by {worst:.2g}; it was not kept")
                written[wanted] = path
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error.strerror})") from None
    return written


def named_inputs(inputs: NetworkInputs) -> dict[str, Tensor]:
    """Inputs by the names that an ONNX file has for them."""
    if isinstance(inputs, Tensor):
        return {"x": inputs}
    return dict(inputs) if isinstance(inputs, Mapping) else {f"x_{i}": each for i, each in enumerate(inputs)}


def each_input(inputs: NetworkInputs, change: Callable[[Tensor], Any]) -> Any:
    """The same inputs, each changed by a function."""
    if isinstance(inputs, Tensor):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {name: change(each) for name, each in inputs.items()}
    return tuple(map(change, inputs))


def _as_state_dict(model: nn.Module, inputs: NetworkInputs, path: Path) -> Tensor:
    # Shared parts are written once for each component: a file of tensors cannot hold two names for one.
    state = {name: value.clone(memory_format=torch.contiguous_format) for name, value in model.state_dict().items()}
    write_whole(path, safetensors.torch.save(state))
    again = copy.deepcopy(model)
    for value in again.state_dict().values():
        value.zero_()
    again.load_state_dict(safetensors.torch.load(path.read_bytes()))
    return torch.as_tensor(again(inputs))


def _program(model: nn.Module, inputs: NetworkInputs) -> Any:
    two = each_input(inputs, lambda each: each[:2])
    batch = torch.export.Dim("batch")
    return torch.export.export(model, (two,), dynamic_shapes=(each_input(inputs, lambda _: {0: batch}),))


def _as_program(model: nn.Module, inputs: NetworkInputs, path: Path) -> Tensor:
    written = io.BytesIO()
    torch.export.save(_program(model, inputs), written)
    write_whole(path, written.getvalue())
    return torch.as_tensor(torch.export.load(path).module()(inputs))


def _as_onnx(model: nn.Module, inputs: NetworkInputs, path: Path) -> Tensor:
    import onnxruntime

    temporary = path.with_name(f".tmp-{path.name}")
    named = named_inputs(inputs)
    exported = torch.onnx.export(_program(model, inputs), dynamo=True, verbose=False, input_names=list(named))
    exported.save(temporary)  # type: ignore[union-attr]
    temporary.replace(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {name: each.numpy() for name, each in named.items()})[0])


@contextmanager
def _without_known_noise() -> Iterator[None]:
    """Suppress warnings of PyTorch's exporter that no user can fix."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")

    def keep(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("torchvision is not installed")

    registration.addFilter(keep)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        registration.removeFilter(keep)
