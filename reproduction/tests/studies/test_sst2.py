"""The study on SST-2, with a small encoder of random weights."""

import numpy as np
import pytest
import torch

from traintwice.bank import bank_study
from traintwice.errors import BadInput, UnknownName
from traintwice.metrics import churn

transformers = pytest.importorskip("transformers")

from traintwice.methods import baseline  # noqa: E402
from traintwice.replication import Run  # noqa: E402
from traintwice_reproduction.studies import sst2 as study  # noqa: E402
from traintwice_reproduction.studies import sst2_results  # noqa: E402

WORDS = ["good", "bad", "a", "film", "very", "not"]


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    folder = tmp_path / "encoder"
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config).save_pretrained(folder)
    rng = np.random.default_rng(0)
    data = tmp_path / "data" / "SST2"
    data.mkdir(parents=True)
    for name, count in (("train", 60), ("test", 20)):
        labels = rng.integers(2, size=count)
        lines = [f"{' '.join(rng.choice(WORDS[2:], 3))} {WORDS[1 - y]}\t{y}" for y in labels]
        (data / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path / "data"))
    study.split.cache_clear()
    yield str(folder)
    study.split.cache_clear()


def test_recipes_train_and_are_functions_of_the_run(encoder, tmp_path):
    small = {"encoder": encoder, "sentences": 40, "epochs": 1}
    run = Run("base", 0, folder=tmp_path / "runs" / "base" / "0")
    probs = study.fine_tune(run, **small)
    assert probs.shape == (20, 2)
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(study.fine_tune(run, **small), probs)
    assert not np.array_equal(study.fine_tune(Run("base", 1), **small), probs)
    for recipe in study.RECIPES.values():
        made = study.fine_tune(run, **{**recipe, **small, "epochs": 1})
        assert made.shape == (20, 2)
    assert (tmp_path / "runs" / "base" / study.TEACHER_FILE).exists()


def test_the_study_runs_and_continues(encoder, tmp_path, monkeypatch):
    recipes = ["decay-ema", "logged-distillation"]
    found = study.sst2(store=tmp_path / "runs", recipes=recipes, replicas=2, encoder=encoder, sentences=40, epochs=1, jobs=1)
    assert list(found.compare()) == ["logged-distillation"]
    monkeypatch.setattr(sst2_results, "BANK", tmp_path / "bank")
    monkeypatch.setenv("TRAINTWICE_BANK", str(tmp_path / "bank"))
    sst2_results.add_to_bank(found, "small", "python -m traintwice_reproduction sst2")
    kept = sst2_results.summary(found, "small", "2026-11-28")
    assert kept["train_examples"] == 40
    assert kept["test_examples"] == 20
    assert [row["train"] for row in kept["rows"].values()] == [1.0, 1.0]
    assert bank_study("small").manifest["command"] == "python -m traintwice_reproduction sst2"
    banked = bank_study("small").predictions("logged-distillation")
    assert kept["rows"]["logged-distillation"]["churn"][0] == pytest.approx(churn(banked.votes), abs=1e-5)
    difference = kept["rows"]["logged-distillation"]["churn - decay-ema"]
    values = [row["churn"][0] for row in kept["rows"].values()]
    assert difference[0] == pytest.approx(values[1] - values[0], abs=2e-5)


def test_costs_and_unknown_recipes():
    costs = {name: sst2_results.costs(name) for name in study.RECIPES}
    assert costs["twice-the-epochs"] == (2.0, 1.0)
    assert costs["co-distillation"] == (2.0, 1.0)
    assert costs["ensemble-of-2"] == (2.0, 2.0)
    with pytest.raises(UnknownName, match="'decay-emma'"):
        study.sst2(store="runs", recipes=["decay-emma"])


def test_it_learns(encoder):
    labels = study.split("test", 48, encoder).labels
    settings = {"encoder": encoder, "sentences": 60, "epochs": 40, "rate": 5e-3, "batch_size": 16, "average": False}
    probs = study.fine_tune(Run("base", 0), **settings)
    assert np.mean(probs.argmax(1) == labels) > 0.9


def test_a_strong_anchor_keeps_the_encoder(encoder):
    s = study.Settings(encoder=encoder, sentences=40, epochs=1, average=False, anchor=1e9)
    served = study._trained(Run("base", 0), s, baseline(), None)
    before = transformers.AutoModel.from_pretrained(encoder).state_dict()
    after = served.networks[0].encoder.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_missing_data_and_a_missing_encoder_are_said(encoder, monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path / "nowhere"))
    study.split.cache_clear()
    with pytest.raises(BadInput, match=r"train.tsv: no such file; put train.tsv and test.tsv there"):
        study.split("train", 48, encoder)
