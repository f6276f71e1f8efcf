"""Every command of ``bad_inputs.txt`` ends with status 2 and its message, without a traceback and without changing its inputs."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from bad_inputs import make_files
from traintwice.cli import main

TABLE = [tuple(line.split("  =>  ")) for line in Path(__file__).with_name("bad_inputs.txt").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bad")
    make_files(made)
    return made


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_table_is_long_and_names_each_command_once():
    assert len(TABLE) >= 200
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
    assert message in text
    assert "Traceback" not in text
    assert len(err) < 8000
    assert out == ""
    assert before.items() <= contents(folder).items()
