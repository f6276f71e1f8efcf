"""The options of reading, the same for every verb that reads predictions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from traintwice.predictions._reading import OPTIONS, Reading

NOTHING_SAID: Reading = {}


def reads_files(*, without: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace the argument ``reading`` of a verb by the options of `Reading`; the verb gets the explicit options.

    Args:
        without: options that have no effect on this verb. The verb keeps options of the same name that it has itself.
            Options `of_rows` are left to the verbs that list rows.
    """
    return lambda verb: _with_reading(verb, without)


def _with_reading(verb: Callable[..., None], without: Sequence[str]) -> Callable[..., None]:
    hints = get_type_hints(verb, include_extras=True)
    own = inspect.signature(verb).parameters
    added = [name for name, option in OPTIONS.items() if name not in own and name not in without and not option.of_rows]
    parameters: list[inspect.Parameter] = []
    for parameter in own.values():
        if parameter.name != "reading":
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        for name in added:
            default = False if OPTIONS[name].kind is bool else None
            parameters.append(inspect.Parameter(name, parameter.kind, default=default, annotation=_annotation(name)))

    @wraps(verb)
    def with_options(**given: Any) -> None:
        verb(
            **{name: value for name, value in given.items() if name not in added}, reading=explicit({n: given[n] for n in added})
        )

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def explicit(given: Mapping[str, Any]) -> dict[str, Any]:
    """The explicit options, with values at commas split.

    >>> explicit({"id": ["a", "b"], "probs": ["p,q"], "label": None, "logits": False})
    {'id': ['a', 'b'], 'probs': ['p', 'q']}
    """
    return without_unsaid({name: split(value) if OPTIONS[name].commas else value for name, value in given.items()})


def split(words: list[str] | None) -> list[str] | None:
    """Values given by repeating an option, by commas, or both.

    >>> split(["a,b", "c"]), split(None)
    (['a', 'b', 'c'], None)
    """
    return [part for word in words for part in word.split(",")] if words else None


def without_unsaid(given: dict[str, Any]) -> dict[str, Any]:
    """The explicit options only."""
    return {name: value for name, value in given.items() if value is not None and value is not False and value != []}


def _annotation(name: str) -> Any:
    """A parameter of typer for an option of `Reading`."""
    option = OPTIONS[name]
    flags = [f"--{name.replace('_', '-')}"]
    made = typer.Option(*flags, metavar=option.metavar, help=option.help, rich_help_panel=option.panel)
    return Annotated[option.kind if option.kind is bool else option.kind | None, made]
