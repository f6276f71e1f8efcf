"""A study of a function or command as a TOML file, and settings of recipes as words of a command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from traintwice._study_files import read_toml, toml_of
from traintwice.errors import BadSpec, TraintwiceError, unknown
from traintwice.predictions._reading import OPTIONS
from traintwice.replication._trainers import split_words

TRAINER = "trainer"
KEYS = ("name", "replicas", "seed", "vary", TRAINER, "recipes", "reading")


def is_replication(path: str | Path) -> bool:
    """Whether a file is a TOML file with a table ``[trainer]``; False also for files that cannot be read."""
    try:
        return TRAINER in read_toml(path)
    except TraintwiceError:
        return False


def read_study(path: str | Path) -> dict[str, Any]:
    """The arguments of `traintwice.replicate` that a TOML file gives; its folder is added to the places of imports.

        replicas = 10

        [trainer]
        function = "train:main"      # or command = "python train.py --seed {seed} --out {out}"

        [recipes.base]
        [recipes.ema]
        ema = true                   # for a command: [recipes] base = "" and ema = "--ema"

    Raises:
        BadSpec, UnknownName: a key is missing, unknown or of a wrong type; the message starts with the name of the file.
    """
    plain = read_toml(path)
    for key in plain:
        if key not in KEYS:
            raise unknown("setting of a study with a trainer", key, KEYS, hint=f"(in {path})")
    trainer, reading = plain.get(TRAINER), plain.get("reading", {})
    if not isinstance(trainer, Mapping) or set(trainer) not in ({"function"}, {"command"}):
        raise BadSpec(f'{path}: trainer: expected function = "module:name" or command = "…", got {trainer!r}')
    for key, kind in (("replicas", int), ("seed", int), ("recipes", dict), ("reading", dict), ("vary", list | dict)):
        if key in plain and not isinstance(plain[key], kind):
            raise BadSpec(f"{path}: {key}: got {plain[key]!r}, expected {'a table' if kind is dict else 'another type'}")
    for name in reading:
        if name not in OPTIONS:
            raise unknown("option of reading", name, OPTIONS, hint=f"(in {path})", listed="")
    folder = str(Path(path).resolve().parent)
    if "function" in trainer and folder not in sys.path:
        sys.path.insert(0, folder)
    (train,) = trainer.values()
    kept: dict[str, Any] = {key: plain[key] for key in ("replicas", "seed", "vary", "recipes") if key in plain}
    return {"train": train, **kept, **({"reading": reading} if reading else {})}


def recipes_of(words: Sequence[str], *, of_command: bool) -> dict[str, Any]:
    """Recipes from texts ``NAME=WORDS``: words to add to a command, or ``key=value`` settings of a function.

    Raises:
        BadSpec: another form.

    >>> recipes_of(["base=", "ema=--ema --decay 0.9"], of_command=True)
    {'base': '', 'ema': '--ema --decay 0.9'}
    >>> recipes_of(["ema=ema=true rate=0.1 kind=fast"], of_command=False)
    {'ema': {'ema': True, 'rate': 0.1, 'kind': 'fast'}}
    """
    found: dict[str, Any] = {}
    for text in words:
        name, equals, rest = text.partition("=")
        if not equals or name in found:
            raise BadSpec(f"--recipe {text}: expected NAME=WORDS, such as --recipe ema='--ema', each name once")
        found[name] = rest if of_command else dict(_setting(word, text) for word in split_words(rest, f"--recipe {name}"))
    return found


def _setting(word: str, text: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if not equals or not key.isidentifier():
        raise BadSpec(f"--recipe {text}: got {word!r}, expected settings of the function as key=value")
    found = toml_of("v", value)
    if found is None:
        raise BadSpec(f"--recipe {text}: the value of {key} cannot be read")
    return key, found["v"]
