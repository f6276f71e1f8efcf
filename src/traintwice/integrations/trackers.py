"""Measures, logged values and the report page of a study in MLflow, Weights & Biases or TensorBoard.

A tracker is called with the result of `traintwice.replicate` or `traintwice.study.run`. Each recipe becomes a run of the tracker: its
settings, its measures with their intervals, what `Run.log` recorded of every replica by step (of a study, the training loss), and the
page. A second call with the same store updates the same runs.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traintwice._typed import typed
from traintwice.errors import BadSpec, TooFewReplicas, require, unknown
from traintwice.replication import Replication
from traintwice.replication._report import logged_values
from traintwice.types import Estimate

if TYPE_CHECKING:
    from traintwice.study import Results

__all__ = ["MLflow", "TensorBoard", "TrackedRecipe", "Tracker", "WandB", "tracked", "tracker_of"]

Tracker = Callable[["Replication | Results"], None]
"""Sends a study somewhere."""

BATCH = 1000
"""MLflow takes so many numbers at once."""

LONGEST_SETTING = 500
STORE, RECIPE = "traintwice.store", "traintwice.recipe"


@dataclass(frozen=True)
class TrackedRecipe:
    """What trackers show of a recipe.

    Attributes:
        name: of the recipe.
        replicas: how many are finished.
        settings: of the recipe.
        measures: name to number; an estimate gives three: the value, and the bounds as ``_low`` and ``_high``.
        series: name to (step, value) pairs: ``replica_0/loss``.
    """

    name: str
    replicas: int
    settings: Mapping[str, str]
    measures: Mapping[str, float]
    series: Mapping[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class _Sent:
    """What is sent of a study: its name, where it is stored, its recipes, its table in Markdown, and its page."""

    name: str
    store: Path
    recipes: Sequence[TrackedRecipe]
    table: str
    page: Path

    @property
    def identity(self) -> str:
        """The same for every call with one study."""
        return str(self.store) if self.name == self.store.name else f"{self.store}: {self.name}"


@dataclass(frozen=True)
class MLflow:
    """Runs of MLflow, one for each recipe. Needs the extra ``mlflow``.

    Args:
        uri: of the tracking server or folder; None: as MLflow is set up (MLFLOW_TRACKING_URI).
        experiment: its name; None: the name of the study, or of the store.
    """

    uri: str | None = None
    experiment: str | None = None

    def __call__(self, study: Replication | Results) -> None:
        require("mlflow", extra="mlflow", purpose="the tracker MLflow")
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        with _sending(study, "MLflow") as sent:
            client = MlflowClient(tracking_uri=self.uri)
            name = self.experiment or sent.name
            found = client.get_experiment_by_name(name)
            experiment = client.create_experiment(name) if found is None else found.experiment_id
            for recipe in sent.recipes:
                run = self._run(client, experiment, sent.identity, recipe.name)
                known = client.get_run(run).data.params
                client.log_batch(run, params=[Param(k, v) for k, v in recipe.settings.items() if k not in known])
                client.set_tag(run, "traintwice.replicas", recipe.replicas)
                series = {**{k: [(0, v)] for k, v in recipe.measures.items()}, **recipe.series}
                points = [Metric(key, value, 0, step) for key, at in series.items() for step, value in at]
                for start in range(0, len(points), BATCH):
                    client.log_batch(run, metrics=points[start : start + BATCH])
                client.log_artifact(run, str(sent.page))
                client.set_terminated(run)

    def _run(self, client: Any, experiment: str, store: str, recipe: str) -> str:
        """The run of a recipe: the one that an earlier call made, or a new one."""
        quoted = store.replace("'", "\\'")
        same = f"tags.`{STORE}` = '{quoted}' and tags.`{RECIPE}` = '{recipe}'"
        for found in client.search_runs([experiment], filter_string=same, max_results=1):
            return str(found.info.run_id)
        made = client.create_run(experiment, run_name=recipe, tags={STORE: store, RECIPE: recipe})
        return str(made.info.run_id)


@dataclass(frozen=True)
class WandB:
    """Runs of Weights & Biases, one for each recipe, in a group of the name of the study, or of the store. Needs the extra ``wandb``.

    WANDB_MODE=offline keeps the runs on disk, for ``wandb sync``.

    Args:
        project: its name; None: as Weights & Biases is set up (WANDB_PROJECT).
        folder: for its files; None: the current directory.
    """

    project: str | None = None
    folder: Path | None = None

    def __call__(self, study: Replication | Results) -> None:
        require("wandb", extra="wandb", purpose="the tracker WandB")
        import wandb

        with _sending(study, "Weights & Biases") as sent:
            for recipe in sent.recipes:
                identity = hashlib.blake2b(f"{sent.identity}\0{recipe.name}".encode(), digest_size=8).hexdigest()
                folder = None if self.folder is None else str(self.folder)
                with wandb.init(
                    project=self.project, dir=folder, id=identity, resume="allow", name=recipe.name, group=sent.name,
                    config=dict(recipe.settings), settings=wandb.Settings(console="off", silent=True),
                ) as run:  # fmt: skip
                    for name, points in recipe.series.items():
                        run.define_metric(name, step_metric=f"{name}/step")
                        for step, value in points:
                            run.log({name: value, f"{name}/step": step})
                    run.summary.update(dict(recipe.measures))
                    run.log({"report": wandb.Html(sent.page.read_text(encoding="utf-8"), inject=False)})


@dataclass(frozen=True)
class TensorBoard:
    """Event files of TensorBoard, in one folder for each recipe. Needs the extra ``tensorboard``.

    The table of the study is in the tab of texts; the page is next to the event files.

    Args:
        folder: for the files; None: ``tensorboard`` in the store.
    """

    folder: Path | None = None

    def __call__(self, study: Replication | Results) -> None:
        require("tensorboardX", extra="tensorboard", purpose="the tracker TensorBoard")
        from tensorboardX import SummaryWriter

        with _sending(study, "TensorBoard") as sent:
            place = Path(self.folder or sent.store / "tensorboard")
            for recipe in sent.recipes:
                folder = place / recipe.name
                for old in folder.glob("events.out.tfevents.*.traintwice"):
                    old.unlink()
                with SummaryWriter(str(folder), filename_suffix=".traintwice") as writer:
                    for name, value in recipe.measures.items():
                        writer.add_scalar(f"measures/{name}", value, 0)
                    for name, points in recipe.series.items():
                        for step, value in points:
                            writer.add_scalar(name, value, step)
                    writer.add_text("settings", "  \n".join(f"{key}: {value}" for key, value in recipe.settings.items()), 0)
                    writer.add_text("study", sent.table, 0)
            (place / sent.page.name).write_bytes(sent.page.read_bytes())


TRACKERS: Mapping[str, Callable[[str | None], Tracker]] = {
    "mlflow": MLflow,
    "wandb": WandB,
    "tensorboard": lambda place: TensorBoard(None if place is None else Path(place)),
}


@typed
def tracker_of(text: str) -> Tracker:
    """The tracker of a text ``NAME`` or ``NAME=PLACE``: a URI of MLflow, a project of Weights & Biases, a folder of TensorBoard.

    Raises:
        UnknownName: another name. BadSpec: an empty place. MissingExtra: its package is not installed.
    Example:
        >>> tracker_of("comet")
        Traceback (most recent call last):
            ...
        traintwice.errors.UnknownName: no tracker named 'comet'. Known: mlflow, tensorboard, wandb.
    """
    name, equals, place = text.partition("=")
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS)
    if equals and not place:
        raise BadSpec(f"--track {text}: expected NAME or NAME=PLACE, such as mlflow=sqlite:///runs.db")
    require({"tensorboard": "tensorboardX"}.get(name, name), extra=name, purpose=f"--track {name}")
    return TRACKERS[name](place or None)


@typed
def tracked(study: Replication | Results) -> list[TrackedRecipe]:
    """What trackers show of every recipe of a study, for a tracker of your own. Values that are not finite are left out."""
    if isinstance(study, Replication):
        return [_of_replication(study, recipe) for recipe in study.recipes]
    return [_of_results(study, row) for row in study.rows]


def _of_replication(study: Replication, recipe: str) -> TrackedRecipe:
    records = study.records.get(recipe, {})
    settings: dict[str, Any] = next((record["settings"] for record in records.values()), {})
    try:
        measures: dict[str, Estimate] = dict(study.measure(recipe).items())
    except TooFewReplicas:
        measures = {}
    series = {
        f"replica_{replica}/{name}": points
        for name, by_recipe in logged_values({recipe: records}).items()
        for replica, points in by_recipe[recipe].items()
    }
    return _tracked(recipe, [record["seconds"] for record in records.values()], settings, measures, series)


def _of_results(study: Results, row: str) -> TrackedRecipe:
    from traintwice.specs import encode
    from traintwice.study import MEASURES

    result = study[row]
    settings = {key: value if isinstance(value, str) else json.dumps(value) for key, value in encode(result.recipe).items()}
    measures = {metric.definition.name: found for metric in MEASURES if (found := study.estimate(metric, row)) is not None}
    series = {
        f"replica_{replica}/loss": [(step, loss) for step, loss in enumerate(points, start=1) if loss is not None]
        for replica, points in result.losses.items()
    }
    return _tracked(row, [record["seconds"] for record in result.records], settings, measures, series)


def _tracked(
    name: str,
    seconds: Sequence[float],
    settings: Mapping[str, Any],
    measures: Mapping[str, Estimate],
    series: Mapping[str, list[tuple[int, float]]],
) -> TrackedRecipe:
    numbers = {"seconds_per_replica": statistics.mean(seconds)} if seconds else {}
    for measure, estimate in measures.items():
        numbers |= {measure: estimate.value, f"{measure}_low": estimate.low, f"{measure}_high": estimate.high}
    return TrackedRecipe(
        name,
        len(seconds),
        {key: str(value)[:LONGEST_SETTING] for key, value in settings.items()},
        {key: value for key, value in numbers.items() if math.isfinite(value)},
        dict(sorted(series.items())),
    )


@contextmanager
def _sending(study: Replication | Results, tracker: str) -> Iterator[_Sent]:
    """What is sent of a study; its page is a file for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(study, Replication):
            name, table, page = study.store.name, study.sheet().to_markdown(), study.report(folder)
        else:
            from traintwice.report import write

            name, table, page = study.experiment.name, study.table().to_markdown(), write(study, folder)
        try:
            yield _Sent(name, study.store, tracked(study), table, page.rename(page.with_name("traintwice.html")))
        except Exception as error:  # of a library that writes to a disk or a server
            reason = (str(error).strip().splitlines() or [""])[0]
            raise BadSpec(
                f"{tracker}: {type(error).__name__}: {reason} (the replicas in {study.store} are kept; run again to send them)"
            ) from error
