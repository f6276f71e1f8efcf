"""Trained studies in a bank."""

import pytest

from traintwice import measure
from traintwice.bank import bank_study
from traintwice.errors import BadInput
from traintwice.metrics import accuracy, churn, log_loss
from traintwice.study import add_to_bank, run


def test_a_study_in_a_bank_measures_as_it_did(small, tmp_path, monkeypatch):
    results = run(small, store=tmp_path / "runs")
    bank = tmp_path / "bank"
    added = add_to_bank(results, bank, command="traintwice run small")
    monkeypatch.setenv("TRAINTWICE_BANK", str(bank))
    assert bank_study("small").manifest == added.manifest
    about = added.manifest
    assert (about["data"], about["network"], about["examples"], about["seed"]) == ("digits", "MLP 64-8-10", 40, 0)
    assert about["versions"][0]["torch"]
    assert about["processors"][0]
    assert about["data_digest"] == results.data.digest
    assert (added.recipe("ensemble").train, added.recipe("ensemble").serve) == (2.0, 2.0)
    assert added.recipe("ensemble").spec["method"]
    for row in results.rows:
        kept = measure(f"bank:small/{row}", which=[accuracy, churn, log_loss])
        for metric in (accuracy, churn):
            e = results.estimate(metric, row)
            assert kept[metric.__name__] == e
            assert added.recipe(row).measures[metric.__name__] == pytest.approx((e.value, e.low, e.high), rel=1e-5)
        assert kept["log_loss"].value == pytest.approx(results.estimate(log_loss, row).value, rel=1e-3)
    with pytest.raises(BadInput, match=r"small\.json exists; pass --replace"):
        add_to_bank(results, bank)
    assert add_to_bank(results, bank, name="other").manifest["digest"] == added.manifest["digest"]
