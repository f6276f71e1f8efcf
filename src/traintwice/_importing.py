"""User functions given by the place they are imported from, and the settings passed to them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from traintwice.errors import BadInput, BadSpec

_allowed = True


@contextmanager
def imports_refused() -> Iterator[None]:
    """No code that a study names is imported inside, unless `allow_imports` is called."""
    global _allowed
    before, _allowed = _allowed, False
    try:
        yield
    finally:
        _allowed = before


def allow_imports() -> None:
    """Allow imports up to the end of `imports_refused`."""
    global _allowed
    _allowed = True


def named_code(plain: Any, path: str = "") -> list[str]:
    """The functions that a study in plain values names, each with the path of its setting.

    >>> named_code({"data": {"type": "Loader", "maker": "mine:batches"}, "rows": {"base": {}}})
    ['mine:batches (data.maker)']
    """
    if isinstance(plain, list | tuple):
        return [code for i, item in enumerate(plain) for code in named_code(item, f"{path}[{i}]")]
    if not isinstance(plain, Mapping):
        return []
    found = []
    for key, value in plain.items():
        at = f"{path}.{key}" if path else str(key)
        is_code = key == "maker" and isinstance(value, str) and names_a_function(value)
        found += [f"{value} ({at})"] if is_code else named_code(value, at)
    return found


def names_a_function(maker: str) -> bool:
    """Whether a text has the form "package.module:function".

    >>> names_a_function("torch.nn:Identity"), names_a_function("torch.nn.Identity")
    (True, False)
    """
    module, _, function = maker.partition(":")
    return all(part.isidentifier() for part in [*module.split("."), *function.split(".")])


def imported(maker: str, where: str) -> Callable[..., Any]:
    """The function that "package.module:function" names.

    Args:
        maker: a text of that form.
        where: name of the setting, with which messages start.
    Raises:
        BadSpec: the function cannot be imported. BadInput: imports are refused, see `imports_refused`.
    """
    if not _allowed:
        raise BadInput(
            f"{where}: the study names the code {maker!r}, which is imported only by `traintwice run`, `traintwice check`, and "
            "`report`, `export` and `predict` with --trust"
        )
    module, _, function = maker.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in function.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise BadSpec(
            f"{where}: {maker!r} cannot be imported ({error}); install its package, or put its folder on PYTHONPATH"
        ) from None
    return found  # type: ignore[no-any-return]


def as_from_a_file(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings as a file returns them, so that an object with these settings equals its copy from a file.

    Args:
        settings: by name.
        where: name of the setting, with which messages start.
    Raises:
        BadSpec: a file cannot hold them.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BadSpec(f"{where}: {error}; expected numbers, strings, booleans, lists and tables") from None
    return plain
