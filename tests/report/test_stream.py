"""What the report of a study on a stream has beside the others: a chart of the drift and its tables."""

import json

import vl_convert

from traintwice import report
from traintwice.report.charts import drift
from traintwice.study import progressive_findings


def test_the_chart_draws_and_names_every_recipe(streamed):
    figure = drift(progressive_findings(streamed))
    for spec in (figure.wide, figure.narrow):
        assert "anti-distilled" in vl_convert.vegalite_to_svg(json.loads(json.dumps(spec, allow_nan=False)))
    assert all(name in figure.alt for name in streamed.rows)
    points = [r for r in figure.wide["datasets"]["drift"] if "apart" in r]
    assert {r["recipe"] for r in points} == set(streamed.rows)
    marks = [r["begin"] for r in figure.wide["datasets"]["drift"] if "begin" in r]
    assert marks == [min(r["seen"] for r in points if r["counted"] == "reported")]


def test_page_and_json_have_the_tables(streamed, parsed, tmp_path):
    index = report.write(streamed, tmp_path)
    page = parsed(index.read_text())
    (section,) = [e for e in page.all("section") if e.get("aria-labelledby") == "stream"]
    assert [table["aria-label"] for table in page.all("table")[:3]] == ["Relative differences, by method", "By time", "By third"]
    assert "covariance" in section["text"]
    stored = json.loads((tmp_path / "results.json").read_text())
    assert len(stored["stream"]["drift"]) == 80
    tables = (tmp_path / "stream.md").read_text()
    assert all(f"**{title}**" in tables for title in ("Relative differences, by method", "By time", "By third"))


def test_other_pages_have_no_such_section(trained, parsed, tmp_path):
    page = parsed(report.write(trained, tmp_path).read_text())
    assert not (tmp_path / "stream.md").exists()
    assert not [e for e in page.all("section") if e.get("aria-labelledby") == "stream"]
