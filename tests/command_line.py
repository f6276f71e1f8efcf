"""Fixtures that run a command line in the process of the tests."""

import functools
import sys

import pytest
import typer.main

from traintwice.cli import main


@pytest.fixture(scope="session", autouse=True)
def _command_built_once():
    """Typer builds all verbs and their options for each command line; here they are always the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture
def traintwice(monkeypatch, capsys, tmp_path):
    """Run a command line in an empty directory; returns exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["traintwice", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    return call
