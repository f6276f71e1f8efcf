import io
import json
from html.parser import HTMLParser

from rich.console import Console

from traintwice_reproduction.tables.side_by_side import Pair, PaperTable

TABLE = PaperTable(
    "Table 9: a_b & c",
    ("Method", "Churn", "Δ₁"),
    (("Base|line", Pair("3.9 ±1.1 %", "5.72 ± 0.18"), Pair("0.05")), ("<b>", Pair("2.1 %"), Pair("–"))),
    ("M = 10.",),
)


def test_the_paper_stands_beneath_ours():
    assert "3.9 ±1.1 %<br><sub>5.72 ± 0.18</sub>" in TABLE.to_markdown()
    assert r"3.9 $\pm$1.1 \% \textcolor{gray}{5.72 $\pm$ 0.18}" in TABLE.to_latex()
    assert "3.9 ±1.1 % [5.72 ± 0.18]" in str(TABLE)


def test_markup_in_names_is_only_text():
    assert r"Base\|line" in TABLE.to_markdown()
    assert "<b>" not in TABLE.to_html()
    assert "<b>" not in TABLE.to_markdown().replace("<br>", "")
    HTMLParser().feed(TABLE.to_html())


def test_latex_has_as_many_cells_in_every_line():
    body = [line for line in TABLE.to_latex().splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in body} == {2}


def test_json_gives_it_back():
    plain = json.loads(json.dumps(TABLE.to_dict()))
    assert PaperTable.from_dict(plain) == TABLE


def test_split_repeats_the_headings_and_loses_no_column():
    pieces = TABLE.split(24)
    assert [piece.header for piece in pieces] == [("Method", "Churn"), ("Method", "Δ₁")]
    console = Console(width=24, record=True, file=io.StringIO())
    for piece in pieces:
        console.print(piece.to_rich())
    assert "5.72 ± 0.18" in console.export_text()
