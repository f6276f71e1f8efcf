"""What a terminal shows: one screen, colours that mean one thing each; and a log without a terminal, where nothing is cut."""

import re
import sys

import pytest

from traintwice._formatting import columns_of

STANDARD = ("diff", "old.csv", "new.csv", "--by", "country", "--floor", "again*.csv")


@pytest.fixture
def terminal(traintwice, monkeypatch, capsys):
    """Run a command line on a terminal of this size; returns what it shows."""

    def call(*arguments, columns=80, lines=24):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        for name, value in {"COLUMNS": columns, "LINES": lines, "TERM": "xterm-256color"}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.delenv("NO_COLOR", raising=False)
        return traintwice(*arguments)[1]

    return call


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def coloured(text):
    """Texts by their colour."""
    found = {}
    for code, words in re.findall(r"\x1b\[1;(3[0-9])m(.*?)\x1b\[0m", text):
        found.setdefault(int(code), set()).add(words)
    return found


@pytest.mark.parametrize("more", [(), ("--threshold", "0.5")])
def test_a_comparison_fits_on_a_terminal_of_80_columns(files, terminal, more):
    if more:  # decisions need a binary model
        for path in files.glob("*.csv"):
            lines = [line.split(",") for line in path.read_text().splitlines()]
            rows = [",".join([r[0], str(min(1.0, float(r[1]) + float(r[2]))), str(int(r[4] != "2")), r[5]]) for r in lines[1:]]
            path.write_text("\n".join(["row_id,p,y,country", *rows]) + "\n")
    lines = plain(terminal(*STANDARD, *more)).splitlines()
    assert len(lines) <= 24
    assert max(map(columns_of, lines)) <= 80
    assert lines[3 if lines[2] else 2] == ""  # at most three lines of header
    questions = [
        line.split("  ")[0] for line in lines if re.match(r"(Quality|Regressions|Disagreement|Slices|Operating) ?", line)
    ]
    assert questions == ["Quality", "Regressions", "Disagreement", "Slices", *(["Operating point"] if more else [])]
    assert lines[-2].startswith("95 % intervals for new rows")
    assert lines[-1] == "Details: --full, --report FILE.html, --rows FILE.parquet"


def test_a_taller_terminal_shows_regressed_rows(files, terminal):
    def shown(lines):
        return sum(line.startswith("id") for line in plain(terminal(*STANDARD, lines=lines)).splitlines())

    assert shown(60) == 3
    assert shown(18) == 0


def test_answers_are_coloured_by_their_concern_and_nothing_else_is(files, terminal):
    slices = "churn above its floor in 1 of 2 groups"
    assert coloured(terminal(*STANDARD, lines=60)) == {31: {"worse", "more than retraining causes", slices, "Verdict"}}
    calm = terminal("diff", "old.csv", "again0.csv", "--floor", "again[1234].csv", "--margin", "3", "--full", lines=60)
    assert coloured(calm) == {31: {"worse", "Verdict"}, 32: {"within noise"}}
    unsure = terminal("diff", "old.csv", "again0.csv", "--floor", "again[1234].csv", "--margin", "1.001", lines=60)
    assert coloured(unsure)[33] == {"inconclusive"}


def test_a_gate_shows_its_outcome_and_budgets_first(files, terminal):
    shown = terminal("gate", "old.csv", "new.csv", "--max", "churn=50%", "--max", "negative_flips=1%")
    first, _, title = plain(shown).splitlines()[:3]
    assert (first, title) == ("Gate failed: 1 over (negative_flips), of 2 budgets.", "Budgets")
    assert coloured(shown) == {31: {"Gate failed", "over"}, 32: {"kept"}}
    many = [word for k in range(30) for word in ("--max", f"churn@country={60 + k}%")]
    lines = plain(terminal("gate", "old.csv", "new.csv", *many)).splitlines()
    assert len(lines) <= 24
    assert any(re.fullmatch(r"\d\d more kept", line) for line in lines)


@pytest.mark.parametrize("no_colour", [True, False])
def test_a_log_without_a_terminal_is_whole(files, traintwice, monkeypatch, no_colour):
    monkeypatch.delenv("COLUMNS")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if not no_colour:  # as hosts of continuous integration set it
        monkeypatch.setenv("FORCE_COLOR", "1")
    out = traintwice(*STANDARD)[1]
    assert ("\x1b" in out) != no_colour
    lines = plain(out).splitlines()
    assert lines[0].endswith("from 0")
    assert lines[1] == ""
    by_question = {line.split("  ")[0]: line for line in lines}
    assert "log loss 0.760 → 0.880" in by_question["Quality"]
    assert by_question["Disagreement"].endswith("5 retrains)")
    assert "…" not in "\n".join(lines[1:])
