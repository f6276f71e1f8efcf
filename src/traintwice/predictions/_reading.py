"""The options of reading, spelled once for functions, the command line and gate files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, cast, get_args, get_type_hints

from traintwice._typed import shown, typed
from traintwice.errors import BadInput, unknown

__all__ = ["OPTIONS", "Option", "Reading", "reading_of"]

PANEL = "What the columns mean"
LOGS = "Evaluation logs"

Column: TypeAlias = Any
"""The name of a column of files or tables; with arrays, an array with one entry for each row."""
Columns: TypeAlias = Any
"""Names of columns; with arrays, an array or a mapping from names to arrays."""


@dataclass(frozen=True)
class Option:
    """How an option is written where values are text: the command line and TOML files.

    Attributes:
        kind: ``list[str]``, ``str``, ``bool`` or a ``Literal``.
        help: one sentence.
        metavar: what a value is, in capitals.
        commas: several values may be separated by commas.
        panel: the heading under which ``--help`` lists it.
        of_rows: only commands that list single rows have it.
    """

    kind: Any
    help: str
    metavar: str | None = None
    commas: bool = False
    panel: str | None = PANEL
    of_rows: bool = False


Missing: TypeAlias = Literal["refuse", "drop"]


class Reading(TypedDict, total=False):
    """How predictions are read. Functions take these as keyword arguments: ``**reading: Unpack[Reading]``.

    A key that is absent or None has its default: recognise the column, or do without. ``X``, which only Python has, holds the
    inputs of fitted estimators in the place of predictions.
    """

    id: Annotated[Columns, Option(list[str], "Column that names a row; repeat it for composite ids.", "COLUMN")]
    label: Annotated[Column, Option(str, "Column of the true labels.", "COLUMN")]
    probs: Annotated[
        str | Sequence[str] | None,
        Option(
            list[str],
            "Column of the predictions, in the order of the classes; repeat, or separate by commas. A prefix stands for PREFIX_0, "
            "PREFIX_1 ...",
            "COLUMN",
            commas=True,
        ),
    ]
    weight: Annotated[Column, Option(str, "Column of weights.", "COLUMN")]
    by: Annotated[Columns, Option(list[str], "Column of groups to look into; repeat for more.", "COLUMN")]
    cluster: Annotated[
        Columns, Option(list[str], "Column of clusters (users, say), whose rows are not independent; repeat for more.", "COLUMN")
    ]
    draws: Annotated[Column, Option(str, "Column that numbers repeated draws of one item by one model.", "COLUMN")]
    show: Annotated[
        Columns,
        Option(
            list[str],
            "Column to show with regressed rows and rows that moved most; repeat for more.",
            "COLUMN",
            panel="Output",
            of_rows=True,
        ),
    ]
    time: Annotated[Column, Option(str, "Column of time, which is cut into periods.", "COLUMN")]
    classes: Annotated[
        Sequence[str] | None,
        Option(
            list[str], "Name of a class, in the order of the predictions; repeat, or separate by commas.", "NAME", commas=True
        ),
    ]
    positive: Annotated[str | None, Option(str, "Name of the positive class of a binary model.", "NAME")]
    logits: Annotated[bool, Option(bool, "The predictions are logits.")]
    regression: Annotated[bool, Option(bool, "The predictions are numbers and not probabilities.")]
    correct: Annotated[
        str | None, Option(str, "Column of the correctness of an answer, or of its score in [0, 1].", "COLUMN", panel=LOGS)
    ]
    answer: Annotated[str | None, Option(str, "Column of the answer's text, with --correct.", "COLUMN", panel=LOGS)]
    normalise: Annotated[
        Sequence[str] | None,
        Option(
            list[str],
            "Answers that differ only so are the same: strip, casefold, number, punctuation; separate by commas.",
            "STEP",
            commas=True,
            panel=LOGS,
        ),
    ]
    scorer: Annotated[
        str | Sequence[str] | None,
        Option(list[str], "Scorer (metric) of an evaluation log to read; repeat for one of each task.", "NAME", panel=LOGS),
    ]
    filter: Annotated[
        str | Sequence[str] | None,
        Option(list[str], "Filter of an evaluation log to read; repeat for one of each task.", "NAME", panel=LOGS),
    ]
    task: Annotated[
        str | Sequence[str] | None,
        Option(list[str], "Task of an evaluation log to read; repeat for more, all by default.", "NAME", panel=LOGS),
    ]
    by_position: Annotated[bool, Option(bool, "Match row n with row n; no ids are compared.")]
    on_missing: Annotated[
        Missing | None,
        Option(Missing, "Ids that a file lacks or has twice, rows without a prediction: refuse (the default) or drop them."),
    ]
    memory: Annotated[
        int | str | None,
        Option(str, "Memory for reading and joining, such as 2GB; half the machine's by default.", "SIZE", panel=None),
    ]
    X: Any


OPTIONS: Mapping[str, Option] = {
    n: h.__metadata__[0] for n, h in get_type_hints(Reading, include_extras=True).items() if n != "X"
}
"""Every option of `Reading` by name."""
DEFAULTS = {
    n: () if o.kind == list[str] else False if o.kind is bool else "refuse" if o.kind == Missing else None
    for n, o in OPTIONS.items()
}
"""The value of each option that is absent."""

NAMES = ("positive", "correct", "answer")
"""Options that are one name, also with arrays."""

LISTS_OF_NAMES = ("classes", "scorer", "filter", "task")
"""Options that are a list of names, also with arrays."""

OPTIONS_OF_ROWS = frozenset(("label", "weight", "draws", "time"))
"""Options that are one column, which may be a list of its entries."""

EXCLUSIVE = (
    ("id", "by_position", "rows are matched by id or by their position"),
    ("draws", "by_position", "the draws of an item have its id in common"),
    ("draws", "regression", "draws are counted by class"),
    ("logits", "regression", "a regression has no classes"),
    ("classes", "regression", "a regression has no classes"),
    ("positive", "regression", "a regression has no classes"),
)


@typed
def reading_of(given: Mapping[str, Any]) -> Reading:
    """Options with every key filled in; names of columns become tuples.

    Raises:
        UnknownName: no option has this name; the nearest are offered.
        BadInput: a value that cannot be, or options that exclude each other.

    >>> reading = reading_of({"id": "row_id", "label": None})
    >>> reading["id"], reading["label"], reading["on_missing"]
    (('row_id',), None, 'refuse')
    """
    filled: dict[str, Any] = {**DEFAULTS, "X": given.get("X")}
    for name, value in given.items():
        if name == "X":
            continue
        if name not in OPTIONS:
            raise unknown("option of reading", name, OPTIONS, listed="")
        if value is None:
            continue
        kind = OPTIONS[name].kind
        if (expected := _expected(name, kind, value)) is not None:
            raise BadInput(f"{name}: got {shown(value)}, expected {expected}")
        if kind == list[str] and isinstance(value, str):
            value = (value,)
        elif kind == list[str] and isinstance(value, list | tuple) and not any(hasattr(entry, "shape") for entry in value):
            value = tuple(str(entry) for entry in value)
        filled[name] = tuple(map(str, value)) if name == "classes" else value
    for one, other, why in EXCLUSIVE:
        if all(filled[name] is not DEFAULTS[name] for name in (one, other)):
            raise BadInput(f"--{one} and --{other.replace('_', '-')} exclude each other: {why}")
    if isinstance(filled["by"], tuple) and isinstance(filled["time"], str) and filled["time"] in filled["by"]:
        raise BadInput(f"{filled['time']!r} is given to --by and to --time; --time cuts it into periods, --by takes its values")
    return cast(Reading, filled)


def _expected(name: str, kind: Any, value: Any) -> str | None:
    """What an option is expected to be, in words; None where the value can be."""
    column = "the name of a column, or an array with an entry for each row"
    is_name, is_list, is_array = isinstance(value, str), isinstance(value, list | tuple | Mapping), hasattr(value, "__array__")
    if name == "memory":
        return None if isinstance(value, int | str) and not isinstance(value, bool) else "a size such as '2GB' or 500_000_000"
    if kind is bool:
        return None if isinstance(value, bool) else "True or False"
    if kind == Missing:
        return None if is_name and value in get_args(kind) else "'refuse' or 'drop'"
    if not (is_name or is_list or is_array) or getattr(value, "ndim", 1) == 0:
        return column
    if (name in NAMES and not is_name) or (name == "probs" and is_array):
        return "a name"
    is_mapping = isinstance(value, Mapping)
    if name in LISTS_OF_NAMES and (
        is_mapping or getattr(value, "ndim", 1) != 1 or any(getattr(entry, "ndim", 0) for entry in value)
    ):
        return "a list of names"
    of_rows = name in OPTIONS_OF_ROWS and not is_mapping
    return column if kind is str and is_list and not (of_rows and value) else None


def groups_of(reading: Reading) -> tuple[str, ...]:
    """Names of the group columns of files, time last."""
    return (*reading["by"], *filter(None, [reading["time"]]))
