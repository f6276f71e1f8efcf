"""The rows of several models: files and tables matched by id, or arrays; either way in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np

from traintwice._addresses import Address
from traintwice.errors import BadInput
from traintwice.logs import is_log
from traintwice.logs._reading import TABLES
from traintwice.predictions._aligned import AlignedPredictions
from traintwice.predictions._bank import BankReplica, read_banked
from traintwice.predictions._derived import is_series, to_numpy
from traintwice.predictions._in_memory import as_tables, check_index, needs_names, predicted_by, stacked, with_arrays
from traintwice.predictions._inputs import Shards, is_array
from traintwice.predictions._layout import Summary
from traintwice.predictions._opening import open_predictions
from traintwice.predictions._outcome_rows import read_outcomes
from traintwice.predictions._predictions import DrawBlock, Predictions
from traintwice.predictions._reading import Reading, reading_of
from traintwice.progress import report

__all__ = ["Rows", "open_rows"]


class Rows:
    """Rows of M models in blocks, whatever they come from.

    Args:
        source: matched files, or arrays.
        summary: what was read; None for files, which have their own.
        draws: the draws of every item, where arrays have several.

    Attributes:
        files: the matched files; None for arrays.
        replicas: M.
        classes: K; None for predicted labels and regressions.
        class_names: names of the classes, where known.
        regression, has_probs, has_draws: each model gives numbers, probabilities, or several draws of each item.
        outcomes: "outcomes" where answers are right or wrong, "graded" where they have scores between 0 and 1; else None.
        has_labels: False where no row can have a label.
        groups, shown: names of the group columns, the time axis last; and of the columns to show with single rows.
        time_axis: name of the time axis, or None.
        clusters: the columns of clusters, or None where rows are independent.
        positive: name of the positive class of a binary comparison, or None.
        waive: ids, as text, of rows that do not count.
        waived: how many rows the last pass left out for that.
    """

    def __init__(
        self,
        source: AlignedPredictions | Predictions,
        summary: Summary | None = None,
        draws: Sequence[DrawBlock] | None = None,
    ) -> None:
        self._source, self._summary, self._draws = source, summary, draws
        self.replicas, self.classes, self.class_names = source.replicas, source.classes, source.class_names
        self.has_probs, self.groups = source.has_probs, tuple(source.groups)
        self.files: AlignedPredictions | None = None
        self.outcomes: str | None = None
        if isinstance(source, AlignedPredictions):
            self.files, self.regression, self.shown = source, source.is_regression, source.shown
            self.has_labels, self.has_draws = source.has_labels, source.has_draws
            self.time_axis, self.clusters, self.positive = source.time, source.cluster, source.named.positive
        else:
            self.outcomes = source._kind if source.has_outcomes else None
            self.regression, self.shown = source.has_scores, tuple(source.known.shown)
            self.has_labels, self.has_draws = bool(source.labelled.any()), draws is not None
            self.time_axis, self.clusters, self.positive = self.summary.time, self.summary.cluster, self.summary.positive
        self.waive: Collection[str] = ()
        self.waived = 0

    @property
    def summary(self) -> Summary:
        """What was read; matches the rows of files where that was not done yet."""
        return self._summary or cast(AlignedPredictions, self._source).summary

    def blocks(self) -> Iterator[Predictions]:
        """Blocks of rows, all models as replicas; a block either has labels in every row or in none."""
        for block in self._blocks():
            yield from block.by_label()

    def _blocks(self) -> Iterator[Predictions]:
        self.waived = done = 0
        source = self._source
        if isinstance(source, AlignedPredictions):
            blocks, rows = source.blocks(), source.alignment.rows
        else:
            blocks, rows = (part for _, _, part in source.blocks(source.has_top)), source.examples
        for block in blocks:
            done += block.examples
            report(done, rows)
            if not self.waive:
                yield block
            elif (keep := self._keep(block.ids)).any():
                yield block.where(keep)

    def items(self) -> Iterator[DrawBlock]:
        """Blocks of items, with how often each model drew each class; see `AlignedPredictions.items`."""
        blocks = self._draws if self.files is None else self.files.items()
        if blocks is None:
            raise BadInput("these rows are not draws; pass draws= and id= where a model answered an item several times")
        self.waived = 0
        for block in blocks:
            yield block.where(self._keep(block.ids)) if self.waive else block

    def read(self) -> Predictions:
        """All rows in memory; where only some have a label, ``labelled`` is a mask of them."""
        parts = list(self._blocks())
        if not parts:
            raise BadInput("no rows are left")
        return Predictions.joined(parts)

    def _keep(self, ids: Any) -> np.ndarray:
        """A mask of the rows that are not waived."""
        if ids is None:
            raise BadInput("rows can only be waived by their ids, and these have none; pass --id")
        keep = np.array([str(i) not in self.waive for i in to_numpy(ids).tolist()], dtype=bool)
        self.waived += int((~keep).sum())
        return keep


@contextmanager
def open_rows(models: Sequence[Any], names: Sequence[str] = (), **reading: Unpack[Reading]) -> Iterator[Rows]:
    """The rows of several models.

    Args:
        models: one item for each, as `items_of` and `replicas_of` give them; all arrays, or all files and tables.
        names: of the models, for arrays.
        reading: see `open_predictions`. With X, models are fitted estimators, as those of scikit-learn. With arrays, id, label, weight,
            draws and time are arrays with one entry for each row, and by and cluster arrays or mappings from names to arrays. With
            tables in memory they may be arrays too.
    Raises:
        BadInput: arrays and files are mixed, or see `open_predictions`.
    """
    wanted = reading_of(reading)
    if wanted["X"] is not None:
        models, wanted = predicted_by(models, wanted)
    arrays = [is_array(model) for model in models]
    if any(arrays) and not all(arrays):
        raise BadInput(
            "arrays and files cannot be compared with each other: write the arrays with write_predictions, or read the files"
        )
    of_rows = {name: value for name, value in wanted.items() if not isinstance(value, str | bool | int | tuple | list | None)}
    if all(arrays) or of_rows or wanted["by_position"]:
        check_index([*models, *of_rows.values()])
        models = [to_numpy(model) if is_series(model) else model for model in models]
    if models and all(isinstance(model, BankReplica) for model in models):
        yield Rows(*read_banked(models, wanted))
    elif _are_logs(models, wanted):
        yield Rows(*read_outcomes(models, wanted))
    elif all(arrays) and wanted["draws"] is None and not needs_names(models, wanted):
        yield Rows(*stacked(models, wanted, names))
    else:
        options: Any = reading
        if all(arrays):
            models, options = as_tables(models, wanted)
        elif of_rows:
            models, options = with_arrays(models, wanted, of_rows)
        with open_predictions(list(models), **options) as files:
            yield Rows(files)


def _are_logs(models: Sequence[Any], wanted: Reading) -> bool:
    """Whether models are evaluation logs, or files whose column of correctness is named."""
    names = [str(model) if isinstance(model, str | Path | Address | Shards) else type(model).__name__ for model in models]
    are_files = [isinstance(model, str | Path) for model in models]
    if wanted["correct"] is not None:
        if not all(are_files):
            told = f"{names[are_files.index(False)]}: --correct reads one file of this machine for each model"
            raise BadInput(f"{told}; copy it to a file first")
        return True
    logs = [
        is_file and Path(model).suffix.lower() not in TABLES and is_log(model)
        for model, is_file in zip(models, are_files, strict=True)
    ]
    if any(logs) and not all(logs):
        told = f"{names[logs.index(False)]} is not an evaluation log and {names[logs.index(True)]} is one"
        raise BadInput(f"{told}; pass logs alone")
    for name in ("answer", "normalise", "scorer", "filter", "task"):
        if wanted[name] and not any(logs):
            needs_column = "--answer needs --correct, the column of the correctness"
            told = needs_column if name == "answer" else f"--{name} is for evaluation logs"
            raise BadInput(f"{told}; {names[0]} is not a log of a known layout")
    return any(logs)
