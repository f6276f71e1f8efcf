"""The options that say how predictions are read: spelled once for functions, the command line and gate files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, cast, get_args, get_type_hints

from traintwice.errors import BadInput, unknown

__all__ = ["OPTIONS", "Option", "Reading", "reading_of"]

PANEL = "What the columns mean"

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
    """

    kind: Any
    help: str
    metavar: str | None = None
    commas: bool = False
    panel: str | None = PANEL

    @property
    def default(self) -> Any:
        """The value where the option is absent."""
        if self.kind == list[str]:
            return ()
        choices = get_args(self.kind)
        return False if self.kind is bool else choices[0] if choices else None


class Reading(TypedDict, total=False):
    """How predictions are read. Functions take these as keyword arguments: ``**reading: Unpack[Reading]``.

    A key that is absent or None has its default: recognise the column, or do without.
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
        Columns,
        Option(
            list[str], "Column of clusters: rows of one cluster (a user, say) are not independent; repeat for more.", "COLUMN"
        ),
    ]
    draws: Annotated[Column, Option(str, "Column that numbers repeated draws of one item by one model.", "COLUMN")]
    time: Annotated[Column, Option(str, "Column of time, which is cut into periods.", "COLUMN")]
    classes: Annotated[
        Sequence[str] | None,
        Option(
            list[str],
            "Name of a class, in the order of the predictions; repeat, or separate by commas.",
            "NAME",
            commas=True,
        ),
    ]
    positive: Annotated[str | None, Option(str, "Name of the positive class of a binary model.", "NAME")]
    logits: Annotated[bool, Option(bool, "The predictions are logits.")]
    regression: Annotated[bool, Option(bool, "The predictions are numbers and not probabilities.")]
    by_position: Annotated[bool, Option(bool, "Match row n with row n; no ids are compared.")]
    on_missing: Annotated[
        Literal["refuse", "drop"] | None,
        Option(
            Literal["refuse", "drop"], "What to do with ids that a file lacks or has twice: refuse (the default) or drop them."
        ),
    ]
    memory: Annotated[
        int | str | None,
        Option(str, "Memory for reading and joining, such as 2GB; half the machine's by default.", "SIZE", panel=None),
    ]


OPTIONS: Mapping[str, Option] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Reading, include_extras=True).items()
}
"""Every option of `Reading` by name."""


def reading_of(given: Mapping[str, Any]) -> Reading:
    """Options with every key filled in; names of columns become tuples.

    Raises:
        UnknownName: no option has this name; the nearest are offered.
        BadInput: a value that cannot be, or options that exclude each other.

    >>> reading = reading_of({"id": "row_id", "label": None})
    >>> reading["id"], reading["label"], reading["on_missing"]
    (('row_id',), None, 'refuse')
    """
    for name in given:
        if name not in OPTIONS:
            raise unknown("option of reading", name, OPTIONS)
    filled: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        value = given.get(name)
        if value is None:
            value = option.default
        elif option.kind == list[str]:
            value = (value,) if isinstance(value, str) else value
            if isinstance(value, list | tuple) and not any(hasattr(entry, "shape") for entry in value):
                value = tuple(str(entry) for entry in value)
        elif option.kind is bool and not isinstance(value, bool):
            raise BadInput(f"{name}: got {value!r}, expected True or False")
        elif name == "on_missing" and value not in get_args(option.kind):
            raise BadInput(f"on_missing: got {value!r}, expected 'refuse' or 'drop'")
        filled[name] = value
    for one, other, why in (
        ("id", "by_position", "rows are matched by id or by their position"),
        ("draws", "by_position", "the draws of an item have its id in common"),
        ("logits", "regression", "a regression has no classes"),
        ("positive", "regression", "a regression has no classes"),
        ("draws", "regression", "draws are counted by class"),
    ):
        if _is_given(filled[one]) and _is_given(filled[other]):
            raise BadInput(f"--{one} and --{other.replace('_', '-')} exclude each other: {why}")
    if isinstance(filled["by"], tuple) and isinstance(filled["time"], str) and filled["time"] in filled["by"]:
        raise BadInput(f"{filled['time']!r} is given to --by and to --time; --time cuts it into periods, --by takes its values")
    return cast(Reading, filled)


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and not (isinstance(value, tuple) and not value)
