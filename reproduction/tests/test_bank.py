"""The bank of this package: its files agree with each other, and are small enough for the repository."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

import traintwice_reproduction
from traintwice import measure
from traintwice.bank import BankStudy, bank_study
from traintwice_reproduction.kept import BANK, ROOT
from traintwice_reproduction.site import leaderboard

MOST_BYTES = 25_000_000
STUDIES = [BankStudy.read(path) for path in sorted(BANK.glob("*.json"))]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_measures_of_the_manifest_are_those_of_the_rows(study):
    for name, recipe in study.recipes.items():
        replicas = study.predictions(name)
        assert (replicas.replicas, replicas.examples) == (recipe.replicas, study.manifest["examples"])
        found = measure(replicas, which=["accuracy", "churn", "log_loss"])
        for measured in ("accuracy", "churn"):
            e = found[measured]
            np.testing.assert_allclose([e.value, e.low, e.high], recipe.measures[measured], rtol=1e-5)
        # the probabilities of ad-mnist were kept in steps of 1/8191, and that of the label is at least one step
        np.testing.assert_allclose(found["log_loss"].value, recipe.measures["log_loss"][0], rtol=0.02)


def test_the_bank_is_small_enough_and_offered_to_the_command_line(monkeypatch):
    files = list(BANK.iterdir())
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert {path.stem for path in files} == {study.name for study in STUDIES}
    declared = tomllib.loads((ROOT / "reproduction" / "pyproject.toml").read_text())["project"]["entry-points"]
    assert declared["traintwice.banks"] == {"reproduction": "traintwice_reproduction.kept:BANK"}
    assert BANK.is_relative_to(Path(traintwice_reproduction.__file__).parent)
    monkeypatch.setenv("TRAINTWICE_BANK", str(BANK))
    study = bank_study("ad-mnist")
    assert measure("bank:ad-mnist/one-network", which=["churn"])["churn"].value == pytest.approx(
        study.recipe("one network").measures["churn"][0], rel=1e-5
    )


def test_the_leaderboard_has_every_recipe_of_the_bank():
    page = leaderboard.page()
    for study in STUDIES:
        for recipe in study.recipes.values():
            value = 100 * recipe.measures["churn"][0]
            cost = f"| {recipe.train:.3g} | {recipe.serve:.3g} |"
            assert any(
                line.startswith(f"| bank:{study.name} |") and f"| {recipe.name} {cost}" in line and f"| {value:.2f} (" in line
                for line in page.splitlines()
            )
