import csv
import json

import pytest

from traintwice.errors import MissingExtra, StoreError
from traintwice.report import sentences, write
from traintwice.study import MATCHED, Experiment, verdict


def refuse(value):
    raise AssertionError(f"{value} is not JSON")


def test_files(trained, tmp_path):
    out = tmp_path / "deep" / "report"
    index = write(trained, out)
    assert index == out / "index.html"
    assert sorted(p.name for p in out.iterdir()) == ["experiment.toml", "index.html", "results.json", "table.csv", "table.md"]
    table = trained.table(matched=MATCHED)
    assert (out / "table.md").read_text() == table.to_markdown()
    assert (out / "table.csv").read_text() == table.to_csv()
    assert Experiment.read(out / "experiment.toml") == trained.experiment


def test_json_is_strict_and_complete(trained, tmp_path):
    write(trained, tmp_path)
    found = json.loads((tmp_path / "results.json").read_text(), parse_constant=refuse)
    assert found["schema"] == 1
    assert found["findings"] == sentences(verdict(trained), trained)
    with (tmp_path / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line, row in zip(lines, found["table"]["rows"], strict=True):
        assert line["name"] == row["name"]
        assert float(line["churn"]) == row["churn"]["value"]


def test_the_same_results_make_the_same_files(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, second = write(trained, tmp_path / "a"), write(trained, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_writes_over_an_older_report_and_leaves_other_files(trained, tmp_path):
    (tmp_path / "index.html").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    write(trained, tmp_path)
    assert (tmp_path / "index.html").read_text() != "old"
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("below", ["", "report"])
def test_a_place_that_cannot_be_written(trained, tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"the report cannot be written here \(.+\); choose another --report"):
        write(trained, tmp_path / "file" / below)


@pytest.mark.parametrize("module", ["altair", "vl_convert"])
def test_a_missing_package_is_named_with_its_extra(trained, tmp_path, without, module):
    without(module)
    with pytest.raises(MissingExtra, match=rf"needs {module}.*traintwice\[report\]"):
        write(trained, tmp_path / "out")
    assert not (tmp_path / "out").exists()
