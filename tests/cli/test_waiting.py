import io
import sys

import pytest

from traintwice.cli import waiting
from traintwice.cli.waiting import Lines
from traintwice.progress import tell


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    return now


def test_a_line_says_how_far_it_is_and_how_long_it_takes(clock):
    lines = Lines("comparing")
    clock[0] = 2.0
    assert lines.line() == "traintwice: comparing, 2 s so far"
    lines.hear(0, 1000)
    clock[0] = 12.0
    lines.hear(250, 1000)
    assert lines.line() == "traintwice: comparing, 12 s so far, 250 of 1,000 rows, about 30 s left"
    lines.hear(10, 1000)
    assert lines.line() == "traintwice: comparing, 12 s so far, 10 of 1,000 rows"
    lines.hear(1, 100, "%")
    clock[0] = 22.0
    lines.hear(25, 100, "%")
    assert lines.line() == "traintwice: comparing, 22 s so far, 25 % of this step, about 30 s left"
    lines.stop()


def test_long_work_tells_and_short_work_does_not(monkeypatch, capsys):
    with waiting.waiting("short", quiet=False):
        tell(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(waiting, "FIRST_SECONDS", 0.01)
    import time

    with waiting.waiting("long", quiet=False):
        tell(1, 2)
        until = time.monotonic() + 10
        while not (err := capsys.readouterr().err) and time.monotonic() < until:
            time.sleep(0.01)
    assert err.startswith("traintwice: long, ")
    with waiting.waiting("quiet", quiet=True):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with waiting.waiting("comparing [a] and b", quiet=False):
        tell(1, 2)
    assert "comparing [a] and b" in sys.stderr.getvalue()
