"""The report of a study as one HTML page, with the examples that flip most and their pictures (PNG, without an imaging library)."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from traintwice import metrics
from traintwice._formatting import decimals_for, with_interval
from traintwice.compare import Against, interval
from traintwice.data import Dataset
from traintwice.errors import BadInput
from traintwice.metrics._definition import to_numpy
from traintwice.report._document import Card, render
from traintwice.report._findings import KINDS, Choice, choose, grouped, in_points, in_words, percent
from traintwice.report._panels import BINS, MOST_REPLICAS, by_confidence, churn_by_confidence, churn_matrix, drift, training_loss
from traintwice.report._recipe_charts import accuracy_churn, accuracy_churn_of_many, forest
from traintwice.report._style import Figure
from traintwice.study import MATCHED, Results, Verdict, component_table, progressive_findings, source_shares, verdict
from traintwice.tables import Table
from traintwice.tables._words import counted

HEADLINES = (metrics.churn, metrics.accuracy)
"""Measures of the baseline that have a card."""

MOST_ON_CARD = 3
"""Recipes that a card names."""

PICTURE_WIDTH = 112

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}
"""Number of channels to the colour type of PNG: grey, red-green-blue."""

SHOWN = 12
VALUES_SHOWN = 8

READING: dict[str, str] = {
    "accuracy": "Right answers in 100 examples; mean over the replicas.",
    "churn": "Of 100 examples, how many get another label from a second run. Needs no true labels.",
    "churn_to_error": "Churn divided by the error rate. Compare it only with the baseline of the same table.",
    "churn_correct": "Of 100 right answers, how many a second run changes (and so makes wrong).",
    "churn_incorrect": "Of 100 wrong answers, how many a second run changes, to the right or to another wrong answer.",
    "log_loss": "Mean of −log of the probability of the true label, in nats; 0 means certain and right.",
    "surrogate_churn": "Surrogate churn: also counts changes of probability that leave the label as it is. Depends on confidence: see (T).",
    "pairwise_l1": "Distance between the probabilities of two runs, summed over classes, 0 to 2. Its expectation does not depend on M.",
    "delta_1": "Distance of one run from the mean of all runs, summed over classes. It grows with M: compare only at equal M.",
    "delta_2": "As Δ₁, with the Euclidean distance.",
    "delta_label": "True-label difference: relative deviation of the probability of the true label from its mean. Compare only at equal M.",
    "temperature": "Temperature of the lowest log loss on the validation examples; above 1 is over-confident, below 1 under-confident.",
    "train": "Cost of training, as a multiple of the baseline.",
    "serve": "Cost of a prediction, as a multiple of the baseline.",
}
"""How to read a column, by its key."""

MATCHED_READING = "The same measure with every recipe at its best temperature, which removes the effect of confidence."

COMPONENT_READING: dict[str, str] = {
    "variance_within": "v, variance of the probabilities of one component across replicas, summed over classes, mean over examples.",
    "covariance_between": "c, covariance of two components of a replica, in the same unit. At c = v a further component changes "
    "nothing; at c = 0 the variance of the mean falls as 1/J; below 0 it falls faster.",
    "variance_of_mean": "(v + (J − 1)·c) / J: variance of the mean of the components across replicas. It is the cause of churn.",
    "correlation": "Mean cosine, class by class, between the logits of two components of a replica over the examples.",
    "correlation_gauge_fixed": "The same after subtracting the mean over classes of each example, which does not change the softmax.",
    "correlation_pearson": "The same after also subtracting the mean over examples.",
    "confidence": "Largest minus second largest probability of a component, mean over the examples.",
    "logit_scale": "Root mean square of a component's logits without their mean over classes. A loss that shrinks logits lowers it.",
}
"""How to read a column of the table of components, by its key."""

GROUPS = {
    "labels": "Labels",
    "soft": "Probabilities",
    "matched": "Probabilities at matched temperature (T)",
    "cost": "Cost relative to the baseline",
}

_SOFT = {m.definition.name for m in metrics.ALL if m.definition.soft}


def page(results: Results, *, level: float = 0.95, against: Against | None = None) -> str:
    """The whole page; ``level`` is that of all intervals and of the Holm-adjusted comparisons."""
    found = verdict(results, level=level)
    choice = choose(found, tuple(results.rows))
    stream = progressive_findings(results, level=level)
    figures = _figures(results, found, choice) + ([] if stream is None else [drift(stream)]) + _curves(results, choice)
    best = found.lower[0].row if found.lower else ""
    table = results.table(matched=MATCHED, level=level)
    return render(
        "page.html.j2",
        figures,
        name=results.experiment.name,
        facts=_size(results),
        sentences=in_words(found, results),
        kinds=KINDS,
        cards=_cards(results, found),
        choice=choice,
        brief=[b.row for b in choice.briefly],
        level=percent(level),
        concentration=_concentration(results),
        examples=len(results.data.test),
        shown_replicas=MOST_REPLICAS if results.experiment.replicas > MOST_REPLICAS else 0,
        flips=most_flipping(results, [found.baseline, *([best] if best else [])]),
        replicas=results.experiment.replicas,
        recipes=len(results.rows),
        baseline=found.baseline,
        best=best,
        picture=_picture_size(results.data.pixels),
        stream=stream,
        drawn=[figure.name for figure in figures],
        against=None if against is None else against.sheet(),
        table=table,
        groups=groups(table),
        reading=reading(table),
        shares=source_shares(results, level=level),
        components=(components := component_table(results)),
        reading_components=[(c.title, COMPONENT_READING[c.key]) for c in components.columns] if components else [],
        warnings=results.warnings(),
        commands=_commands(results),
        toml=results.experiment.to_toml(),
        environment=environment(results),
    )


def _cards(results: Results, found: Verdict) -> list[Card]:
    """The churn and the accuracy of the baseline; then one card for each kind of finding, with its first recipes."""
    alone = [(m, with_interval(interval(results.measure(m, found.baseline), level=found.level), "fraction")) for m in HEADLINES]
    cards = [Card(f"{m.definition.title.capitalize()} of {found.baseline}", value=value) for m, value in alone]
    found_by_kind = grouped(found)
    digits = decimals_for([f.churn.estimate for findings in found_by_kind.values() for f in findings], "fraction")
    for kind, findings in found_by_kind.items():
        if findings:
            named = [f"{f.row}: {in_points(f.churn, digits)} pp" for f in findings[:MOST_ON_CARD]]
            more = [f"{len(findings) - MOST_ON_CARD:,} more"] if len(findings) > MOST_ON_CARD else []
            heading, mark, concern = KINDS[kind]
            cards.append(
                Card(
                    heading,
                    f"{len(findings):,} of {counted(found.comparisons, 'recipe')}",
                    concern,
                    parts=(*named, *more),
                    sign=mark,
                )
            )
    return cards


def _figures(results: Results, found: Verdict, choice: Choice) -> list[Figure]:
    """All charts of the page; with many recipes a forest plot, and folded panels."""
    if not choice.many:
        return [accuracy_churn(results, level=found.level), churn_by_confidence(results), churn_matrix(results)]
    figures = [forest(found), accuracy_churn_of_many(results, found)]
    for draw, name in ((churn_by_confidence, "confidence"), (churn_matrix, "matrix")):
        figures += [draw(results, choice.panels, name=name), draw(results, choice.folded, name=f"{name}-rest")]
    return figures


def _curves(results: Results, choice: Choice) -> list[Figure]:
    """Charts of the training loss; none for replicas without curves."""
    if not choice.many:
        drawn = [training_loss(results)]
    else:
        drawn = [training_loss(results, choice.panels), training_loss(results, choice.folded, name="curves-rest")]
    return [figure for figure in drawn if figure is not None]


def _picture_size(pixels: tuple[int, ...] | None) -> tuple[int, int]:
    """Width and height of a picture on the page."""
    rows, columns = (pixels or (1, 1))[:2]
    return PICTURE_WIDTH, round(PICTURE_WIDTH * rows / columns)


def groups(table: Table) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """The columns of the table of a study by the title of their group; each is its title and one printed cell for each recipe."""
    lines: dict[str, list[tuple[str, tuple[str, ...]]]] = {title: [] for title in GROUPS.values()}
    for column, cells in zip(table.columns, zip(*table.strings(), strict=True), strict=True):
        lines[GROUPS[_kind(column.key, column.unit)]].append((column.title, cells))
    return {title: found for title, found in lines.items() if found}


def reading(table: Table) -> list[tuple[str, str]]:
    """Title of each column and how to read it; matched measures share one line."""
    found = [(column.title, READING[column.key]) for column in table.columns if column.key in READING]
    return [*found, ("(T)", MATCHED_READING)]


def _kind(key: str, unit: str) -> str:
    if unit == "cost":
        return "cost"
    if key.endswith("_matched") or key == "temperature":
        return "matched"
    return "soft" if key in _SOFT else "labels"


def _size(results: Results) -> list[str]:
    """Size of the study, as short phrases."""
    experiment, data = results.experiment, results.data
    rows = len(results.rows)
    return [
        "1 recipe" if rows == 1 else f"{rows} recipes",
        f"{experiment.replicas} replicas of each",
        f"{data.name} data",
        f"{len(data.test):,} test examples",
        f"{data.classes} classes",
        f"seed {experiment.seed}",
    ]


def _concentration(results: Results) -> str:
    """Share of the churn of the baseline among its least confident examples; "" if unknown."""
    name = results.baseline.name
    first = by_confidence(results, name)[0]
    if len(results.data.test) < BINS or first["flips"] == 0:
        return ""
    return f"The least confident tenth of the examples has {first['flips']:.0f} % of all flips of {name}."


def _commands(results: Results) -> str:
    """Commands that reproduce the study, and that add replicas."""
    more = 2 * results.experiment.replicas
    return (
        "pip install 'traintwice[torch,report,demo]'\n"
        "traintwice run experiment.toml --report again\n"
        f"traintwice run experiment.toml --report again --replicas {more}   # trains only the missing replicas"
    )


def environment(results: Results) -> list[tuple[str, str]]:
    """Data, time, versions and numerics of the study, as pairs of name and value."""
    found = results.environment()
    data = results.data
    lines = [
        (
            "data",
            f"{data.name}: {len(data.train):,} training, {len(data.validation):,} validation, {len(data.test):,} test examples",
        ),
        ("data digest", data.digest),
        ("training", f"{found['training_seconds']:,.0f} process seconds"),
        ("randomness", _free_sources(results)),
    ]
    for title in ("versions", "numerics"):
        for number, values in enumerate(found[title], start=1):
            which = f" ({number} of {len(found[title])})" if len(found[title]) > 1 else ""
            lines.append((title + which, ", ".join(f"{name} {value}" for name, value in values.items())))
    return lines


def _free_sources(results: Results) -> str:
    """Sources of randomness that differ between the replicas of each row, rows with the same sources together."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, row in results.rows.items():
        rows.setdefault(row.recipe.free(), []).append(name)
    parts = [", ".join(free) or "none" for free in rows]
    if len(rows) == 1:
        return f"free in every row: {parts[0]}"
    return "free: " + "; ".join(f"{free} ({', '.join(names)})" for free, names in zip(parts, rows.values(), strict=True))


