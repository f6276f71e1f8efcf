"""Every command of ``bad_inputs.txt`` ends with status 2 and its message, without a traceback and without changing its inputs."""

import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from stat import S_ISREG

import pytest

from bad_inputs import make_files
from traintwice.cli import main

WITH_TORCH = find_spec("torch") is not None
TABLE = [tuple(line.split("  =>  ")) for line in Path(__file__).with_name("bad_inputs.txt").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bad")
    make_files(made)
    return made


def contents(folder):
    """Size and time of the last change of every file."""
    found = ((path, path.stat()) for path in folder.rglob("*"))
    return {path: (of.st_size, of.st_mtime_ns) for path, of in found if S_ISREG(of.st_mode)}


def test_the_table_is_long_and_names_each_command_once():
    assert len(TABLE) >= 250
    assert len(dict(TABLE)) == len(TABLE)


@pytest.mark.parametrize(("command", "message"), TABLE, ids=[command for command, _ in TABLE])
def test_one_message(folder, monkeypatch, capsys, command, message):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["traintwice", *shlex.split(command)])
    before = contents(folder)
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    text = re.sub(r"[\s│╭╰─╮╯]+", " ", err)
    assert end.value.code == 2
    if not WITH_TORCH and re.search(r"needs? torch", text):
        pytest.skip("without torch it is refused earlier")
    assert message.lower() in text.lower()  # names of arguments are capitals in some versions of typer
    assert "Traceback" not in text
    assert len(err) < 8000
    assert out == ""
    assert before.items() <= contents(folder).items()
