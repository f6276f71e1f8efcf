import csv
import io
import json
import math
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from traintwice import compare, gates
from traintwice._formatting import columns_of
from traintwice.compare._shown import Drawn, Shown
from traintwice.tables import Column, Line, Row, Sheet, Table
from traintwice.tables._sheet import SHEETS
from traintwice.types import Estimate

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


E = Estimate(0.0265, 0.0195, 0.0335, 0.0031, 10, 800)


@pytest.fixture
def table():
    return Table(
        "digits & <10> replicas",
        (Column("churn", "churn", "fraction"), Column("note", "a|b", "text"), Column("cost", "train", "cost")),
        (Row("base <b>", {"churn": E, "note": "x|y", "cost": 1.0}), Row("other", {"churn": None, "cost": math.inf})),
        ("a note & more",),
    )


def test_strings(table):
    assert table.strings() == [["2.65 ±0.70 %", "x|y", "1x"], ["–", "–", "infinite"]]
    mixed = Table("", (Column("v", "v", "mixed"),), (Row("a", {"v": 0.5}, "fraction"), Row("b", {"v": 0.5}, "number")))
    assert mixed.strings() == [["50.00 %"], ["0.500"]]
    assert Table("", table.columns, ()).strings() == []


def test_text_is_aligned(table):
    title, blank, head, first, second, note = table.to_text().splitlines()
    assert (title, blank, note) == ("digits & <10> replicas", "", "a note & more")
    assert head.index("churn") + len("churn") == first.index(" %") + 2  # numbers to the right
    assert head.index("a|b") == first.index("x|y")  # text to the left
    assert second.startswith("other ")
    assert str(table) == table.to_text()


def test_markdown_escapes_pipes(table):
    lines = table.to_markdown().splitlines()
    assert lines[0] == "**digits &amp; &lt;10&gt; replicas**"
    assert lines[2] == "|  | churn | a\\|b | train |"
    assert lines[3] == "|---|---:|---|---:|"
    assert lines[4] == "| base &lt;b&gt; | 2.65 ±0.70 % | x\\|y | 1x |"
    assert "a note &amp; more" in lines
    cells = [line.replace("\\|", "").count("|") for line in lines[2:6]]
    assert cells == [5, 5, 5, 5]


def test_csv_has_raw_numbers_and_bounds(table):
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert list(rows[0]) == ["name", "churn", "churn_low", "churn_high", "note", "cost"]
    assert [float(rows[0][k]) for k in ("churn", "churn_low", "churn_high", "cost")] == [0.0265, 0.0195, 0.0335, 1.0]
    assert rows[1] == {"name": "other", "churn": "", "churn_low": "", "churn_high": "", "note": "", "cost": "inf"}


def test_json_is_strict(table):
    data = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert data["rows"][0]["churn"]["value"] == 0.0265
    assert data["rows"][1] == {"name": "other", "churn": None, "note": None, "cost": "infinite"}
    assert data["columns"][1] == {"key": "note", "title": "a|b", "unit": "text"}
    assert (data["title"], data["notes"]) == ("digits & <10> replicas", ["a note & more"])


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_html_escapes_everything(table):
    reader = Reader()
    reader.feed(table.to_html())
    assert set(reader.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    assert reader.tags.count("td") == 6
    assert {"digits & <10> replicas", "base <b>", "x|y", "a|b", "a note & more"} <= set(reader.text)
    assert table._repr_html_() == table.to_html()
    quoted = Table("", (Column("c", 'say "x"'),), (Row("r", {"c": 1.0}),)).to_html()
    assert 'data-title="say &quot;x&quot;"' in quoted


def test_a_column_with_one_lopsided_interval_prints_ends_throughout():
    lopsided = Estimate(0.0265, 0.0203, 0.0341, 0.003, 10, 800)
    table = Table("", (Column("v", "v", "fraction"),), (Row("a", {"v": E}), Row("b", {"v": lopsided}), Row("c", {"v": None})))
    assert table.strings() == [["2.65 % (1.9 to 3.4)"], ["2.65 % (2.0 to 3.4)"], ["–"]]


def test_wide_characters_are_aligned():
    table = Table("", (Column("v", "v", "text"),), (Row("日本", {"v": "x"}), Row("abcd", {"v": "y"})))
    first, second = table.to_text().splitlines()[-2:]
    assert columns_of(first.partition("x")[0]) == columns_of(second.partition("y")[0])
