"""The command line: main, and the verb doctor. Verbs import what they need, so that --help is fast."""

from __future__ import annotations

import json as to_json
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import requires
from typing import Annotated, Any

import typer

from traintwice._installed import __version__, diagnostic, extras, missing_of
from traintwice._processes import cores
from traintwice._user_code import imports_refused, raised_by_user, reason_of, traceback_of
from traintwice.cli import _options as options
from traintwice.cli._bank import bank
from traintwice.cli._catalogue import list_names, show
from traintwice.cli._demo import demo
from traintwice.cli._diff import diff, sums
from traintwice.cli._gate import gate
from traintwice.cli._measure import history, measure, plan, selective, tokens, update
from traintwice.cli._output import Outcome, end_by_signal, end_streams, prepare_streams, show_error, show_usage_error
from traintwice.cli._replicate import replicate
from traintwice.cli._storage import export, fetch, predict, store
from traintwice.cli._training import chain, check, report, run, tune
from traintwice.errors import TraintwiceError

UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Base class of usage errors, in the version of click that typer uses."""

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

app = typer.Typer(
    name="traintwice",
    help="Measure prediction churn (the share of rows whose answer changes when a model is retrained), and train models with less of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line.

    Exit status: 0 success (gate: kept), 1 gate over budget or check failed, 2 an error that the user can fix (one message, or the
    traceback of code of the user), 3 gate inconclusive, 4 a defect of this package (a traceback).
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_by_signal)  # until training begins, Ctrl-C ends the process without a message
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # nohup ignores it
        signal.signal(signal.SIGHUP, end_by_signal)
    prepare_streams()
    status = 0
    try:
        with imports_refused():
            code = app(standalone_mode=False)
        status = 2 if code == 1 else int(code or 0)
    except Outcome as end:
        status = int(end.code or 0)
    except SystemExit as end:
        by_user = raised_by_user(end)
        if by_user:
            show_error(reason_of(end))
        status = 2 if by_user or end.code == 1 else int(end.code or 0)
    except TraintwiceError as error:
        show_error(str(error))
        status = 2
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            show_error(f"{error.filename or 'standard output or standard error'}: {error.strerror or error}")
        status = 2
    except MemoryError:
        show_error("there is not enough memory for this")
        status = 2
    except UsageError as error:
        with suppress(OSError):
            show_usage_error(error)
        status = 2
    except Exception as error:  # never 1 or 3, which are outcomes of a gate
        by_user = raised_by_user(error)
        with suppress(OSError):
            sys.stderr.write(traceback_of(error) if by_user else traceback.format_exc())
        status = 2 if by_user else 4
    failed = end_streams()
    if failed is not None and status == 0:
        status = 2
        if not isinstance(failed, BrokenPipeError):
            show_error(f"standard output cannot be written ({failed.strerror})")
    sys.exit(status)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    wanted: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --version: also the versions of packages, the system and the processors.")
    ] = False,
) -> None:
    if wanted:
        typer.echo(f"traintwice {__version__}")
        for name, text in diagnostic().items() if verbose else ():
            typer.echo(f"{name}: {text}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


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


VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "Compare predictions": (diff, gate, sums, history, measure, plan, tokens, selective, update),
    "Train and study": (run, report, check, replicate, chain, tune),
    "Look up": (demo, list_names, show, doctor),
    "Data and trained replicas": (fetch, store, bank, export, predict),
}
"""Heading of ``--help`` to its verbs."""

for _heading, _verbs in VERBS.items():
    for _verb in _verbs:
        _name = "list" if _verb is list_names else None
        app.command(name=_name, cls=options.Verb, rich_help_panel=_heading)(_verb)
