"""A model written for serving, in forms that other programs load, each checked to predict the same."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from traintwice.errors import BadInput, StoreError, TrainingFailed, require
from traintwice.files import write_whole

FORMATS = ("safetensors", "pt2", "onnx")
"""State dict; the graph by torch.export; the graph for other runtimes."""

TOLERANCE = 1e-5
"""How far an exported model's outputs may be from the model's own."""


def export_model(
    model: nn.Module, inputs: Tensor, out: Path, *, name: str = "model", formats: tuple[str, ...] = FORMATS
) -> dict[str, Path]:
    """Write a model for serving, and check that what was written predicts the same.

    Args:
        model: from inputs ``B ...`` to one tensor ``B ...``, such as `Deployed`; in evaluation mode, on the CPU.
        inputs: examples ``N ...``, at least two, on which every written form, loaded again, must give the model's own outputs.
        out: directory; made where it does not exist.
        name: of the files, before the dot.
        formats: any of "safetensors" (state dict), "pt2" (`torch.export`), "onnx".
    Returns:
        Format to file.
    Raises:
        BadInput: an unknown format, or fewer than two examples. MissingExtra: ONNX wanted and not installed. StoreError: ``out`` cannot
        be written. TrainingFailed: an exported model predicts something else (a defect of the exporter).
    """
    for wanted in formats:
        if wanted not in FORMATS:
            raise BadInput(f"format: got {wanted!r}, expected one of {', '.join(FORMATS)}")
    if "onnx" in formats:
        for module in ("onnx", "onnxruntime", "onnxscript"):
            require(module, extra="onnx", purpose="ONNX export")
    if len(inputs) < 2:
        raise BadInput(f"inputs: got {len(inputs)} example, expected at least 2: the exporter takes a batch of 1 for a constant")
    writers: dict[str, Callable[[nn.Module, Tensor, Path], Tensor]] = {
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


def _as_state_dict(model: nn.Module, inputs: Tensor, path: Path) -> Tensor:
    # Parts that components share are written once for each: a file of tensors has no two names for one.
    state = {name: value.clone(memory_format=torch.contiguous_format) for name, value in model.state_dict().items()}
    write_whole(path, safetensors.torch.save(state))
    again = copy.deepcopy(model)
    for value in again.state_dict().values():
        value.zero_()
    again.load_state_dict(safetensors.torch.load(path.read_bytes()))
    return torch.as_tensor(again(inputs))


def _program(model: nn.Module, inputs: Tensor) -> Any:
    return torch.export.export(model, (inputs[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))


def _as_program(model: nn.Module, inputs: Tensor, path: Path) -> Tensor:
    temporary = path.with_name(f".tmp-{path.name}")
    torch.export.save(_program(model, inputs), temporary)
    temporary.replace(path)
    return torch.as_tensor(torch.export.load(path).module()(inputs))


def _as_onnx(model: nn.Module, inputs: Tensor, path: Path) -> Tensor:
    import onnxruntime

    temporary = path.with_name(f".tmp-{path.name}")
    torch.onnx.export(_program(model, inputs), dynamo=True, verbose=False).save(temporary)  # type: ignore[union-attr]
    temporary.replace(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0])


@contextmanager
def _without_known_noise() -> Iterator[None]:
    """Keep off standard error what PyTorch's exporter says of itself and no user can mend."""
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
