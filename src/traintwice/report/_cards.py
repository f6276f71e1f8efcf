"""Cards at the head of every page: a question, its answer in a word, the number with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from traintwice._formatting import change, value_of, visible, with_interval
from traintwice.compare._estimates import Difference
from traintwice.compare._ledger import Launch
from traintwice.compare._parts import Answer
from traintwice.compare._results import Diff
from traintwice.tables._gate import CONCERNS

MARKS = {"problem": "✕", "inconclusive": "?", "unknown": "–", "fine": "✓"}
"""Marks of concerns, so that no meaning rests on colour alone."""

MEASURES = {"regressions": ("negative_flips",), "disagreement": ("churn", "regression_difference")}
"""Measures that an answer rests on; the first that has a value is the number of the card."""


@dataclass(frozen=True)
class Card:
    """A card of a page.

    Attributes:
        title: what it is about.
        answer: the answer in a few words; "" for a number alone.
        concern: its colour: "problem", "fine", "inconclusive", "unknown" or "".
        value: the number with its interval, as printed: "1.42 % (1.0 to 1.9)".
        parts: further text, in lines.
        sign: the mark before the answer; "" for the mark of the concern.
    """

    title: str
    answer: str = ""
    concern: str = ""
    value: str = ""
    parts: tuple[str, ...] = ()
    sign: str = ""

    @property
    def mark(self) -> str:
        """The mark before the answer."""
        return self.sign or MARKS.get(self.concern, "")

    @property
    def number(self) -> str:
        """The number without its interval."""
        return self.value.partition(" (")[0]

    @property
    def interval(self) -> str:
        """The interval in brackets; "" without one."""
        return "".join(self.value.partition(" (")[1:]).strip()


def answer_of(difference: Difference, *, better: str = "lower") -> tuple[str, str]:
    """A paired difference in a word, and its concern: "lower" or "higher" if significant."""
    if not difference.significant:
        return "inconclusive", "inconclusive"
    word = "lower" if difference.estimate.value < 0 else "higher"
    return f"significantly {word}", "fine" if word == better else "problem"


def cards_of_diff(diff: Diff) -> list[Card]:
    """One card for each answer, in the order of the answers."""
    numbers = dict(_numbers(diff))
    return [
        Card(a.question.capitalize(), visible(a.verdict), a.concern, value, _parts(a, value))
        for a in diff.answers
        for value in (numbers.get(a.question, ""),)
    ]


def _parts(answer: Answer, value: str) -> tuple[str, ...]:
    """The detail of an answer in lines, without the number that the card shows."""
    detail = visible(answer.detail)
    if value.endswith(")"):
        detail = detail.replace(f" {value},", ",", 1).removeprefix(value).strip()
    return tuple(detail.split("; " if answer.question == "quality" else " · "))


def _numbers(diff: Diff) -> Iterator[tuple[str, str]]:
    """The number of each answer that has one."""
    details = {a.question: a.detail for a in diff.answers}
    for q in diff.quality:
        if details.get("quality", "").startswith(q.title):  # the measure that decided
            yield "quality", change(q.change, q.unit)
            break
    known = {m.name: m for m in diff.measures}
    for question, names in MEASURES.items():
        for name in names:
            if name in known:
                yield question, with_interval(known[name].estimate, known[name].unit)
    decisions = [with_interval(d.changed, "fraction") for d in diff.decisions]
    swapped = [value_of(s.swapped / s.rows, "fraction") for s in diff.swap_sets]
    if first := [*decisions, *swapped][:1]:
        yield "operating point", first[0]


def cards_of_launch(launch: Launch) -> list[Card]:
    """Gate, quality, regressions and disagreement of one launch; what it does not have is left out."""
    cards = []
    if launch.outcome is not None:
        over = [visible(c.budget) for c in launch.checks if c.outcome != "kept"]
        kept = f"{len(launch.checks) - len(over):,} of {len(launch.checks):,} budgets kept"
        parts = (kept, *([f"not kept: {', '.join(over[:3])}{', …' if len(over) > 3 else ''}"] if over else []))
        cards.append(Card("Gate", launch.outcome, CONCERNS[launch.outcome], parts=parts))
    for name, e in list(launch.quality.items())[:1]:
        unit = "fraction" if name in ("accuracy", "precision", "recall", "mean_score") else "number"
        cards.append(Card("Quality", value=change(e, unit), parts=(f"change of {name.replace('_', ' ')}",)))
    for title, name, what, unit in (
        ("Regressions", "negative_flips", "of labelled rows right → wrong", "fraction"),
        ("Disagreement", "churn", "churn", "fraction"),
        ("Disagreement", "regression_difference", "difference of predictions", "number"),
    ):
        if name in launch.numbers:
            floor = launch.floors.get(name)
            against = () if floor is None else (f"noise floor {value_of(floor, unit)}",)
            cards.append(Card(title, value=with_interval(launch.numbers[name], unit), parts=(what, *against)))
    return cards
