"""The replicas of a study of functions or commands: their files, measures, comparisons and report."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from traintwice._files import write_whole
from traintwice._user_code import together
from traintwice.compare import Against, Measures, RecipeComparison, compare_recipes, compare_with_served, measure
from traintwice.compare._floor import MARGIN
from traintwice.compare._recipes import holm_adjusted
from traintwice.compare._shown import Shown
from traintwice.errors import BadInput, StoreError, TooFewReplicas, TraintwiceError, unknown
from traintwice.metrics._identical import identical_in_words
from traintwice.predictions import Reading, is_array, open_predictions, write_predictions
from traintwice.predictions._checks import to_numpy
from traintwice.predictions._inputs import one_item
from traintwice.replication._page import logged_values, page
from traintwice.tables import Column, Line, Row, Sheet, Table
from traintwice.tables._table import Cell
from traintwice.tables._words import sentence

__all__ = ["Failure", "Replication"]


@dataclass(frozen=True)
class Failure:
    """A replica that could not be trained.

    Attributes:
        recipe, replica: which one.
        reason: in one sentence.
        traceback: of the user's code.
        log: file of what the replica printed.
    """

    recipe: str
    replica: int
    reason: str
    traceback: str
    log: Path


@dataclass(frozen=True, repr=False)
class Replication(Shown):
    """The replicas in a store. Made by `traintwice.replicate`.

    Attributes:
        store: the directory.
        wanted: M, replicas of each recipe that were requested.
        recipes: names; the first is the baseline.
        files: split to recipe to number of the replica to prediction file.
        records: recipe to number of the replica to record, with seconds, versions and what `Run.log` recorded.
        failures: replicas that could not be trained.
        reading: how the files are read.
    """

    store: Path
    wanted: int
    recipes: tuple[str, ...]
    files: Mapping[str, Mapping[str, Mapping[int, Path]]]
    records: Mapping[str, Mapping[int, Mapping[str, Any]]]
    failures: tuple[Failure, ...]
    reading: Reading

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits; one empty name where the trainings return one split."""
        return tuple(self.files)

    @property
    def paths(self) -> dict[str, list[Path]]:
        """Prediction files by recipe: of the split "test", or else of the last split."""
        return {recipe: list(found.values()) for recipe, found in self._of_split(None).items()}

    def measure(self, recipe: str | None = None, *, split: str | None = None, **options: Any) -> Measures:
        """Measure the disagreement of the replicas of a recipe.

        Args:
            recipe: its name; None: the baseline.
            split: its name; None: "test", or else the last split.
            options: of `traintwice.measure`.
        Returns:
            `Measures`.
        Raises:
            TooFewReplicas: fewer than two replicas. UnknownName: no such recipe or split.
        """
        name = self._known(recipe)
        found = list(self._of_split(split).get(name, {}).values())
        if len(found) < 2:
            raise TooFewReplicas(f"{name}: {len(found)} of {self.wanted} replicas are finished, expected at least 2")
        return measure(found, **cast(Any, {**self.reading, **options}))

    def compare(self, *, split: str | None = None, **options: Any) -> dict[str, RecipeComparison]:
        """Compare every other recipe with the baseline, paired by replica; p-values are Holm-adjusted over the recipes.

        Args:
            split: its name; None: "test", or else the last split.
            options: of `traintwice.compare_recipes`.
        Returns:
            A `RecipeComparison` by recipe. Replicas that one of the two recipes lacks are left out.
        Raises:
            TooFewReplicas: fewer than two replicas in common. UnknownName: no such split.
        """
        files = self._of_split(split)
        first, *others = self.recipes
        found = []
        for other in others:
            common = [m for m in files.get(first, {}) if m in files.get(other, {})]
            pair = [[files[recipe][m] for m in common] if common else [] for recipe in (first, other)]
            if len(common) < 2:
                raise TooFewReplicas(f"{first} and {other} have {len(common)} finished replicas in common, expected at least 2")
            found.append(compare_recipes(*pair, names=(first, other), paired=True, **cast(Any, {**self.reading, **options})))
        return dict(zip(others, holm_adjusted(found), strict=True))

    def against(
        self, deployed: Any, *, split: str | None = None, level: float = 0.95, margin: float = MARGIN, **reading: Any
    ) -> Against:
        """Compare every recipe with the model in service; the floor is the churn of the recipe's own replicas.

        Args:
            deployed: its predictions, a file or table; or an array, where the replicas are matched by position too. Rows are matched by id;
                its further rows are left out. Where the trainings return no ids, a row's id is its number.
            split: its name; None: "test", or else the last split.
            level, margin: see `traintwice.compare.compare_with_served`.
            reading: how the file is read, see `traintwice.open_predictions`.
        Returns:
            An `Against`: churn, negative flips and a verdict for each recipe, and its difference from the baseline.
        Raises:
            BadInput: see `traintwice.open_predictions`, or predictions without answers. TooFewReplicas: a recipe has no replica.
        """
        with tempfile.TemporaryDirectory() as folder:
            old = self._numbered(deployed, Path(folder), split) if is_array(deployed) else one_item(deployed, "deployed")
            name = str(deployed) if isinstance(deployed, str | Path) else "array" if is_array(deployed) else "table"
            return self._against(old, name, split, level=level, margin=margin, **reading)

    def _numbered(self, deployed: Any, folder: Path, split: str | None) -> Path:
        """A file of an array, its rows numbered as those of replicas without ids.

        Raises:
            BadInput: the replicas have ids, or another number of rows.
        """
        array, at = to_numpy(deployed), self._split_name(split)
        shape = next((record["splits"][at] for found in self.records.values() for record in found.values()), None)
        if shape is not None and (shape["ids"] is not None or shape["rows"] != len(array)):
            have = "ids" if shape["ids"] is not None else f"{shape['rows']:,} rows"
            raise BadInput(
                f"deployed: got an array of {len(array):,} rows, and the replicas have {have}; pass a table with a column of ids"
            )
        write_predictions(folder / "deployed.parquet", array, ids=np.arange(len(array)))
        return folder / "deployed.parquet"

    def _against(self, old: Any, name: str, split: str | None, *, level: float, margin: float, **reading: Any) -> Against:
        recipes: dict[str, tuple[Any, tuple[int, ...]]] = {}
        answers: np.ndarray | None = None
        for recipe in self.recipes:
            files = self._of_split(split).get(recipe, {})
            if not files:
                raise TooFewReplicas(f"{recipe}: no replica is finished, expected at least 1")
            options = {**self.reading, **reading, "on_missing": "drop"}
            with open_predictions([old, *files.values()], **cast(Any, options)) as opened:
                every = opened.read()
            rows = max(self.records[recipe][m]["splits"][self._split_name(split)]["rows"] for m in files)
            if every.examples < rows:
                raise BadInput(
                    f"{name}: lacks {rows - every.examples:,} of the {rows:,} ids of the replicas; each needs a prediction"
                )
            if every.has_scores:
                raise BadInput("against: got numbers, which have no answers to compare; use traintwice.diff")
            answers = to_numpy(every.votes)[0] if answers is None else answers
            recipes[recipe] = (every.models(1, every.replicas), tuple(files))
        if answers is None:
            raise TooFewReplicas("against: no recipe")
        return compare_with_served(name, answers, recipes, level=level, margin=margin)

    def report(self, out: str | Path, *, against: Against | None = None) -> Path:
        """Write a page with the table, the comparisons and the measures of every recipe, and charts of what `Run.log` recorded.

        Args:
            out: directory; made where it does not exist.
            against: the comparison with the model in service, to show on the page.
        Returns:
            The path of ``index.html``.
        Raises:
            StoreError: it cannot be written.
        """
        sheets = [self.sheet(), *([] if against is None else [against.sheet()])]
        parts: list[Callable[[], Sequence[Shown]]] = [
            lambda: list(self.compare().values()),
            *[lambda recipe=recipe: [self.measure(recipe)] for recipe in self.recipes],
        ]
        for part in parts:
            try:
                sheets += [result.sheet() for result in part()]
            except TooFewReplicas:
                continue
        text = page(f"Replicas in {self.store.name}", sheets, logged_values(self.records))
        path = Path(out) / "index.html"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode())
        except OSError as error:
            raise StoreError(f"{out}: the report cannot be written there ({error.strerror})") from None
        return path

    def sheet(self) -> Sheet:
        """One row for each recipe: accuracy, churn, finished replicas, seconds and costs of a replica; then the failures."""
        stated = sorted(
            {name for found in self.records.values() for record in found.values() for name in record.get("costs", {})}
        )
        columns = (
            Column("accuracy", "accuracy", "fraction"),
            Column("churn", "churn", "fraction"),
            Column("replicas", "replicas", "text"),
            Column("seconds", "seconds per replica", "text"),
            *(Column(f"cost {name}", f"{name} per replica", "text") for name in stated),
        )
        rows, warnings = [], []
        for recipe in self.recipes:
            records = self.records.get(recipe, {})
            cells: dict[str, Cell] = {"replicas": f"{len(records)} of {self.wanted}"}
            if records:
                cells["seconds"] = f"{statistics.mean(record['seconds'] for record in records.values()):.3g}"
                for name in stated:
                    amounts = [record["costs"][name] for record in records.values() if name in record.get("costs", {})]
                    cells[f"cost {name}"] = f"{statistics.mean(amounts):.3g}" if amounts else ""
            try:
                found = self.measure(recipe, which=["churn", "accuracy"])
                cells |= {name: found[name] for name in ("accuracy", "churn") if name in found}
                warnings += [("Warning", sentence(clause)) for clause in identical_in_words(found.identical)]
            except TooFewReplicas:
                pass
            except TraintwiceError as error:
                warnings.append(("Not measured", f"{recipe}: {error}"))
            rows.append(Row(recipe, cells))
        lines = tuple(Line(where, "failed", f"{reason} ({log})") for where, reason, log in self._failures_together())
        finished = sum(map(len, self.records.values()))
        headline = f"{finished} of {self.wanted * len(self.recipes)} replicas · {self.store}"
        return Sheet(headline, "", lines, tuple(warnings), (Table("", columns, tuple(rows)),))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "store": str(self.store),
            "replicas": self.wanted,
            "recipes": {r: self.measure(r).to_dict() for r in self.recipes if len(self.paths.get(r, ())) > 1},
            "files": {s: {r: [str(p) for p in found.values()] for r, found in of.items()} for s, of in self.files.items()},
            "seconds": {r: [record["seconds"] for record in found.values()] for r, found in self.records.items()},
            "costs": {r: [record.get("costs", {}) for record in found.values()] for r, found in self.records.items()},
            "logged": logged_values(self.records),
            "failures": [
                {"recipe": f.recipe, "replica": f.replica, "reason": f.reason, "log": str(f.log)} for f in self.failures
            ],
        }

    def failures_in_words(self) -> str:
        """The failed replicas, those with the same reason together, and the traceback of the first."""
        many = len(self.failures)
        lines = [f"{many} {'replica' if many == 1 else 'replicas'} failed; finished replicas are kept, run again to retry:"]
        lines += [f"{where}: {reason} ({log})" for where, reason, log in self._failures_together()]
        trace = next((f.traceback for f in self.failures if f.traceback.strip() and f.traceback.strip() != f.reason), "")
        return "\n".join([*lines, *(["", trace.rstrip()] if trace else [])])

    def _failures_together(self) -> Iterator[tuple[str, str, str]]:
        """Which replicas failed for the same reason, the reason, and where the first of them printed to."""
        first = {f.reason: f.log for f in reversed(self.failures)}
        for where, reason in together((f.recipe, f.replica, f.reason) for f in self.failures):
            yield where, reason, f"log: {first[reason]}"

    def _known(self, recipe: str | None) -> str:
        if recipe is not None and recipe not in self.recipes:
            raise unknown("recipe", recipe, self.recipes)
        return recipe or self.recipes[0]

    def _split_name(self, split: str | None) -> str:
        if split is None:
            split = "test" if "test" in self.files else next(reversed(self.splits), "")
        if split not in self.files and self.files:
            raise unknown("split", split, self.files)
        return split

    def _of_split(self, split: str | None) -> Mapping[str, Mapping[int, Path]]:
        return self.files.get(self._split_name(split), {})
