from pathlib import Path

import numpy as np
import pytest
import torch

from traintwice import measure
from traintwice.bank import bank_study
from traintwice.errors import BadInput, StoreError, UnknownName
from traintwice.metrics import accuracy, churn, log_loss
from traintwice.study import Store, add_to_bank, gather, run
from traintwice.study._export import export, model_of, predict


@pytest.fixture(scope="module")
def studied(small, tmp_path_factory):
    """A study with saved weights: what is kept is one network, a mean, a mean of logits, a gated mixture, snapshots; or shares its
    first layer."""
    rows = [
        'rows.logits.method={builder="ensemble", keep="mean-logit"}',
        'rows.gated.method={components=2, keep="gate", terms=[{loss={type="CrossEntropy"}}, {loss={type="GateCrossEntropy"}}]}',
        'rows.gates={method={builder="ensemble", keep="gate"}, averaging={type="Snapshots", count=2}}',
        'rows.mixed={method={builder="ensemble", keep="gate"}, averaging={type="EMA"}}',
        'rows.snapshots.averaging={type="Snapshots", count=2}',
        'rows.trunk={method="ensemble", network={type="SharedTrunk", trunk=[8]}}',
        'rows.student={method="ensemble_distillation", teacher={recipe={network={type="MLP", hidden=[8]}, method="ensemble", epochs=1}}}',
    ]
    experiment = small.override(["epochs=2", *rows])
    store = Store(tmp_path_factory.mktemp("studied") / "runs")
    return run(experiment, store=store, save_weights=True), store


@pytest.mark.parametrize("row", ["baseline", "ensemble", "logits", "gated", "gates", "mixed", "snapshots", "trunk", "student"])
def test_the_deployed_model_predicts_what_was_measured(studied, row):
    results, store = studied
    probs = predict(model_of(results, store, row, 1), torch.from_numpy(results.data.test.inputs))
    np.testing.assert_allclose(probs, results[row].test.probs[1], atol=1e-6)


@pytest.mark.parametrize("row", ["gated", "trunk"])
def test_every_format_predicts_the_same(studied, tmp_path, row):
    results, store = studied
    written = export(results, store, row, 0, tmp_path / "out")
    assert sorted(written) == ["onnx", "pt2", "safetensors"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{row}-0000.{name}" for name in sorted(written)]


def test_earlier_models_are_trained_first_and_stored_with_weights(studied):
    results, store = studied
    teacher = results["student"].recipe.teacher.recipe
    from traintwice.specs import key_of

    key = key_of(teacher, results.data.digest, results.experiment.seed)
    assert store.replicas(key) == [0, 1, 2]
    assert "1.2.weight" in store.load_weights(key, 0)


def test_weights_that_were_not_saved(small, tmp_path):
    store = Store(tmp_path / "runs")
    results = run(small, store=store)
    before = results["ensemble"].logits["test"].tobytes()
    with pytest.raises(StoreError, match="was stored without its weights; run again with --save-weights"):
        model_of(results, store, "ensemble", 0)
    again = run(small, store=store, save_weights=True)
    assert again["ensemble"].logits["test"].tobytes() == before
    assert model_of(gather(small, store, again.data), store, "ensemble", 0)


def test_mistakes(studied, tmp_path):
    results, store = studied
    with pytest.raises(UnknownName, match="Did you mean 'baseline'"):
        export(results, store, "base-line", 0, tmp_path)
    with pytest.raises(BadInput, match="replica: got 9, baseline has 0, 1, 2"):
        export(results, store, "baseline", 9, tmp_path)
    with pytest.raises(BadInput, match="format: got 'pb', expected one of safetensors, pt2, onnx"):
        export(results, store, "baseline", 0, tmp_path, ("pb",))
    with pytest.raises(StoreError, match="/proc/out: cannot be written"):
        export(results, store, "baseline", 0, Path("/proc/out"), ("safetensors",))


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
