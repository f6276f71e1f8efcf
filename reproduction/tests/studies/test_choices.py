"""Settings of the studies are chosen on other replicas and the validation split, and the choice is kept."""

import pytest

from traintwice.study import run
from traintwice_reproduction.studies import choices, chosen, claims_ad
from traintwice_reproduction.studies.choices import AD_GRID, CHOICES, row_of


@pytest.mark.parametrize("name", CHOICES)
def test_candidates_share_no_replica_with_the_reported_study(name):
    choice = CHOICES[name]()
    assert choice.experiment.seed != choice.reported.seed
    assert choice.experiment.replicas >= 5
    assert len(choice.experiment.rows) > 7


def test_rivals_of_anti_distillation_are_chosen_from_as_many_weights():
    grid = CHOICES["ad-digits"]().grid
    assert {setting: tuple(of) for setting, of in grid.items()} == dict(AD_GRID)
    assert min(AD_GRID["probabilities"]) >= 5  # weights that do something
    assert {5e-6, 5e-4} <= set(AD_GRID["inverse"])


def test_the_kept_choice_is_of_the_grid_and_is_used(tmp_path, monkeypatch):
    choice = CHOICES["ad-digits"]()
    few = {"inverse": {w: r.change(epochs=1) for w, r in choice.grid["inverse"].items()}}
    small = choices.Choice(choice.reported, choice.baseline.change(epochs=1), few, choice.rule)
    results = run(small.experiment, store=tmp_path / "runs")
    record = choices.summary(small, results, "2026-01-01")
    value = record["chosen"]["inverse"]
    by_churn = {w: record["rows"][row_of("inverse", w)] for w in few["inverse"]}
    floor = record["rows"]["baseline"]["accuracy"] - 0.01
    good = [w for w, of in by_churn.items() if of["accuracy"] >= floor]
    assert value == min(good, key=lambda w: by_churn[w]["churn"])
    assert record["processors"]
    monkeypatch.setattr(chosen, "FOLDER", tmp_path)
    assert "0.05" in repr(claims_ad("digits").rows["AD, chosen λ"].method)
    (tmp_path / "ad-digits.json").write_text('{"chosen": {"second moment": 0.07, "inverse": 3e-7}}')
    assert "0.07" in repr(claims_ad("digits").rows["AD, chosen λ"].method)
    assert "3e-07" in repr(claims_ad("digits").rows["AD, difference (inverse), chosen λ"].method)
