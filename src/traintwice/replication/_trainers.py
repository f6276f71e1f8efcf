"""Trainers: a function of Python, or a command of any language. Both make predictions from a `Run`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pickle
import shlex
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traintwice._code import Code, code_of_function, trainer_name
from traintwice._typed import shown
from traintwice._user_code import imported, names_a_function
from traintwice.errors import BadSpec, TrainingFailed
from traintwice.replication._commands import CommandTrainer
from traintwice.replication._replica_run import SEED, Run
from traintwice.served import ServedFile, served_by_table

MAIN = "__mp_main__"
"""Name of the user's script in a worker process, as in `multiprocessing`: what is under ``if __name__ == "__main__":`` does not run."""


_loading: ContextVar[bool] = ContextVar("loading", default=False)


class FunctionReached(BaseException):
    """Ends the loading of a script in a worker process: the script has called `replicate` with its function."""

    def __init__(self, function: Any) -> None:
        super().__init__("function reached")
        self.function = function


def stop_if_loading(function: Any) -> None:
    """Hand a function to the worker process that loads the script; returns in any other process."""
    if _loading.get():
        raise FunctionReached(function)


@dataclass(frozen=True)
class Reference:
    """How another process finds a function: by its name in a module or script, or pickled where it has none."""

    module: str
    name: str
    script: str | None = None
    pickled: bytes | None = None

    def for_another_process(self) -> Reference:
        return self

    def loaded(self) -> FunctionTrainer:
        """The trainer of the function."""
        return FunctionTrainer(self._load())

    def _load(self) -> Callable[..., Any]:
        """The function."""
        if self.pickled is not None:
            return pickle.loads(self.pickled)  # type: ignore[no-any-return]  # noqa: S301  (made by the parent process)
        token = _loading.set(True)
        try:
            found = imported(f"{self.module}:{self.name}", "function") if self.script is None else self._of_script(self.script)
        except FunctionReached as reached:
            found = reached.function if getattr(reached.function, "__qualname__", None) == self.name else None
        finally:
            _loading.reset(token)
        if not callable(found):
            raise TrainingFailed(
                f"{self.script or self.module}: the function {self.name} was not found when the file was loaded in another process. "
                'Define it at the top level of the file, and put the rest under if __name__ == "__main__":'
            )
        return found

    def _of_script(self, script: str) -> Any:
        """The function of a script, which runs up to its call of `replicate`."""
        main = types.ModuleType(MAIN)
        main.__file__ = script
        sys.modules["__main__"] = sys.modules[MAIN] = main
        try:
            exec(compile(Path(script).read_bytes(), script, "exec"), main.__dict__)  # noqa: S102  (the user's script)
        except FunctionReached as reached:
            if getattr(reached.function, "__qualname__", None) == self.name:
                return reached.function
        found: Any = main
        for part in self.name.split("."):
            found = getattr(found, part, None)
        return found


def reference_to(function: Callable[..., Any]) -> Reference:
    """How another process finds a function."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    main = sys.modules.get("__main__")
    script, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    has_cloudpickle = importlib.util.find_spec("cloudpickle") is not None
    is_inside = "<" in name and has_cloudpickle  # "<locals>" and "<lambda>" are names that no other process finds
    if module == "__main__" and name and not is_inside and spec is not None and not spec.name.endswith("__main__"):
        return Reference(spec.name, name)  # started by python -m
    if module == "__main__" and name and not is_inside and script is not None and Path(script).suffix == ".py":
        return Reference(MAIN, name, script=str(Path(script).resolve()))
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is function and module != "__main__":
        return Reference(module, name)
    try:
        if module == "__main__" and not has_cloudpickle:
            raise pickle.PicklingError("it is defined in a notebook or an interactive session")
        pickler = importlib.import_module("cloudpickle") if has_cloudpickle else pickle
        return Reference(module, name, pickled=pickler.dumps(function))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise BadSpec(
            f"{name or function!r} cannot be sent to another process ({error}). Define it at the top level of a module, install "
            'cloudpickle, or pass executor="in-process"'
        ) from None


@dataclass(frozen=True)
class FunctionTrainer:
    """A function ``train(run, **settings)``, or ``train(seed, **settings)`` where its first parameter is "seed" or "random_state"."""

    function: Callable[..., Any]

    @property
    def name(self) -> str:
        """Name of the function, for records."""
        return f"function {trainer_name(self.function)}"

    def takes_seed(self) -> bool:
        """Whether the function takes the seed alone."""
        try:
            parameters = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):
            return False
        if not parameters:
            raise BadSpec(f"{self.name} takes no argument, expected train(run) or train(seed)")
        return parameters[0].name in (SEED, "random_state")

    def code(self) -> Code:
        """Digests of the code."""
        return code_of_function(self.function)

    def code_of(self, settings: Mapping[str, Any]) -> Code:
        """Digests of the files that the settings of a recipe name: none, a model in service is a setting with a digest."""
        return {}

    def for_another_process(self) -> Reference:
        """How another process finds the function."""
        return reference_to(self.function)

    def loaded(self) -> FunctionTrainer:
        return self

    def train(self, run: Run) -> Any:
        """What the function returns."""
        plain = {name: value for name, value in run.settings.items() if not isinstance(value, ServedFile)}
        return self.function(run.seed if self.takes_seed() else run, **plain)


Trainer = FunctionTrainer | CommandTrainer


def trainer_of(train: Callable[..., Any] | str | Sequence[str]) -> Trainer:
    """The trainer of a function, of "package.module:function", or of a command (a text, or a list of words)."""
    if callable(train):
        return FunctionTrainer(train)
    if isinstance(train, str):
        if names_a_function(train):
            return FunctionTrainer(imported(train, "function"))
        train = shlex.split(train)
    if not isinstance(train, list | tuple) or not train or not all(isinstance(word, str) and "\0" not in word for word in train):
        raise BadSpec(f"train: got {shown(train)}, expected a function, or a command as a text or a list of words")
    return CommandTrainer(tuple(train))


def settings_of(recipes: Mapping[str, Any], trainer: Trainer) -> dict[str, dict[str, Any]]:
    """Settings by recipe: keyword arguments of a function; for a command a text or words to add, kept as ``arguments``."""
    found = {}
    for recipe, given in recipes.items():
        if isinstance(trainer, CommandTrainer):
            is_empty = given is None or (isinstance(given, Mapping) and not given)
            words = shlex.split(given) if isinstance(given, str) else [] if is_empty else given
            if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
                raise BadSpec(f"recipe {recipe!r}: got {shown(given)}, expected the words to add to the command, such as '--ema'")
            found[recipe] = {"arguments": list(words)} if words else {}
        elif isinstance(given, Mapping):
            found[recipe] = {name: served_by_table(value, f"recipes.{recipe}.{name}") for name, value in given.items()}
            if any(isinstance(value, ServedFile) for value in found[recipe].values()) and trainer.takes_seed():
                raise BadSpec(
                    f"recipe {recipe!r}: names a model in service, which train(seed) cannot see; use train(run) and run.logged or run.start"
                )
        else:
            raise BadSpec(f"recipe {recipe!r}: got {shown(given)}, expected a dict of keyword arguments for the function")
    return found
