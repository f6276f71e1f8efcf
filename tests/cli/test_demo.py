"""`traintwice demo diff`, and the sample of flights that it trains on."""

import numpy as np
import pytest

import traintwice as package
from traintwice.data._packaged import EVERY, _flights, flights_sample


def test_the_sample_has_every_fortieth_flight():
    columns, vocabularies = _flights()
    sample = flights_sample()
    places = np.arange(0, len(columns["label"]), EVERY)
    np.testing.assert_array_equal(sample["flight"], places)
    np.testing.assert_array_equal(sample["late"], columns["label"][places])
    np.testing.assert_array_equal(sample["origin"], np.array(vocabularies["origin"])[columns["origin"][places]])
    np.testing.assert_allclose(sample["temp"], columns["temp"][places], rtol=1e-6)


def test_files_comparison_page_and_the_command_to_repeat(traintwice, tmp_path):
    status, out, _ = traintwice("demo", "diff")
    assert status == 0
    (command,) = [line.strip() for line in out.splitlines() if line.startswith("  traintwice diff ")]
    found = package.diff("traintwice-demo/old.csv", "traintwice-demo/new.csv", floor="traintwice-demo/again*.csv", by="origin")
    assert found.alignment.rows == 2740
    assert found["churn"].value > found.floor.floor > 0
    assert found.quality[0].old.value > 0.77  # better than the share of flights in time
    assert found.headline.split(" → ")[0].split("(")[0][:20] in " ".join(out.split())
    assert (tmp_path / "traintwice-demo" / "report.html").read_text().startswith("<!doctype html>")
    before = (tmp_path / "traintwice-demo" / "old.csv").read_bytes()
    assert command.endswith("--by origin --report traintwice-demo/report.html")
    (tmp_path / "traintwice-demo" / "report.html").unlink()
    assert traintwice("demo", "--no-page")[0] == 0  # a demo replaces its own files with the same
    assert (tmp_path / "traintwice-demo" / "old.csv").read_bytes() == before
    assert not (tmp_path / "traintwice-demo" / "report.html").exists()


def test_a_directory_with_other_files_is_refused(traintwice, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    status, _, err = traintwice("demo", "diff", "--out", "mine")
    assert status == 2
    assert "mine: has files that no demo wrote (first: thesis.tex); choose another --out" in err
    (tmp_path / "file").write_text("")
    assert "is not a directory" in traintwice("demo", "diff", "--out", "file")[2]
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("word", ["gate", "dif"])
def test_there_is_one_demo(traintwice, word):
    assert traintwice("demo", word)[0] == 2
