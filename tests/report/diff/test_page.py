import base64
import hashlib
import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from traintwice.errors import MissingExtra, StoreError
from traintwice.report import diff_page, joint_scores, write_diff
from traintwice.report.diff.charts import flow_chart, forest_chart
from traintwice.tables import diff_sheet

NASTY = [
    "</script><script>alert(\"x\")</script> & 'co' {{ 7 * 7 }}",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "\u2028\u202e ünï 日本 \U0001f600",
    "x" * 5000,
    "\ud800 \x00 \x1b[31m",
]


@pytest.fixture(scope="module")
def joint():
    rng = np.random.default_rng(0)
    old = rng.dirichlet(np.ones(3), 400)
    new = 0.7 * old + 0.3 * rng.dirichlet(np.ones(3), 400)
    return joint_scores(old, new)


@pytest.fixture(scope="module")
def page(made, parsed, joint):
    return parsed(diff_page(made.diff_of(), joint))


def specs_of(page, name):
    (content,) = [e["text"] for e in page.all("script") if e.get("id") == f"chart-{name}"]
    return json.loads(content)


def test_the_numbers_and_sentences_of_the_sheet_stand_in_it(made, page):
    sheet = diff_sheet(made.diff_of(), every=True)
    cells = [e["text"] for e in page.all("td", "th")]
    for line in sheet.lines:
        assert {line.name, line.value, line.said} <= set(cells)
    text = page.all("main")[0]["text"]
    assert "6.31 % of the rows get another label" in text
    for said in (*sheet.notes, *[words for _, words in sheet.paragraphs]):
        assert said in text
    assert "the first 10 % (500 rows) hold 61 % of all changed labels." in " ".join(text.split())


def data_of(page, name):
    """The data sets of a chart's wide form, shared with the narrow one or its own."""
    specs = specs_of(page, name)
    return {**specs["shared"], **specs["wide"]["datasets"]}


def test_every_chart_has_its_data_and_its_words(page):
    places = [e["data-chart"] for e in page.all("div") if "data-chart" in e]
    assert places == ["density", "flow", "forest", "confidence"]
    for name in places:
        specs = specs_of(page, name)
        assert set(specs) == {"wide", "narrow", "shared"}
        assert specs["wide"]["description"] in "".join(e["text"] for e in page.all("noscript"))


def test_charts_hold_the_numbers(made, page, joint):
    cells = data_of(page, "density")["cells"]
    assert sum(c["rows"] for c in cells) == 400
    assert sum(c["flips"] for c in cells) == sum(c[3] for c in joint.cells)
    slices = data_of(page, "forest")["slices"]
    assert (slices[0]["slice"], round(slices[0]["churn"], 6), slices[0]["stands"]) == ("country=BR", 9.8, "more than its noise")
    assert round(slices[2]["floor"], 6) == 5.9
    flow = data_of(page, "flow")["flow"]
    assert {c["rows"] for c in flow} == {20}
    assert len(flow) == 6


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nothing_in_it_is_what_a_file_says(made, parsed, page, joint, text):
    found = made.diff_of(files=(text, text), classes=(text, "b", "c"), group=text, values=(text, "b"), ids=(text, 7),
                         left_out={text: text}, infinite={text: text})  # fmt: skip
    html = diff_page(found, joint)
    nasty = parsed(html)
    html.encode("utf-8", "backslashreplace")
    assert [e["tag"] for e in nasty.elements] == [
        e["tag"] for e in parsed(diff_page(made.diff_of(infinite={"a": "b"}), joint)).elements
    ]
    scripts = [e["text"] for e in nasty.all("script") if "type" not in e]
    assert scripts == [e["text"] for e in page.all("script") if "type" not in e]
    assert "49" not in "".join(e["text"] for e in nasty.all("h1", "li"))
    for element in nasty.all("script"):
        if "type" in element:
            json.loads(element["text"])


def test_names_that_look_alike_in_a_chart_are_told_apart(made):
    long = [f"{'x' * 100}{i}" for i in range(3)]
    slices = forest_chart(made.diff_of(values=long)).wide["datasets"]["slices"]
    assert len({s["slice"] for s in slices}) == 4
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
        {"floor": None, "slices": (), "moved": (), "no_rows": True},
        {"floor": None, "flow": None, "confidence": (), "quality": (), "bounds": {}, "reviews": ()},
        {"slices_left_out": 0, "decisions": (), "swap_sets": (), "left_out": {}},
    ],
)
def test_what_is_not_there_has_no_place(made, parsed, changes):
    found = made.diff_of(**changes)
    page = parsed(diff_page(found))
    places = [e["data-chart"] for e in page.all("div") if "data-chart" in e]
    assert "density" not in places
    assert ("flow" in places) == (found.flow is not None)
    assert ("forest" in places) == bool(found.slices)
    assert ("a17" in page.all("main")[0]["text"]) == bool(found.moved)
    assert ("kept out of this report" in page.all("main")[0]["text"]) == found.no_rows


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
