"""Tables of the user with numbers, categories and a label, from a Parquet or CSV file."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from traintwice._database import Session, identifier, literal
from traintwice._typed import typed
from traintwice.data._data_files import user_file
from traintwice.data._dataset import Dataset, Split
from traintwice.data._splits import deal_one
from traintwice.errors import BadInput, BadSpec
from traintwice.predictions._file_formats import unpacked

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "UTINYINT", "USMALLINT")
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
CATEGORIES = ("VARCHAR", "BOOLEAN", "ENUM")

READERS = {
    ".parquet": "read_parquet({})",
    ".csv": "read_csv({}, sample_size = -1)",
    ".tsv": "read_csv({}, sample_size = -1)",
    ".csv.gz": "read_csv({}, sample_size = -1)",
}


@dataclass(frozen=True)
@typed
class Table:
    """Your own table: a Parquet or CSV file with a column of labels.

    Numeric columns are scaled to mean 0 and standard deviation 1 on the training split. Columns of text, truth values and those in
    ``categories`` are one-hot encoded with the values of the training split; other values are 0 in all inputs of the column. A missing
    category is a value of its own.

    Args:
        file: ``.parquet``, ``.csv``, ``.tsv`` or ``.csv.gz``.
        label: name of the column of classes; the classes are its values in order.
        train, validation, test: number of rows in each split; None trains on all remaining rows.
        split_seed: of the shuffle into splits.
        leave_out: columns that are not inputs: ids, and columns that are known together with the label only.
        categories: numeric columns to read as categories.
        most_values: largest number of values of a category; each value is one input.
        missing: "refuse" missing numbers, or replace them by the "mean" of the training split.
        id: column that names each row, for the predictions of a model in service; it is not an input. None: the number of the row.
        date: column of dates, for a chain of retrains; it is not an input.
        name: of the data set in tables.
    Raises:
        BadInput: the file cannot be read; a column is missing, of another type, has too many values or missing numbers. BadSpec: a
            setting outside its range.
    Source:
        Ours.
    """

    file: str
    label: str
    train: int | None = None
    validation: int = 1000
    test: int = 1000
    split_seed: int = 0
    leave_out: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    most_values: int = 50
    missing: Literal["refuse", "mean"] = "refuse"
    name: str = "table"
    id: str | None = None
    date: str | None = None

    def __post_init__(self) -> None:
        if self.most_values < 2:
            raise BadSpec(f"Table.most_values: got {self.most_values}, expected at least 2")
        if self.label in (*self.leave_out, *self.categories, *self._named):
            raise BadSpec(f"Table.label: {self.label!r} is the label; remove it from leave_out, categories, id and date")
        if self.id is not None and self.id == self.date:
            raise BadSpec(f"Table.id: {self.id!r} is the date too; expected another column")

    @property
    def _named(self) -> tuple[str, ...]:
        """Columns of ids and dates."""
        return tuple(column for column in (self.id, self.date) if column is not None)

    def load(self) -> Dataset:
        """Read, encode and split the data."""
        columns = self._read()
        labels, names = self._classes(columns.pop(self.label))
        ids = np.arange(len(labels)) if self.id is None else self._ids(columns.pop(self.id))
        dates = None if self.date is None else columns.pop(self.date).astype(str)
        parts = deal_one(len(labels), (self.train, self.validation, self.test), seed=self.split_seed)
        encoded = [
            self._numbers(name, values, parts[0]) if values.dtype.kind == "f" else self._one_hot(name, values, parts[0])
            for name, values in columns.items()
        ]
        if not encoded:
            raise BadInput(f"{self.file}: has no column for inputs other than the label {self.label!r}")
        inputs = np.concatenate(encoded, axis=1)
        train, validation, test = (
            Split(inputs[part], labels[part], ids=ids[part], dates=None if dates is None else dates[part]) for part in parts
        )
        return Dataset(self.name, len(names), train, validation, test, class_names=names)

    def _read(self) -> dict[str, np.ndarray]:
        """Label and inputs by column, in the order of the file: float64 (nan where missing) or text."""
        path = user_file(self.file)
        ending = ".csv.gz" if path.name.endswith(".csv.gz") else path.suffix.lower()
        if ending not in READERS:
            raise BadInput(f"{path}: got a file ending in {ending or 'nothing'}, expected one of {', '.join(READERS)}")
        session = Session()
        try:
            plain = unpacked(session, path, "gzip", str(path)) if ending == ".csv.gz" else path
            relation = READERS[ending].format(literal(glob.escape(str(plain))))
            doing = f"{path}: reading"
            types = {str(n): str(t) for n, t, *_ in session.rows(f"DESCRIBE SELECT * FROM {relation}", doing=doing)}
            for column in (self.label, *self.leave_out, *self.categories, *self._named):
                if column not in types:
                    raise BadInput(f"{path}: no column {column!r}; it has {', '.join(types)}")
            wanted = [
                self._expression(path, name, kind)
                for name, kind in types.items()
                if name not in self.leave_out or name in self._named
            ]
            found: dict[str, Any] = session.arrays(f"SELECT {', '.join(wanted)} FROM {relation}", doing=doing)
        finally:
            session.close()
        return {name: _filled(values) for name, values in found.items()}

    def _expression(self, path: Path, name: str, kind: str) -> str:
        """A column as a number or as text."""
        quoted = identifier(name)
        if name == self.id and kind.startswith(WHOLE):
            return f"CAST({quoted} AS BIGINT) AS {quoted}"
        if name == self.label or name in self._named or name in self.categories or kind.startswith(CATEGORIES):
            return f"CAST({quoted} AS VARCHAR) AS {quoted}"
        if kind.startswith(NUMBERS):
            return f"CAST({quoted} AS DOUBLE) AS {quoted}"
        raise BadInput(
            f"{path}: column {name!r} has type {kind}, which is neither numeric nor categorical; list it in leave_out or categories"
        )

    def _ids(self, values: np.ndarray) -> np.ndarray:
        """Ids of the rows, numbers or text."""
        found = values if values.dtype.kind in "iu" else values.astype(str)
        if len(np.unique(found)) < len(found) or (found.dtype.kind == "U" and (found == "").any()):
            raise BadInput(f"{self.file}: {self.id!r} has missing or repeated values; every row needs an id of its own")
        return found

    def _classes(self, values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """Labels from 0, and the names of the classes in numeric or else alphabetical order."""
        if (values == "").any():
            raise BadInput(f"{self.file}: {int((values == '').sum()):,} rows have no label in {self.label!r}; remove these rows")
        names, labels = np.unique(values.astype(str), return_inverse=True)
        try:
            order = np.argsort(names.astype(float), kind="stable")
        except ValueError:
            order = np.arange(len(names))
        if len(names) < 2 or len(names) == len(values):
            raise BadInput(
                f"{self.file}: {self.label!r} has {len(names):,} values in {len(values):,} rows, expected at least two classes with "
                "several rows"
            )
        return np.argsort(order)[labels].astype(np.int64), tuple(str(name) for name in names[order])

    def _numbers(self, name: str, values: np.ndarray, train: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        if not known.all() and self.missing == "refuse":
            raise BadInput(
                f'{self.file}: column {name!r} has {int((~known).sum()):,} missing or infinite numbers; set missing = "mean" to use the '
                "mean of the training split, or list the column in leave_out"
            )
        seen = values[train][known[train]]
        mean, std = (float(seen.mean()), float(seen.std())) if len(seen) else (0.0, 0.0)
        scaled = (np.where(known, values, mean) - mean) / (std if std > 0 else 1.0)
        return scaled[:, None].astype(np.float32)

    def _one_hot(self, name: str, values: np.ndarray, train: np.ndarray) -> np.ndarray:
        known = np.unique(values[train].astype(str))
        if len(known) > self.most_values:
            raise BadInput(
                f"{self.file}: column {name!r} has {len(known):,} values, more than {self.most_values}; list it in leave_out, or "
                "raise most_values"
            )
        return np.asarray(values.astype(str)[:, None] == known, dtype=np.float32)


def _filled(values: Any) -> np.ndarray:
    """A column without a mask: missing numbers are nan, missing text is empty."""
    missing = np.asarray(np.ma.getmaskarray(values))
    plain = np.asarray(np.ma.getdata(values))
    if plain.dtype.kind in "iu" and not missing.any():
        return plain
    filled: np.ndarray = plain.copy() if plain.dtype.kind == "f" else plain.astype(object)
    filled[missing] = np.nan if plain.dtype.kind == "f" else ""
    return filled
