"""A command of any language as a trainer."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traintwice._code import Code, code_of_command
from traintwice._formatting import cut
from traintwice._user_code import MOST_OF_REASON
from traintwice.errors import BadSpec, TrainingFailed
from traintwice.replication._replica_run import Run

LAST_LINES = 30
"""Lines of a failed command's output that are kept for messages."""

COSTS = "costs.json"
"""File in the folder of a replica in which a command may state what it cost."""

PLACEHOLDER = re.compile(r"\{(seed|out|replica|recipe|folder)(?::(\w+))?\}")


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
        for old in [*_written(out), run.folder / COSTS]:
            old.unlink(missing_ok=True)
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
        _add_costs(run)
        return _predictions(out, shlex.join(self.command))


def _add_costs(run: Run) -> None:
    """The costs that a command states in a file of its folder."""
    path = run.folder / COSTS
    if not path.exists():
        return
    try:
        run.cost(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise TrainingFailed(f'{COSTS}: expected a JSON object of numbers, such as {{"gpu_hours": 3.2}} ({error})') from None


def _written(out: Path) -> list[Path]:
    """The files that a command wrote: the path itself or with an ending, or the files of the directory."""
    if out.is_dir():
        return sorted(path for path in out.iterdir() if path.is_file())
    return sorted(path for path in out.parent.glob(f"{out.name}*") if path.is_file() and path.stem == out.name)


def _predictions(out: Path, command: str) -> Any:
    files = [_with_ending(path) for path in _written(out)]
    if out.is_dir() and files:
        return {path.stem: path for path in files}
    if len(files) != 1:
        raise TrainingFailed(
            f"the command wrote {len(files)} files of predictions, expected one: it must write to the path in place of {{out}}, with "
            f"or without an ending such as .csv or .parquet ({command})"
        )
    return files[0]


def _with_ending(path: Path) -> Path:
    """A file named by what is in it, where its name has no ending."""
    if path.suffix:
        return path
    with path.open("rb") as file:
        start = file.read(6)
    endings = {b"PAR1": ".parquet", b"PK\x03\x04": ".npz", b"\x93NUM": ".npy"}
    return path.rename(path.with_suffix(endings.get(start[:4], ".jsonl" if start[:1] == b"{" else ".csv")))
