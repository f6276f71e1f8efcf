"""Phrases that several sheets share: names of slices, numbers of rows, noise floors, reasons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from traintwice._formatting import times, value_of, visible
from traintwice.compare._parts import NoiseFloor, Slice
from traintwice.compare._results import Wording
from traintwice.predictions import Summary

ORDER = {
    "same order": "rows in the same order, every id compared",
    "joined": "rows joined by id",
    "by position": "rows matched by position, ids not compared",
}


def headline(found: Summary) -> str:
    """The files of old and new, how their rows were matched, and the roles of their columns."""
    return f"{visible(found.files[0])} → {visible(found.files[1])} · {matching(found)}"


def matching(found: Summary) -> str:
    """How the rows of the files were matched, and the roles of their columns."""
    layout = visible(found.layouts[0])
    parts = [f"{found.rows:,} {ORDER[found.order]}", layout]
    if found.positive is not None:
        parts.append(f"score = P({visible(found.positive)})")
    if found.class_rule is not None:
        parts.append(visible(found.class_rule))
    if found.label is not None and not found.outcomes and "labels in" not in layout:
        parts.append(f"labels in {visible(found.label)}")
    if found.weight is not None:
        parts.append(f"weighted by {visible(found.weight)}")
    if found.cluster is not None and found.clusters is not None:
        parts.append(f"clustered by {visible(found.cluster)} ({counted(found.clusters, 'cluster')})")
    return " · ".join(parts)


MOST_TOGETHER = 3
"""Names in front of a text that is about several."""

PLAIN = {
    "ECE": "calibration error (ECE)",
    "ECE, equal mass": "calibration error, equal mass (ECE)",
    "KL": "KL divergence",
    "SChurn₁": "surrogate churn (SChurn₁)",
    "Δ_p": "prediction difference (Δ_p)",
    "Δʳ¹": "relative difference, positive class (Δʳ¹)",
    "Δʳ₁": "relative difference (Δʳ₁)",
    "Δ₁": "prediction difference (Δ₁)",
    "Δ₂": "prediction difference (Δ₂)",
    "Δᴸ": "true-label difference (Δᴸ)",
    "relative PD": "relative difference of pairs (relative PD)",
}
"""Titles of measures that are symbols, with plain names."""


def plain_title(title: str) -> str:
    """The title of a measure with a plain name before its symbol.

    >>> plain_title("SChurn₁"), plain_title("churn")
    ('surrogate churn (SChurn₁)', 'churn')
    """
    return PLAIN.get(title, title)


def counted(count: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop.

    >>> sentence("churn is within noise")
    'Churn is within noise.'
    """
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def warned(clauses: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Each clause as a paragraph of a sheet."""
    return tuple(("Warning", sentence(visible(clause))) for clause in clauses)


def grouped(texts: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Texts about names, those with the same text together.

    >>> list(grouped([("a", "1 row"), ("b", "2 rows"), ("c", "1 row"), ("d", "1 row"), ("e", "1 row")]))
    ['a, c, d and 1 more: 1 row', 'b: 2 rows']
    """
    for text in dict.fromkeys(text for _, text in texts):
        names = [visible(name) for name, of in texts if of == text]
        more = f" and {len(names) - MOST_TOGETHER:,} more" if len(names) > MOST_TOGETHER else ""
        yield f"{', '.join(names[:MOST_TOGETHER])}{more}: {text}"


def left_out(reasons: Mapping[str, str]) -> Iterator[str]:
    """Measures and parts without a value, grouped by reason.

    >>> list(left_out({"brier": "needs labels", "accuracy": "needs labels"}))
    ['left out: brier, accuracy (needs labels)']
    """
    for reason in dict.fromkeys(reasons.values()):
        names = ", ".join(visible(name) for name, given in reasons.items() if given == reason)
        yield f"left out: {names} ({visible(reason)})"


def findings(s: Slice) -> Iterator[str]:
    """Significant findings in a slice: losses of quality, then churn above its floor or above that of the other rows."""
    for t in s.worse:
        both = " → ".join(value_of(share, "fraction", 1) for share in (t.old, t.new) if share is not None)
        yield f"{t.question} {both}"
    if s.tests and s.restless:
        t = s.tests[0]
        other = value_of(t.old or 0.0, "fraction", 1)
        against = f"against {other} in other rows" if s.excess is None else f"its floor {other}"
        yield f"churn {value_of(t.new, 'fraction', 1)}, {against}"


def against_floor(floor: NoiseFloor) -> str:
    """A ratio to a noise floor with its interval, the floor and the verdict."""
    if math.isnan(floor.ratio.value):
        return f"{visible(floor.title)}: {floor.verdict}"
    ends = [times(end, word=False) for end in (floor.ratio.low, floor.ratio.high)]
    interval = "" if math.isnan(floor.ratio.low) else f" ({ends[0]} to {ends[1]})"
    digits = 2 if floor.unit == "fraction" and floor.floor >= 0.001 else None
    least = value_of(floor.floor, floor.unit, digits)
    return f"{visible(floor.title)} {times(floor.ratio.value)} the floor of {least}{interval}: {floor.verdict}"


def margin_in_words(floor: NoiseFloor, words: Wording) -> str:
    """The margin of the verdict on a floor, and the retrains that the floor is estimated from."""
    if not floor.retrains:
        return f"within noise means below {floor.margin:g} times the floor; the floor is estimated from the draws of each model"
    made_of = f"{words.count(floor.retrains)}{words.of_old}"
    made_of += f" and {floor.new_retrains}{words.of_new}" if floor.new_retrains else words.given
    return f"within noise means below {floor.margin:g} times the floor; {made_of}"
