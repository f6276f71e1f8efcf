"""The test examples on which replicas disagree most, as pictures, with the votes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traintwice import metrics
from traintwice.data import Dataset
from traintwice.metrics.definition import to_numpy
from traintwice.report.pictures import data_uri, png, to_bytes
from traintwice.study import Results

SHOWN = 12
VALUES_SHOWN = 8


@dataclass(frozen=True)
class Votes:
    """How many of a row's replicas say which class, most votes first."""

    row: str
    counts: tuple[tuple[str, int, bool], ...]
    """(class, votes, whether it is the right one)."""


@dataclass(frozen=True)
class Flip:
    """A test example that flips.

    Attributes:
        index: its place in the test split, from 0.
        label: what it is.
        picture: a data URI; "" where the data are no pictures.
        values: its first input values in words, where there is no picture.
        votes: of each row shown.
    """

    index: int
    label: str
    picture: str
    values: str
    votes: tuple[Votes, ...]


def most_flipping(results: Results, rows: list[str], shown: int = SHOWN) -> list[Flip]:
    """The examples with the highest churn, mean over *all* recipes of the study.

    Args:
        results: of a study.
        rows: whose votes to show.
        shown: how many examples at most; examples on which all replicas of every recipe agree are left out.
    Returns:
        Most disagreement first, ties in the order of the test split. Ours: chosen by all recipes alike, because examples picked
        where one recipe flips would make every other one look calmer than it is.
    """
    churn = np.mean([to_numpy(metrics.churn.values(results[row].test)).mean(axis=0) for row in results.rows], axis=0)
    order = [int(n) for n in np.argsort(-churn, kind="stable")[:shown] if churn[n] > 0]
    return [_flip(results, rows, n) for n in order]


def _flip(results: Results, rows: list[str], n: int) -> Flip:
    data = results.data
    label = int(data.test.labels[n])
    votes = []
    for row in rows:
        counted = np.bincount(to_numpy(results[row].test.votes)[:, n], minlength=data.classes)
        ranked = [int(c) for c in np.argsort(-counted, kind="stable") if counted[c] > 0]
        votes.append(Votes(row, tuple((class_name(data, c), int(counted[c]), c == label) for c in ranked)))
    return Flip(n, class_name(data, label), _picture(data, n), _values(data, n), tuple(votes))


def class_name(data: Dataset, label: int) -> str:
    """What a class is called; its number where it has no name."""
    return data.class_names[label] if data.class_names else str(label)


def _picture(data: Dataset, n: int) -> str:
    if data.pixels is None:
        return ""
    picture = data.picture(data.test.rows(np.array([n]))[0])
    if picture.dtype == np.uint8:
        return data_uri(png(picture))
    every = data.test.inputs if isinstance(data.test.inputs, np.ndarray) else picture
    return data_uri(png(to_bytes(picture, float(every.min()), float(every.max()))))


def _values(data: Dataset, n: int) -> str:
    if data.pixels is not None:
        return ""
    flat = data.test.rows(np.array([n])).reshape(-1)
    words = [f"{value:.3g}" for value in flat] if data.columns is None else data.columns.in_words(flat)
    listed = ", ".join(words[:VALUES_SHOWN])
    return f"{listed} … ({flat.size} values)" if flat.size > VALUES_SHOWN else listed
