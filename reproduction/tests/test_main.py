"""``python -m traintwice_reproduction``: unknown names, and what is kept."""

import json
import sys

import pytest

from traintwice_reproduction import __main__ as command
from traintwice_reproduction import kept


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command line; returns exit status and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["traintwice_reproduction", *arguments])
        with pytest.raises(SystemExit) as end:
            command.main()
        return end.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("findings", "claims.ad-digit"), "no study of claims named 'claims.ad-digit'. Did you mean 'claims.ad-digits'"),
        (("findings", "digits"), "no study of claims named 'digits'"),
        (("choices", "ad-digit"), "no choice named 'ad-digit'. Did you mean 'ad-digits'"),
        (("evidence", "fashion", "--row", "stedy"), "no row of evidence.fashion named 'stedy'. Did you mean 'steady'"),
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
