"""Functions of the user's, named by the place they are imported from, and the settings that are passed on to them."""

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
        maker: of that form.
        where: the setting that it is, to begin messages with.
    Raises:
        BadSpec: nothing of that name can be imported.
    """
    module, _, function = maker.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in function.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise BadSpec(
            f"{where}: {maker!r} cannot be imported ({error}); it must be installed, or its folder be on PYTHONPATH"
        ) from None
    return found  # type: ignore[no-any-return]


def as_from_a_file(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings as they come back from a file, so that what has them equals itself after a round trip.

    Args:
        settings: by name.
        where: the setting that they are, to begin messages with.
    Raises:
        BadSpec: no file could hold them.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BadSpec(f"{where}: {error}; expected numbers, strings, booleans, lists and tables") from None
    return plain
