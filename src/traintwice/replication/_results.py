"""The replicas of a study of functions or commands: their files, measures and comparisons, and a study of a bank that is made of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from traintwice._arrays import to_numpy
from traintwice._typed import typed
from traintwice._user_code import together
from traintwice.bank import BankStudy, NewRecipe, write_study
from traintwice.compare import Against, Measures, RecipeComparison, compare_recipes, compare_with_served, measure
from traintwice.compare._floor import MARGIN
from traintwice.compare._recipes import holm_adjusted
from traintwice.compare._shown import Shown
from traintwice.errors import BadInput, StoreError, TooFewReplicas, unknown
from traintwice.metrics import accuracy, churn, churn_to_error, log_loss
from traintwice.predictions import Predictions, Reading, is_array, open_predictions, write_predictions
from traintwice.predictions._inputs import one_item
from traintwice.replication._report import logged_values, sheet_of, write_page
from traintwice.tables import Sheet

__all__ = ["Failure", "Replication", "add_replicas_to_bank"]


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
            why = next((f". Replica {f.replica} failed: {f.reason}" for f in self.failures if f.recipe == name), "")
            raise TooFewReplicas(f"{name}: {len(found)} of {self.wanted} replicas are finished, expected at least 2{why}")
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
            if is_array(deployed):
                name, old = "array", self._numbered(to_numpy(deployed), Path(folder), split)
            else:
                name, old = str(deployed) if isinstance(deployed, str | Path) else "table", one_item(deployed, "deployed")
            found = {recipe: self._next_to(old, name, recipe, split, reading) for recipe in self.recipes}
        answers = to_numpy(found[self.recipes[0]].votes)[0]
        files = self._of_split(split)
        recipes = {recipe: (every.models(1, every.replicas), tuple(files[recipe])) for recipe, every in found.items()}
        return compare_with_served(name, answers, recipes, level=level, margin=margin)

    def _numbered(self, array: np.ndarray, folder: Path, split: str | None) -> Path:
        """A file of an array, its rows numbered as those of replicas without ids."""
        at = self._split_name(split)
        shape = next((record["splits"][at] for found in self.records.values() for record in found.values()), None)
        if shape is not None and (shape["ids"] is not None or shape["rows"] != len(array)):
            have = "ids" if shape["ids"] is not None else f"{shape['rows']:,} rows"
            raise BadInput(
                f"deployed: got an array of {len(array):,} rows, and the replicas have {have}; pass a table with a column of ids"
            )
        return write_predictions(folder / "deployed.parquet", array, ids=np.arange(len(array)))

    def _next_to(self, old: Any, name: str, recipe: str, split: str | None, reading: Mapping[str, Any]) -> Predictions:
        """The model in service and the replicas of a recipe, on the rows of the replicas."""
        files = self._of_split(split).get(recipe, {})
        if not files:
            raise TooFewReplicas(f"{recipe}: no replica is finished, expected at least 1")
        with open_predictions([old, *files.values()], **cast(Any, {**self.reading, **reading, "on_missing": "drop"})) as opened:
            every = opened.read()
        rows = max(self.records[recipe][m]["splits"][self._split_name(split)]["rows"] for m in files)
        if every.examples < rows:
            raise BadInput(
                f"{name}: lacks {rows - every.examples:,} of the {rows:,} ids of the replicas; each needs a prediction"
            )
        if every.has_scores:
            raise BadInput("against: got numbers, which have no answers to compare; use traintwice.diff")
        return every

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
        return write_page(self, Path(out), against)

    def sheet(self) -> Sheet:
        """One row for each recipe: accuracy, churn, finished replicas, seconds and costs of a replica; then the failures."""
        return sheet_of(self)

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
        lines += [f"{where}: {reason}" for where, reason in self.failures_together()]
        trace = next((f.traceback for f in self.failures if f.traceback.strip() and f.traceback.strip() != f.reason), "")
        return "\n".join([*lines, *(["", trace.rstrip()] if trace else [])])

    def failures_together(self) -> Iterator[tuple[str, str]]:
        """Which replicas failed for the same reason; the reason, and where the first of them printed to."""
        first = {f.reason: f.log for f in reversed(self.failures)}
        for where, reason in together((f.recipe, f.replica, f.reason) for f in self.failures):
            yield where, f"{reason} (log: {first[reason]})"

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


@typed
def add_replicas_to_bank(
    found: Replication,
    folder: str | Path,
    *,
    name: str,
    data: str,
    network: str,
    costs: Mapping[str, tuple[float, float]],
    command: str | None = None,
    replace: bool = False,
) -> BankStudy:
    """Write what the replicas of functions or commands predict on every test row into a bank.

    Args:
        found: the replicas, all finished. Rows are numbered in the order of their ids.
        folder: the bank; made where it does not exist.
        name: of the study in the bank.
        data, network: in words, for the manifest.
        costs: recipe to its cost, to train and to serve, as a multiple of one plain network.
        command: that trains the study, for the manifest; None: the function or command of a replica.
        replace: replace a study of this name.
    Returns:
        The study as it is in the bank.
    Raises:
        StoreError: replicas are missing; the message counts them. BadInput: a recipe has no cost, predictions lack probabilities or
            labels, a study of this name is there. UnknownName: the cost of a recipe that is not there.
    """
    missing = {r: count for r in found.recipes if (count := found.wanted - len(found.records.get(r, {})))}
    if missing:
        told = ", ".join(f"{recipe} {count}" for recipe, count in missing.items())
        raise StoreError(f"{found.store}: replicas are missing ({told}); run the same `traintwice replicate` again to train them")
    for recipe in costs:
        if recipe not in found.recipes:
            raise unknown("recipe", recipe, found.recipes)
    without = [recipe for recipe in found.recipes if recipe not in costs]
    if without:
        raise BadInput(f"{without[0]}: its cost is not known; state what it costs to train and to serve: --cost {without[0]}=1,1")
    recipes = {}
    for recipe, files in found.paths.items():
        with open_predictions(files, **found.reading) as opened:
            whole = opened.read()
        measures = found.measure(recipe, which=[accuracy, churn, churn_to_error, log_loss]) if whole.has_labels else {}
        first = next(iter(found.records[recipe].values()))
        spec = {key: first[key] for key in ("trainer", "settings", "vary")}
        kept = {key: estimate.bounded() for key, estimate in measures.items()}
        recipes[recipe] = NewRecipe(whole, *costs[recipe], spec, kept)
    records = [record for of_recipe in found.records.values() for record in of_recipe.values()]
    versions = {str(record["versions"]): record["versions"] for record in records}
    about: dict[str, Any] = {
        "study": name,
        "title": f"{data}, {network}",
        "data": data,
        "network": network,
        "cost_of": "one plain network, as stated",
        "seed": records[0]["seed"],
        "date": max(cast(str, record["finished"]) for record in records)[:10],
        "training_seconds": round(sum(record["seconds"] for record in records), 3),
        "versions": list(versions.values()),
        "command": command or records[0]["trainer"],
    }
    return write_study(Path(folder), name, recipes, about, replace=replace)
