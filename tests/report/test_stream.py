"""The parts of a report that only a study on a stream has."""

import json

from traintwice import report


def test_page_and_json_have_the_tables(streamed, parsed, tmp_path):
    index = report.write(streamed, tmp_path)
    page = parsed(index.read_text())
    (section,) = [e for e in page.all("section") if e.get("aria-labelledby") == "stream"]
    titles = {e["id"]: e["text"] for e in page.all("summary") if "id" in e}
    tables = [titles[table["aria-labelledby"]] for table in page.all("table")[:3]]
    assert tables == ["Relative differences, by method", "By time", "By third"]
    assert "covariance" in section["text"]
    stored = json.loads((tmp_path / "results.json").read_text())
    assert len(stored["stream"]["drift"]) == 80
    text = (tmp_path / "stream.md").read_text()
    assert all(f"**{title}**" in text for title in ("Relative differences, by method", "By time", "By third"))


def test_other_pages_have_no_such_section(trained, parsed, tmp_path):
    page = parsed(report.write(trained, tmp_path).read_text())
    assert not (tmp_path / "stream.md").exists()
    assert not [e for e in page.all("section") if e.get("aria-labelledby") == "stream"]
