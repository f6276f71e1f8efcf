"""Code of the user: functions given by the place they are imported from, their settings, and their errors in words."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from traintwice._formatting import cut, listed
from traintwice.errors import BadInput, BadSpec, TraintwiceError

OURS = str(Path(__file__).parent)
"""The folder of this package."""

LIBRARIES = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
"""The folders of installed packages."""

STANDARD = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), "<frozen ")
"""How the files of Python itself begin."""

MOST_OF_REASON = 300
"""Characters of the message of a user's error that are shown as its reason; the traceback has all."""

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


def named_code(plain: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The functions that a study in plain values names, each with the path of its setting.

    >>> list(named_code({"data": {"type": "Loader", "maker": "mine:batches"}, "rows": {"base": {}}}))
    [('mine:batches', 'data.maker')]
    """
    if isinstance(plain, list | tuple):
        for i, item in enumerate(plain):
            yield from named_code(item, f"{path}[{i}]")
    elif isinstance(plain, Mapping):
        for key, value in plain.items():
            at = f"{path}.{key}" if path else str(key)
            if key == "maker" and isinstance(value, str) and names_a_function(value):
                yield value, at
            else:
                yield from named_code(value, at)


def names_a_function(maker: str) -> bool:
    """Whether a text has the form "package.module:function".

    >>> names_a_function("torch.nn:Identity"), names_a_function("torch.nn.Identity")
    (True, False)
    """
    module, _, function = maker.partition(":")
    return all(part.isidentifier() for part in [*module.split("."), *function.split(".")])


def imported(maker: str, where: str) -> Callable[..., Any]:
    """The function that "package.module:function" names; messages start with ``where``, the name of the setting."""
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
        named = f"write {module.removesuffix('.py')}:{function}, or " if module.endswith(".py") else ""
        raise BadSpec(
            f"{where}: {maker!r} cannot be imported ({error}); {named}install its package, or put its folder on PYTHONPATH"
        ) from None
    except SystemExit as end:
        raise BadSpec(
            f"{where}: {maker!r} cannot be imported: {module} ends its process with sys.exit({end.code!r}); put what the script runs under "
            'if __name__ == "__main__":'
        ) from None
    if not callable(found):
        raise BadSpec(f"{where}: {maker!r} is of type {type(found).__name__}, expected a function")
    return found  # type: ignore[no-any-return]


class UserFunction:
    """Base of frozen dataclasses that name a function of the user, ``maker``, with its ``settings``; they take its hash too."""

    maker: str
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not names_a_function(self.maker) or self.maker.startswith("__main__:"):
            raise BadSpec(
                f'{name}.maker: got {self.maker!r}, expected "package.module:function" that other processes can import; they cannot '
                "import from __main__"
            )
        object.__setattr__(self, "settings", as_from_a_file(self.settings, f"{name}.settings"))

    def __hash__(self) -> int:
        return hash((type(self), self.maker, json.dumps(self.settings, sort_keys=True)))

    @property
    def function(self) -> partial[Any]:
        """The function, which gets a copy of the settings."""
        return partial(imported(self.maker, f"{type(self).__name__}.maker"), **copy.deepcopy(dict(self.settings)))

    def function_of(self, *arguments: Any, **named: Any) -> Callable[..., Any]:
        """The function, after a check that it can be called with arguments such as these and the settings.

        Raises:
            BadSpec: it lacks a parameter, or needs another one.
        """
        found = self.function
        try:
            signature = inspect.signature(found.func)
        except (TypeError, ValueError):
            return found  # a function without a signature
        try:
            signature.bind(*arguments, **named, **found.keywords)
        except TypeError as error:
            given = ", ".join([*(f"<{type(one).__name__}>" for one in arguments), *(f"{name}=" for name in named)])
            told = (
                f"{self.maker}: cannot be called with ({given}) and the settings ({', '.join(self.settings) or 'none'}): {error}"
            )
            raise BadSpec(told) from None
        return found


def as_from_a_file(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings as a file returns them, so that an object with these settings equals its copy from a file."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BadSpec(f"{where}: {error}; expected numbers, strings, booleans, lists and tables") from None
    return plain


def reason_of(error: BaseException) -> str:
    """The error in one line."""
    if isinstance(error, TraintwiceError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"the training ended its process with sys.exit({error.code!r})"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {cut(lines[0], MOST_OF_REASON)}" if lines else type(error).__name__


def together(failures: Iterable[tuple[str, int, str]]) -> Iterator[tuple[str, str]]:
    """Replicas that failed for the same reason, in words, and the reason; ``failures`` are (recipe, replica, reason).

    >>> list(together([("base", 0, "no data"), ("ema", 0, "no data"), ("base", 1, "no data")]))
    [('base, replicas 0, 1; ema, replica 0', 'no data')]
    """
    replicas: dict[str, dict[str, list[str]]] = {}
    for recipe, replica, reason in failures:
        replicas.setdefault(reason, {}).setdefault(recipe, []).append(str(replica))
    for reason, of_recipe in replicas.items():
        yield "; ".join(f"{name}, replica{'s' * (len(some) > 1)} {listed(some)}" for name, some in of_recipe.items()), reason


def traceback_of(error: BaseException) -> str:
    """The traceback of user code, from the first frame of the user's on; a user's error of data has none."""
    frames = _frames(error)
    start = next((i for i, (file, _) in enumerate(frames) if file.startswith(OURS)), 0)  # a script that starts the command line
    others = [(file, part) for file, part in frames[start:] if not file.startswith(OURS) and "importlib" not in file]
    part = next((part for file, part in others if _is_of_user(file)), None)
    if isinstance(error, SyntaxError) and part is None:
        return "".join(traceback.format_exception_only(error))
    part = part or (others[0][1] if others else None)
    if part is None:
        return "".join(getattr(error, "__notes__", ())) or f"{reason_of(error)}\n"
    return "".join(traceback.format_exception(type(error), error, part))


def raised_by_user(error: BaseException) -> bool:
    """Whether an error comes from code of the user, or from a library that it called."""
    files = [file for file, _ in _frames(error)]
    after_ours = files[max((i for i, file in enumerate(files) if file.startswith(OURS)), default=-1) + 1 :]
    if isinstance(error, SyntaxError) and error.filename:
        after_ours.append(error.filename)
    return any(map(_is_of_user, after_ours))


def _frames(error: BaseException) -> list[tuple[str, TracebackType]]:
    """The file of each frame of a traceback, and the traceback from it on."""
    found, part = [], error.__traceback__
    while part is not None:
        found.append((part.tb_frame.f_code.co_filename, part))
        part = part.tb_next
    return found


def _is_of_user(file: str) -> bool:
    return not file.startswith((OURS, *LIBRARIES, *STANDARD))
