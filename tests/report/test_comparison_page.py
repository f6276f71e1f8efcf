import base64
import hashlib
import json
import subprocess
import sys
from itertools import pairwise

import pytest

from traintwice.compare._parts import Answer
from traintwice.errors import MissingExtra, StoreError
from traintwice.gates._budgets import Budget, Check, GateResult
from traintwice.report import diff_page, write_diff
from traintwice.report._comparison_charts import flow_chart, forest_chart
from traintwice.report._comparison_page import _parts, cards_of_diff
from traintwice.tables._diff import diff_sheet, notes

NASTY = [
    "</script><script>alert(\"x\")</script> & 'co' {{ 7 * 7 }}",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "\u2028\u202e ünï 日本 \U0001f600",
    "x" * 5000,
    "\ud800 \x00 \x1b[31m",
]


@pytest.fixture(scope="module")
def page(made, parsed):
    return parsed(diff_page(made.diff_of()))


def specs_of(page, name):
    (content,) = [e["text"] for e in page.all("script") if e.get("id") == f"chart-{name}"]
    return json.loads(content)


def text_of(page):
    return " ".join(page.all("main")[0]["text"].split())


def test_answers_come_first_with_words_for_every_outcome(made, page):
    found = made.diff_of()
    text = text_of(page)
    order = ["1.71 % of rows went from right to wrong, 1.3 times the floor.", "Quality better", "Regressions more than retraining causes",
             "Disagreement within noise", "Slices 1 of 12 worse", "Operating point inconclusive",
             "Against the noise of retraining"]  # fmt: skip
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    cards = [e for e in page.all("li") if e.get("class", "").startswith("card")]
    assert [e["class"] for e in cards] == [f"card {a.concern}" for a in found.answers]


def test_cards_have_title_answer_mark_and_number(made, page):
    cards = cards_of_diff(made.diff_of())
    assert [(c.title, c.number, c.interval, c.mark) for c in cards] == [
        ("Quality", "+0.22 pp", "(0.15 to 0.29)", "✓"),
        ("Regressions", "1.71 %", "(1.3 to 2.1)", "✕"),
        ("Disagreement", "6.31 %", "(5.9 to 6.7)", "✓"),
        ("Slices", "", "", "✕"),
        ("Operating point", "3.00 %", "(2.6 to 3.4)", "?"),
    ]
    marks = [e["data-mark"] for e in page.all("strong") if "data-mark" in e]
    assert marks == [c.mark for c in cards]
    text = text_of(page)
    shown = [f"{c.title} {c.answer} {c.value}".strip() for c in cards]
    assert [text.index(part) for part in shown] == sorted(text.index(part) for part in shown)


def test_the_number_of_a_card_is_not_repeated_below_it():
    answer = Answer("disagreement", "within noise", "fine", "", "churn 6.31 % (5.9 to 6.7), 1.1 × floor of 5.9 % (1.0 to 1.2)")
    assert _parts(answer, "6.31 % (5.9 to 6.7)") == ("churn, 1.1 × floor of 5.9 % (1.0 to 1.2)",)
    several = Answer("quality", "better", "fine", "", "accuracy 1 % → 2 % (+1 pp, 0 to 2); log loss 3 → 2 (−1, −2 to 0)")
    assert _parts(several, "+1 pp (0 to 2)") == tuple(several.detail.split("; "))


def test_every_number_of_the_full_sheet_is_in_it(made, page):
    cells = {e["text"] for e in page.all("td", "th")}
    for table in diff_sheet(made.diff_of(), every=True).tables:
        if table.title == "Where predicted classes went":  # drawn
            continue
        assert {cell for row in table.strings() for cell in row} <= cells, table.title
        assert {row.name for row in table.rows} <= cells
    for note in notes(made.diff_of()):
        assert note in text_of(page)
    assert "Changed labels: 10 % among the 1 % least stable rows" in text_of(page)


