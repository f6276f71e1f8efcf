"""Checks that two logs are of the same items, and texts that count as the same answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from traintwice._typed import typed
from traintwice.errors import BadInput, unknown
from traintwice.logs._outcomes import Item, Outcomes, Texts, named_item

STEPS = ("strip", "casefold", "number", "punctuation")
"""Steps of `normalise`, in the order in which they are applied."""

_NUMBER = re.compile(r"(?<![\w.,])([+-]?)(\d{1,3}(?:,\d{3})+|0|[1-9]\d*)(?:\.(\d+))?(?![\w]|[.,]\d)")

_KEPT_SIGN = re.compile(r"(?<=\d)\.(?=\d)|(?<!\w)-(?=\d)")


@dataclass(frozen=True)
class Pairing:
    """Which items two logs share.

    Attributes:
        shared: number of items in both.
        only_old, only_new: (task, item) of the items in one log alone, in the order of the log.
    """

    shared: int
    only_old: tuple[Item, ...]
    only_new: tuple[Item, ...]


@typed
def pair_check(old: Outcomes, new: Outcomes) -> Pairing:
    """Checks that two logs can be compared item by item.

    Refused are logs of different scorers, filters or task versions, and items of which an input hash, the prompt or the target
    differs. Hashes are compared by name; prompts only where no hash is shared. Where one log names no task and the other has one
    task, the task is ignored.

    Args:
        old, new: outcomes of `read_log`.
    Returns:
        The number of shared items, and the items in one log alone.
    Raises:
        BadInput: as above, with the first item named; or no item is in both logs.
    Example:
        >>> from traintwice.logs import read_log
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, ids in (("a", (1, 2)), ("b", (2, 3))):
        ...     _ = (folder / name).write_text("".join(f'{{"id": {i}, "ok": true}}\\n' for i in ids))
        >>> pair_check(read_log(folder / "a", correct="ok"), read_log(folder / "b", correct="ok"))
        Pairing(shared=1, only_old=(('', '1'),), only_new=(('', '3'),))
    """
    rows_old, rows_new = _first_rows(old), _first_rows(new)
    if _unnamed(old, new) or _unnamed(new, old):
        rows_old = {("", item): row for (_, item), row in rows_old.items()}
        rows_new = {("", item): row for (_, item), row in rows_new.items()}
    else:
        for kind, of_old, of_new, what in (
            ("version", old.versions, new.versions, "compare runs of one version"),
            ("scorer", old.scorers, new.scorers, "read both logs with the same --scorer"),
            ("filter", old.filters, new.filters, "read both logs with the same --filter"),
        ):
            for task in of_old.keys() & of_new.keys():
                if of_old[task] != of_new[task]:
                    told = f"{new.path}: {kind} of task {task!r} is {of_new[task]!r}, and {of_old[task]!r} in {old.path}"
                    raise BadInput(f"{told}. Expected the same; {what}.")
    shared = [key for key in rows_old if key in rows_new]
    if not shared:
        raise BadInput(
            f"{new.path}: none of its {len(rows_new):,} items is among the {len(rows_old):,} of {old.path} "
            f"(first: {named_item(*next(iter(rows_new)))} and {named_item(*next(iter(rows_old)))}). Expected two runs of the same items."
        )
    differing: dict[str, list[Item]] = {}
    for key in shared:
        what = _difference(old, rows_old[key], new, rows_new[key])
        if what:
            differing.setdefault(what, []).append(key)
    for what, keys in differing.items():
        raise BadInput(
            f"{new.path}: {len(keys):,} of {len(shared):,} shared items have another {what} than in {old.path} "
            f"(first: {named_item(*keys[0])}). Expected the same inputs; evaluate both models on the same version of the task and with "
            "the same prompt."
        )
    only_old, only_new = (tuple(k for k in a if k not in b) for a, b in ((rows_old, rows_new), (rows_new, rows_old)))
    return Pairing(len(shared), only_old, only_new)


@typed
def normalise(text: str, steps: Iterable[str]) -> str:
    """A text without differences that do not matter; answers that are equal afterwards count as the same.

    The steps are applied in this order, whatever the order of ``steps``:

    - strip: white space at both ends is removed.
    - casefold: Unicode case folding ("Straße" becomes "strasse").
    - number: each numeral in the text loses its plus sign, commas between groups of three digits, trailing zeros of its fraction, and
      the sign of zero ("1,000", "+1000" and "1000.0" become "1000"). Numerals that touch letters or belong to a longer sequence with
      dots or commas ("1.2.3", "1,00", "x1", "1e3"), and numerals with leading zeros ("007"), stay as they are.
    - punctuation: characters of Unicode category P are removed, except a point between two digits and a hyphen-minus before a digit
      and not after a letter or digit; then runs of white space become one space and white space at both ends is removed.

    Args:
        text: an answer.
        steps: names from `STEPS`.
    Raises:
        UnknownName: a step does not exist.
    Source:
        Ours.
    Example:
        >>> normalise(" The answer: $1,000.0! ", ["strip", "casefold", "number", "punctuation"])
        'the answer $1000'
    """
    chosen = set(steps)
    for step in chosen - set(STEPS):
        raise unknown("step", step, STEPS)
    if "strip" in chosen:
        text = text.strip()
    if "casefold" in chosen:
        text = text.casefold()
    if "number" in chosen:
        text = _NUMBER.sub(_plain_number, text)
    if "punctuation" in chosen:
        kept = {match.start() for match in _KEPT_SIGN.finditer(text)}
        left = ""
        for i, c in enumerate(text):
            joined = c == "-" and (left[-1:].isalnum() or left.endswith("_"))  # by punctuation that is removed
            if (i in kept and not joined) or not unicodedata.category(c).startswith("P"):
                left += c
        text = " ".join(left.split())
    return text


def _plain_number(match: re.Match[str]) -> str:
    """A numeral without grouping, plus sign and trailing zeros."""
    sign, whole, fraction = match[1], match[2].replace(",", ""), (match[3] or "").rstrip("0")
    plain = f"{whole}.{fraction}" if fraction else whole
    return f"-{plain}" if sign == "-" and plain != "0" else plain


def _first_rows(outcomes: Outcomes) -> dict[Item, int]:
    """The first row of each item."""
    rows: dict[Item, int] = {}
    for row, key in enumerate(outcomes.keys):
        rows.setdefault(key, row)
    return rows


def _unnamed(first: Outcomes, second: Outcomes) -> bool:
    """Whether the first log names no task and the second has one task."""
    return set(first.tasks) == {""} and len(set(second.tasks)) == 1


def _difference(old: Outcomes, row_old: int, new: Outcomes, row_new: int) -> str:
    """What differs between the inputs of one item; empty where nothing does."""
    common: set[str] = set()
    if old.layout == new.layout and old.input_hashes and new.input_hashes:
        hashes_old, hashes_new = _hashes(old.input_hashes[row_old]), _hashes(new.input_hashes[row_new])
        common = hashes_old.keys() & hashes_new.keys()
        if differing := [name for name in hashes_old if name in common and hashes_old[name] != hashes_new[name]]:
            return differing[0]
    columns: list[tuple[str, Texts | None, Texts | None]] = [("target", old.targets, new.targets)]
    for name, column_old, column_new in columns if common else [("prompt", old.prompts, new.prompts), *columns]:
        texts = {column[row] for column, row in ((column_old, row_old), (column_new, row_new)) if column}
        if len(texts - {None}) > 1:
            return name
    return ""


def _hashes(text: str | None) -> dict[str, str]:
    """Hashes by name."""
    return dict(part.split("=", 1) for part in (text or "").split() if "=" in part)
