"""User functions given by the place they are imported from, and the settings passed to them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from traintwice.errors import BadSpec


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
        BadSpec: the function cannot be imported.
    """
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
