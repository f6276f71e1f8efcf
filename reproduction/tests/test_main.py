"""``python -m traintwice_reproduction``: pages from kept results, and what is kept."""

import json
import re
import sys

import pytest

from traintwice_reproduction import __main__ as command
from traintwice_reproduction import kept
from traintwice_reproduction.pages import choices, clicks, findings, methods, speed, tables
from traintwice_reproduction.studies import rivals

PLACES = [(clicks, "PAGE"), (speed, "PAGE"), (tables, "PAGE"), (findings, "PAGE"), (kept, "README")]


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command line; returns exit status and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["traintwice_reproduction", *arguments])
        with pytest.raises(SystemExit) as end:
            command.main()
        return end.value.code, capsys.readouterr().err

    return run


def test_one_command_makes_every_page(call, tmp_path, monkeypatch):
    pages = [*methods.PAGES, *[getattr(module, name) for module, name in PLACES]]
    for page in pages:
        emptied = re.sub(r"(<!-- (\w+):.*? -->\n?)[^<]*(<!-- /\2 -->)", r"\1\3", page.read_text())
        (tmp_path / page.name).write_text(emptied)
    monkeypatch.setattr(methods, "PAGES", tuple(tmp_path / page.name for page in methods.PAGES))
    for module, name in PLACES:
        monkeypatch.setattr(module, name, tmp_path / getattr(module, name).name)
    assert call("pages") == (0, "")
    for page in pages:
        assert (tmp_path / page.name).read_text() == page.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("findings", "claims.ad-digit"), "no study of claims named 'claims.ad-digit'. Did you mean 'claims.ad-digits'"),
        (("findings", "digits"), "no study of claims named 'digits'"),
        (("tables", "ad.table9"), "no table or figure named 'ad.table9'"),
    ],
)
def test_an_unknown_name_is_refused_before_training(call, arguments, message):
    status, err = call(*arguments, "--store", "/nowhere")
    assert status == 2
    assert message in err


def test_the_same_numbers_keep_their_date(tmp_path):
    file = tmp_path / "kept.json"
    kept.keep(file, {"date": "2026-01-01", "churn": 0.1})
    kept.keep(file, {"date": "2026-02-02", "churn": 0.1})
    assert json.loads(file.read_text())["date"] == "2026-01-01"
    kept.keep(file, {"date": "2026-02-02", "churn": 0.2})
    assert json.loads(file.read_text())["date"] == "2026-02-02"


@pytest.mark.parametrize("stage", ["lenet", "flights"])
def test_settings_are_chosen_on_other_replicas(stage):
    study, reported = choices.study_to_choose(stage), rivals("lenet")
    assert study.seed != reported.seed
    assert len(study.rows) > 7
