import io
import sys

import pytest

from traintwice.cli import _output as progress
from traintwice.cli._output import Lines, waiting
from traintwice.progress import report


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_has_progress_and_time_left(clock):
    lines = Lines("comparing")
    clock[0] = 2.0
    assert lines.line() == "traintwice: comparing, 2 s so far"
    lines.update(0, 1000)
    clock[0] = 12.0
    lines.update(250, 1000)
    assert lines.line() == "traintwice: comparing, 12 s so far, 250 of 1,000 rows, about 30 s left"
    lines.update(10, 1000)
    assert lines.line() == "traintwice: comparing, 12 s so far, 10 of 1,000 rows"
    lines.update(1, 100, "%")
    clock[0] = 22.0
    lines.update(25, 100, "%")
    assert lines.line() == "traintwice: comparing, 22 s so far, 25 % of this step, about 30 s left"
    lines.stop()


def test_long_work_prints_lines_and_short_work_does_not(monkeypatch, capsys):
    with waiting("short", quiet=False):
        report(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.01)
    import time

    with waiting("long", quiet=False):
        report(1, 2)
        until = time.monotonic() + 10
        while not (err := capsys.readouterr().err) and time.monotonic() < until:
            time.sleep(0.01)
    assert err.startswith("traintwice: long, ")
    with waiting("quiet", quiet=True):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with waiting("comparing [a] and b", quiet=False):
        report(1, 2)
    assert "comparing [a] and b" in sys.stderr.getvalue()