@dataclass(frozen=True)
class Flip:
    """A test example with different votes.

    Its position in the test split, the name of its true class, a picture as a data URI or its first values as text, and for each
    recipe its name and (class, votes, whether the class is right), most votes first.
    """

    index: int
    label: str
    picture: str
    values: str
    votes: tuple[tuple[str, tuple[tuple[str, int, bool], ...]], ...]


def most_flipping(results: Results, rows: list[str], shown: int = SHOWN) -> list[Flip]:
    """The examples with the highest churn, with the votes of some recipes; none on which all replicas of every recipe agree.

    Ours: the churn is averaged over *all* recipes of the study, because a choice by the churn of one recipe favours the others.
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
        votes.append((row, tuple((_class_name(data, c), int(counted[c]), c == label) for c in ranked)))
    return Flip(n, _class_name(data, label), _picture(data, n), _values(data, n), tuple(votes))


def _class_name(data: Dataset, label: int) -> str:
    return data.class_names[label] if data.class_names else str(label)


def _picture(data: Dataset, n: int) -> str:
    if data.pixels is None:
        return ""
    picture = data.picture(data.test.rows(np.array([n]))[0])
    if picture.dtype != np.uint8:
        every = data.test.inputs if isinstance(data.test.inputs, np.ndarray) else picture
        picture = to_bytes(picture, float(every.min()), float(every.max()))
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode("ascii")


def _values(data: Dataset, n: int) -> str:
    if data.pixels is not None:
        return ""
    flat = data.test.rows(np.array([n])).reshape(-1)
    words = [f"{value:.3g}" for value in flat] if data.columns is None else data.columns.in_words(flat)
    listed = ", ".join(words[:VALUES_SHOWN])
    return f"{listed} … ({flat.size} values)" if flat.size > VALUES_SHOWN else listed


def png(pixels: np.ndarray) -> bytes:
    """A picture as a PNG file, from uint8 ``rows columns`` (grey) or ``rows columns channels`` with 1 or 3 channels.

    >>> png(np.zeros((2, 2), dtype=np.uint8))[:4]
    b'\\x89PNG'
    """
    picture = pixels[..., None] if pixels.ndim == 2 else pixels
    if picture.ndim != 3 or picture.shape[2] not in _COLOUR_TYPES or picture.dtype != np.uint8:
        raise BadInput(f"picture: got {pixels.dtype} of shape {pixels.shape}, expected uint8 of shape (rows, columns[, 1 or 3])")
    rows, columns, channels = picture.shape
    lines = picture.reshape(rows, columns * channels)
    unfiltered = np.concatenate([np.zeros((rows, 1), np.uint8), lines], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", columns, rows, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(unfiltered, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8: ``low`` is black and ``high`` is white.

    >>> to_bytes(np.array([0.0, 0.5, 1.0]), 0.0, 1.0).tolist()
    [0, 128, 255]
    """
    span = high - low if high > low else 1.0
    return np.floor((np.asarray(values, dtype=np.float64) - low) / span * 255 + 0.5).astype(np.uint8)
