"""Trainers: a function of Python, or a command of any language. Both make predictions from a `Run`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import types
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traintwice._code import Code, code_of_command, code_of_function, trainer_name
from traintwice._formatting import cut
from traintwice._typed import shown
from traintwice._user_code import MOST_OF_REASON, imported, names_a_function
from traintwice.errors import BadSpec, TrainingFailed
from traintwice.replication._replica_run import SEED, Run, add_costs, predictions_of, remove_old
from traintwice.served import ServedFile, served_by_table

MAIN = "__mp_main__"
"""Name of the user's script in a worker process, as in `multiprocessing`: what is under ``if __name__ == "__main__":`` does not run."""

LAST_LINES = 30
"""Lines of a failed command's output that are kept for messages."""

PLACEHOLDER = re.compile(r"\{(seed|out|replica|recipe|folder)(?::(\w+))?\}")

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
    of_object = inspect.ismethod(function) and not isinstance(function.__self__, type)
    # no other process finds objects, "<locals>" and "<lambda>" by their name
    by_value = of_object or ("<" in name and has_cloudpickle)
    if module == "__main__" and name and not by_value and spec is not None and not spec.name.endswith("__main__"):
        return Reference(spec.name, name)  # started by python -m
    if module == "__main__" and name and not by_value and script is not None and Path(script).suffix == ".py":
        return Reference(MAIN, name, script=str(Path(script).resolve()))
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is function and module != "__main__":
        return Reference(module, name)
    try:
        if module == "__main__" and not has_cloudpickle:
            why = "it is a method of an object" if of_object else "it is defined in a notebook or an interactive session"
            raise pickle.PicklingError(why)
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


@dataclass(frozen=True)
class CommandTrainer:
    """A command that trains one replica and writes its predictions.

    ``{seed}``, ``{out}``, ``{replica}``, ``{recipe}`` and ``{folder}`` are replaced; ``{seed:init}`` is the seed of the source "init".
    The command also finds them in the environment: TRAINTWICE_SEED, TRAINTWICE_OUT, TRAINTWICE_REPLICA … The words of a recipe are
    added at the end. It runs in the directory of the caller.

    Args:
        command: program and arguments.
        directory: to run in.
    """

    command: tuple[str, ...]
    directory: str = field(default_factory=os.getcwd)

    @property
    def name(self) -> str:
        """The command, for records."""
        return f"command {shlex.join(self.command)}"

    def takes_seed(self) -> bool:
        """Whether the command names the seed of the replica and no other source of randomness."""
        sources = [source for word in self.command for _, source in PLACEHOLDER.findall(word)]
        return any("{seed}" in word for word in self.command) and not any(sources)

    def check_program(self) -> None:
        """Raise unless the command starts with a program of this machine."""
        program = self.command[0]
        at = os.path.join(self.directory, program) if os.path.dirname(program) else program  # noqa: PTH118, PTH120
        if not PLACEHOLDER.search(program) and shutil.which(at) is None:
            why = "is not executable" if Path(at).is_file() else "no such program"
            raise BadSpec(
                f"{cut(program, MOST_OF_REASON)}: {why}; expected a command such as python train.py --seed {{seed}} --out {{out}}"
            )

    def code(self) -> Code:
        """Digests of the files that the command names."""
        return code_of_command(self.command, Path(self.directory))

    def code_of(self, settings: Mapping[str, Any]) -> Code:
        """Digests of the files that the words of a recipe name, such as the predictions of the model in service."""
        return code_of_command(settings.get("arguments", ()), Path(self.directory))

    def for_another_process(self) -> CommandTrainer:
        return self

    def loaded(self) -> CommandTrainer:
        return self

    def train(self, run: Run) -> Any:
        """Run the command; the predictions are the file, or the files of the directory, that it wrote."""
        out = run.folder / "predictions"
        remove_old(out)
        values = {"seed": run.seed, "out": out, "replica": run.replica, "recipe": run.recipe, "folder": run.folder}

        def filled(word: str) -> str:
            return PLACEHOLDER.sub(lambda m: str(run.seed_of(m[2]) if m[2] else values[m[1]]), word)

        words = [filled(word) for word in (*self.command, *run.settings.get("arguments", ()))]
        environment = {**os.environ, **{f"TRAINTWICE_{name.upper()}": str(value) for name, value in values.items()}}
        try:
            started = subprocess.Popen(
                words, cwd=self.directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise TrainingFailed(f"{words[0]}: cannot be started ({error.strerror})") from None
        last: deque[str] = deque(maxlen=LAST_LINES)
        with started:
            for line in started.stdout or ():
                sys.stderr.write(line)
                last.append(line)
        sys.stderr.flush()
        if started.returncode:
            how = f"status {started.returncode}" if started.returncode > 0 else f"signal {-started.returncode}"
            lines = [line.strip() for line in last if any(map(str.isalnum, line))]
            failed = TrainingFailed(f"the command ended with {how}: {cut(lines[-1], MOST_OF_REASON) if lines else 'no output'}")
            failed.add_note("".join(last))
            raise failed
        add_costs(run)
        return predictions_of(out, shlex.join(self.command))


Trainer = FunctionTrainer | CommandTrainer


def split_words(text: str, where: str) -> list[str]:
    """The words of a text, as a shell splits them; messages start with ``where``."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadSpec(f"{where}: got {shown(text)}, which cannot be split into words ({error})") from None


def trainer_of(train: Callable[..., Any] | str | Sequence[str]) -> Trainer:
    """The trainer of a function, of "package.module:function", or of a command (a text, or a list of words)."""
    if callable(train):
        return FunctionTrainer(train)
    if isinstance(train, str):
        if names_a_function(train):
            return FunctionTrainer(imported(train, "function"))
        train = split_words(train, "train")
    if not isinstance(train, list | tuple) or not train or not all(isinstance(word, str) and "\0" not in word for word in train):
        raise BadSpec(f"train: got {shown(train)}, expected a function, or a command as a text or a list of words")
    return CommandTrainer(tuple(train))


def settings_of(recipes: Mapping[str, Any], trainer: Trainer) -> dict[str, dict[str, Any]]:
    """Settings by recipe: keyword arguments of a function; for a command a text or words to add, kept as ``arguments``."""
    found = {}
    for recipe, given in recipes.items():
        if isinstance(trainer, CommandTrainer):
            is_empty = given is None or (isinstance(given, Mapping) and not given)
            words = split_words(given, f"recipe {recipe!r}") if isinstance(given, str) else [] if is_empty else given
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
