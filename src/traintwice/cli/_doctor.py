"""`traintwice doctor`: what is installed, what each extra adds, and what this machine promises."""

from __future__ import annotations

import json as to_json
import shutil
import sys
import tempfile
from importlib.metadata import requires
from typing import Any

from traintwice._processes import cores
from traintwice._versions import __version__, diagnostic, extras, missing_of
from traintwice.cli import _options as options

PURPOSES = {
    "torch": "training with the methods of this package",
    "report": "charts in reports and notebooks",
    "demo": "the built-in studies: digits, MNIST-5k, flights",
    "data": "downloading and reading further data sets",
    "metrics": "the measures as torchmetrics metrics",
    "onnx": "export of a trained model as ONNX",
    "sklearn": "estimators and scorers of scikit-learn",
    "transformers": "the methods in the Trainer of Hugging Face",
    "lightning": "the methods in Lightning",
    "remote": "predictions in object stores and on the web",
    "lakehouse": "Delta and Iceberg tables",
    "postgres": "tables of PostgreSQL",
    "sql": "the query whose sums are enough for a comparison",
    "spark": "the query of `sql`, on Spark",
    "pandas": "results as tables of pandas",
    "polars": "results as tables of Polars",
    "tune": "the search for weights",
    "ray": "replicas on a Ray cluster",
    "mlflow": "measures and reports in MLflow",
    "wandb": "measures and reports in Weights & Biases",
    "tensorboard": "measures in TensorBoard",
}
"""Name of an extra to what it is for."""


def doctor(json: options.PlainJson = False) -> None:
    """Show what is installed, what each extra would add, and whether trainings give equal bits on this machine."""
    found = {"versions": {"traintwice": __version__, **diagnostic()}, "extras": _extras(), "machine": _machine(), "bits": _bits()}
    if json:
        print(to_json.dumps(found, ensure_ascii=False))
        return
    for title, part in found.items():
        print(title.capitalize())
        width = max(map(len, part))
        for name, text in part.items():
            print(f"  {name:<{width}}  {text}")
        print()
    print("Full check of a study: traintwice check STUDY")


def _extras() -> dict[str, str]:
    """Extra to its purpose, and what is missing of it."""
    found = {}
    for extra, packages in extras(requires("traintwice") or ()).items():
        if extra in PURPOSES:
            missing = missing_of(packages)
            state = f"missing: {', '.join(missing)} (pip install 'traintwice[{extra}]')" if missing else "installed"
            found[extra] = f"{PURPOSES[extra]}; {state}"
    return found


def _machine() -> dict[str, str]:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    return {
        "cores": f"{cores()} (after the quota of the control group)",
        "temporary folder": f"{tempfile.gettempdir()}, {free / 1e9:.0f} GB free; TMPDIR names another",
        "terminal": f"encoding {sys.stdout.encoding}",
    }


def _bits() -> dict[str, str]:
    """Whether equal bits are promised here, by engine."""
    if missing_of(["torch"]):
        return {"training": "needs the extra torch"}
    import torch

    from traintwice.data import Digits
    from traintwice.engine import Execution
    from traintwice.engine._stacked import placement_changes_bits
    from traintwice.recipes import Recipe

    differ: Any = placement_changes_bits(Recipe(), Digits().load(), Execution(), 8) if not missing_of(["scikit-learn"]) else None
    stacked = {
        None: "not tried (needs the extra demo)",
        False: "equal bits wherever a replica is in its group, verified on this processor with the network of `digits`",
        True: "bits depend on the place in the group on this processor, so `loop` is used instead",
    }[differ]
    found = {"loop": "equal bits in every process, with one thread", "stacked": stacked}
    return found | {"gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none that PyTorch finds"}