def test_a_gate_shows_outcome_and_budgets_before_the_comparison(made, parsed):
    checks = (
        Check(Budget("churn", max=0.1), None, None, "fraction", made.estimate(0.0631), "kept", "fine"),
        Check(Budget("churn", max=0.1, by="country"), "country", "BR", "fraction", made.estimate(0.12), "over", "too much"),
    )
    found = made.diff_of()
    page = parsed(diff_page(found, gate=GateResult(checks, found)))
    text = text_of(page)
    order = ["Gate failed: 1 over (churn · country=BR), of 2 budgets.", "12.00 %", "6.31 %", "Answers", "Quality better"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert any(e.get("class") == "lead outcome problem" for e in page.all("p"))
    assert "Gate" not in text_of(parsed(diff_page(found)))


def data_of(page, name):
    """The data sets of a chart's wide form, shared with the narrow one or its own."""
    specs = specs_of(page, name)
    return {**specs["shared"], **specs["wide"]["datasets"]}


def test_every_chart_has_its_data_and_its_words(page):
    places = [e["data-chart"] for e in page.all("div") if "data-chart" in e]
    assert sorted(places) == ["confidence", "density", "flow", "periods", "predicted", "slices"]
    for name in places:
        specs = specs_of(page, name)
        assert set(specs) == {"wide", "narrow", "shared"}
        assert specs["wide"]["description"] in "".join(e["text"] for e in page.all("noscript"))


def test_charts_hold_the_numbers(made, page):
    joint = made.diff_of().joint
    cells = data_of(page, "density")["cells"]
    assert sum(c["rows"] for c in cells) == 5000
    assert sum(c["flips"] for c in cells) == sum(c[3] for c in joint.cells)
    assert round(cells[0]["old"], 6) == 0.1  # bin 3 of 30
    flow = data_of(page, "flow")["flow"]
    assert {c["rows"] for c in flow} == {20}
    assert len(flow) == 6


def test_segments_and_predicted_classes_have_axes_of_their_own(page):
    slices = data_of(page, "slices")["slices"]
    assert [s["slice"] for s in slices] == ["country=BR", "country=DE"]
    assert (round(slices[0]["churn"], 6), round(slices[0]["floor"], 6), slices[0]["kind"]) == (9.8, 5.9, "significant")
    assert slices[1]["kind"] == "not significant"
    assert [s["slice"] for s in data_of(page, "predicted")["slices"]] == ["class 'refund'"]


def test_periods_are_drawn_in_the_order_of_time(page):
    data = data_of(page, "periods")
    assert [p["period"] for p in data["periods_0"]] == ["2024-01", "2024-02", "2024-03"]
    assert [round(p["value"], 6) for p in data["periods_0"]] == [5.0, 6.0, 7.0]
    assert [(round(p["low"], 6), round(p["high"], 6)) for p in data["periods_0"]] == [(3.0, 7.0), (4.0, 8.0), (5.0, 9.0)]
    assert {round(p["value"], 6) for p in data["periods_1"]} == {0.1}  # change of accuracy, pp


@pytest.fixture(scope="module")
def tags(made, parsed):
    """The elements of a page with notes and warnings."""
    return [e["tag"] for e in parsed(diff_page(made.diff_of(infinite={"a": "b"}, warnings=("c",)))).elements]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nothing_in_it_is_what_a_file_says(made, parsed, page, tags, text):
    found = made.diff_of(files=(text, text), classes=(text, "b", "c"), group=text, values=(text, "b"), ids=(text, 7),
                         left_out={text: text}, infinite={text: text}, warnings=(text,))  # fmt: skip
    html = diff_page(found)
    nasty = parsed(html)
    html.encode("utf-8", "backslashreplace")
    assert [e["tag"] for e in nasty.elements] == tags
    scripts = [e["text"] for e in nasty.all("script") if "type" not in e]
    assert scripts == [e["text"] for e in page.all("script") if "type" not in e]
    assert "49" not in "".join(e["text"] for e in nasty.all("h1", "li"))
    for element in nasty.all("script"):
        if "type" in element:
            json.loads(element["text"])


def test_names_that_look_alike_in_a_chart_are_told_apart(made):
    long = [f"{'x' * 100}{i}" for i in range(3)]
    slices = forest_chart("slices", "slices", made.diff_of(values=long).slices, 0.06).wide["datasets"]["slices"]
    assert len({s["slice"] for s in slices}) == 3
    flow = flow_chart(made.diff_of(classes=tuple(long))).wide["datasets"]["flow"]
    assert len({(f["old"], f["new"]) for f in flow}) == 6


def test_many_classes_and_two_are_bars(made):
    many = flow_chart(made.diff_of(classes=tuple(f"c{i}" for i in range(20)))).wide
    assert len(many["datasets"]["flow"]) == 12
    two = flow_chart(made.diff_of(classes=("no", "yes"))).wide
    assert [f["flow"] for f in two["datasets"]["flow"]] == ["no → yes", "yes → no"]


def test_nothing_is_fetched_and_only_its_own_scripts_may_run(page):
    for element in page.elements:
        for attribute in ("src", "href", "srcset", "action", "poster", "data"):
            assert element.get(attribute, "#").startswith(("#", "data:")), element
    (policy,) = [e["content"] for e in page.all("meta") if e.get("http-equiv") == "Content-Security-Policy"]
    scripts = [e["text"] for e in page.all("script") if "type" not in e]
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    assert policy.startswith("default-src 'none';")
    assert f"script-src {allowed};" in policy


def test_structure_for_readers_who_do_not_see_it(page):
    levels = [int(e["tag"][1]) for e in page.all("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [e["id"] for e in page.elements if "id" in e]
    assert len(ids) == len(set(ids))
    targets = [e["href"][1:] for e in page.all("a")] + [e["aria-labelledby"] for e in page.elements if "aria-labelledby" in e]
    assert set(targets) <= set(ids)


@pytest.mark.parametrize(
    "changes",
    [
        {"floors": (), "slices": (), "regressed": (), "largest_changes": (), "no_rows": True, "joint": None},
        {"floors": (), "flow": None, "confidence": (), "quality": (), "bounds": {}, "reviews": (), "periods": ()},
        {"slices_left_out": 0, "decisions": (), "swap_sets": (), "left_out": {}, "predicted": (), "movement": None},
    ],
)
def test_what_is_not_there_has_no_place(made, parsed, changes):
    found = made.diff_of(**changes)
    page = parsed(diff_page(found))
    places = {e["data-chart"] for e in page.all("div") if "data-chart" in e}
    there = {"density": found.joint, "flow": found.flow, "slices": found.slices, "predicted": found.predicted,
             "periods": found.periods, "confidence": found.confidence}  # fmt: skip
    assert places == {name for name, part in there.items() if part}
    assert ("a17" in text_of(page)) == bool(found.regressed)
    assert ("left out of this report" in text_of(page)) == found.no_rows
    assert ("Against the noise of retraining" in text_of(page)) == bool(found.floors)


def test_it_has_a_dark_form_one_for_phones_and_one_for_paper(page):
    (style,) = [e["text"] for e in page.all("style")]
    assert "prefers-color-scheme: dark" in style
    assert "max-width: 47rem" in style
    assert "@media print" in style
    assert "url(" not in style
    assert "@import" not in style


def test_charts_come_before_tables_and_long_tables_are_folded(made, page):
    ids = [e["id"] for e in page.elements if "id" in e]
    order = ["main", "answers", "slices", "predicted", "periods", "density", "flow", "confidence", "rows", "numbers", "made"]
    assert [i for i in ids if i in order] == order
    summaries = [e["text"] for e in page.all("summary")]
    assert "Rows right → wrong (first 2 of 86)" in summaries
    assert "Between old and new" in summaries
    assert [e["id"] for e in page.all("a") if "id" in e] == []
    assert page.all("a")[0]["href"] == "#main"  # for a keyboard


def test_a_place_that_cannot_be_written(made, tmp_path):
    with pytest.raises(StoreError, match="the report cannot be written here"):
        write_diff(made.diff_of(), tmp_path / "none" / "diff.html")
    assert not list(tmp_path.iterdir())
    assert write_diff(made.diff_of(), tmp_path / "diff.html").stat().st_size > 10_000
    assert [p.name for p in tmp_path.iterdir()] == ["diff.html"]


@pytest.mark.parametrize("module", ["altair", "vl_convert"])
def test_a_missing_package_is_named_with_its_extra(made, without, module):
    without(module)
    with pytest.raises(MissingExtra, match=rf"the report needs {module}.*traintwice\[report\]"):
        diff_page(made.diff_of())


def test_a_report_of_files_loads_no_torch(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from traintwice.compare import diff\n"
        "from traintwice.report import write_diff\n"
        "write_diff(diff(np.array([0, 1, 1]), np.array([0, 1, 0])), 'd.html')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "d.html").is_file()
