import subprocess
import sys
from html.parser import HTMLParser

import pytest

from traintwice import compare, gates
from traintwice._formatting import columns_of
from traintwice.compare._shown import Drawn, Shown
from traintwice.tables import Column, Line, Row, Sheet, Table
from traintwice.tables._sheet import SHEETS

NASTY = "</td><script>alert('x')</script>|*b*`c`"


@pytest.fixture
def sheet():
    table = Table("a table", (Column("a", "alpha", "text"), Column("b", "beta", "text")), (Row("first", {"a": "1", "b": "2"}),))
    lines = (Line("churn", "6.3 %", "(5.9 to 6.7, these two models, new rows)"), Line("floor", "5.9 %", "of noise"))
    return Sheet("old → new", "It moved.", lines, (("Where", "country=BR"),), (table,), ("a note",))


def test_text_is_headline_lines_verdict_and_the_rest(sheet):
    text = sheet.to_text()
    parts = ["old → new", "churn", "It moved.", "Where: country=BR", "a table", "a note"]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert "churn  6.3 %  (5.9 to 6.7, these two models, new rows)" in text
    assert "floor  5.9 %  of noise" in text
    assert "alpha  beta" in text


def test_names_are_cut_only_where_asked_for():
    name = "country=" + "x" * 90
    sheet = Sheet("h", "v", tables=(Table("t", (Column("a", "a", "text"),), (Row(name, {"a": "1"}),)),))
    assert name in sheet.to_text(80)
    assert f"{name[:25]}…" in sheet.to_text(80, whole_names=False)


def test_a_long_value_is_wrapped_where_the_terminal_is_narrow():
    text = Sheet("h", "v", (Line("Regressions", "more than retraining causes", "1.71 % of rows"),)).to_text(40)
    assert text.splitlines()[2:4] == ["Regressions  more than retraining causes", "    1.71 % of rows"]


@pytest.mark.parametrize("width", [1, 40, 43, 60, 80])
def test_narrow_terminals_lose_no_word(sheet, width):
    text = sheet.to_text(width)
    assert all(columns_of(line) <= max(width, 40) for line in text.splitlines())
    wide = sheet.to_text(200).split()
    assert sorted(set(wide)) == sorted(set(text.split()))


def test_markdown_shows_names_as_they_are():
    sheet = Sheet(
        "h", NASTY, (Line(NASTY, "1", NASTY),), (), (Table(NASTY, (Column("a", NASTY, "text"),), (Row(NASTY, {"a": NASTY}),)),)
    )
    text = sheet.to_markdown()
    assert "<script" not in text
    assert all(line.replace("\\|", "").count("|") in (0, 3, 4) for line in text.splitlines())


def test_html_holds_no_element_but_its_own():
    sheet = Sheet(NASTY, NASTY, (Line(NASTY, NASTY, NASTY),), ((NASTY, NASTY),), (), (NASTY,))
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)
    parser.feed(sheet.to_html())
    assert set(tags) == {"p", "b", "table", "caption", "tbody", "tr", "th", "td", "small"}


def test_a_headline_without_lines_is_not_squeezed_into_a_caption():
    assert Sheet("five files", "").to_html() == "<p><b></b></p><p>five files</p>"


def test_every_result_has_a_sheet():
    assert compare.diff  # all results are defined once the packages are imported
    assert gates.gate
    rooms = ("traintwice.compare", "traintwice.gates")
    every = [r for r in (*Shown.__subclasses__(), *Drawn.__subclasses__()) if r is not Drawn]
    of_comparisons = {r.__name__ for r in every if r.__module__.startswith(rooms)}
    assert set(SHEETS) == of_comparisons


@pytest.mark.parametrize("place", ["traintwice.compare", "traintwice.compare._measure", "traintwice"])
def test_a_result_prints_its_sheet_however_it_was_imported(place):
    code = f"import numpy as np; from {place} import measure; r = measure(np.array([[0, 1], [1, 1]])); print(r, r._repr_html_())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "churn" in out
    assert "<table>" in out
