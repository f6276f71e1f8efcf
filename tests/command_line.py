"""Fixtures that run a command line in the process of the tests."""

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer.main

from traintwice.cli import main


@pytest.fixture(scope="session", autouse=True)
def _command_built_once():
    """Typer builds all verbs and their options for each command line; here they are always the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


def prepare(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Command lines run in a directory, and what they print and draw does not depend on the terminal and the time."""
    patch.chdir(folder)
    patch.setenv("COLUMNS", "100")
    patch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def status_of(patch: pytest.MonkeyPatch, arguments: Sequence[object]) -> int:
    """Run a command line; returns its exit status."""
    patch.setattr(sys, "argv", ["traintwice", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.fixture
def traintwice(monkeypatch, capsys, tmp_path):
    """Run a command line in an empty directory; returns exit status, standard output, standard error."""
    prepare(monkeypatch, tmp_path)

    def call(*arguments):
        return status_of(monkeypatch, arguments), *capsys.readouterr()

    return call
