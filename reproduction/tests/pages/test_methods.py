"""The kept results of the cards and of "which method" are of the present study, and the prose agrees with them."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from traintwice.data import Digits
from traintwice.engine import train
from traintwice.engine._choosing import processor_name
from traintwice.study import Experiment
from traintwice_reproduction.kept import ROOT
from traintwice_reproduction.pages import methods as pages
from traintwice_reproduction.site.marks import filled
from traintwice_reproduction.studies import methods_digits

STUDY = json.loads(pages.RESULTS.read_text())
PAGES = [*sorted((ROOT / "docs" / "methods").glob("*.md")), ROOT / "docs" / "guides" / "which-method.md"]
TEXT = "\n".join(page.read_text() for page in PAGES[:-1])


def test_results_are_of_the_study_as_it_is_now():
    """New rows may wait for the next refresh; the rows that have results are unchanged."""
    now = methods_digits()
    kept = replace(now, rows={name: recipe for name, recipe in now.rows.items() if name in STUDY["rows"]})
    assert Experiment.from_dict(STUDY["experiment"]) == kept, "the study changed: python -m traintwice_reproduction refresh"
    assert list(STUDY["rows"]) == list(kept.rows)


def test_rows_without_results_have_no_numbers_yet():
    assert pages.seen(STUDY, "new") == "\nNo numbers yet: new.\n"
    assert pages.seen(STUDY, "new", "ensemble of 2") == pages.seen(STUDY, "ensemble of 2") + "\nNo numbers yet: new.\n"
    assert pages.components(STUDY, "new") == "\nNo numbers yet: new.\n"


def test_results_name_no_machine():
    text = pages.RESULTS.read_text()
    for secret in (processor_name(), processor_name().partition(" (")[0], "processor", str(ROOT), "/home", "/tmp"):  # noqa: S108
        assert secret not in text


def test_results_agree_with_themselves():
    for row, found in STUDY["rows"].items():
        of_replicas = STUDY["accuracy_of_replicas"][row]
        assert len(of_replicas) == STUDY["experiment"]["replicas"]
        assert np.mean(of_replicas) == pytest.approx(found["accuracy"][0], abs=2e-6)
    baseline = STUDY["rows"]["baseline"]
    for row, against in STUDY["against_baseline"].items():
        for measure in pages.SHOWN:
            difference, low, high = against[measure]["difference"]
            assert low <= difference <= high
            assert difference == pytest.approx(STUDY["rows"][row][measure][0] - baseline[measure][0], abs=3e-6)
            assert against[measure]["significant"] == (against[measure]["p_holm"] <= 0.05)


def test_a_row_trained_again_is_what_was_stored():
    """Another processor may round otherwise and flip a few labels; two replicas differ in some thirty."""
    data, recipe = Digits().load(), methods_digits().rows["baseline"]
    for replica, votes in enumerate(STUDY["votes"]["baseline"]):
        stored = np.array(list(votes), dtype=int)
        again = train(recipe, data, seed=0, replica=replica).outputs["test"][0].argmax(-1)
        assert (again == stored).mean() >= 0.99
        accuracy = (again == data.test.labels).mean()
        assert accuracy == pytest.approx(STUDY["accuracy_of_replicas"]["baseline"][replica], abs=0.005)
    one, other = STUDY["votes"]["baseline"]
    assert np.mean([a == b for a, b in zip(one, other, strict=True)]) < 0.985


@pytest.mark.parametrize("row", STUDY["rows"])
def test_every_row_of_the_study_is_on_a_card(row):
    shown = [row.strip() for mark in re.findall(r"{{ seen: (.*?) }}", TEXT) for row in mark.split(";")]
    assert row == "baseline" or row in shown


LOWER = [
    ("accuracy", row)
    for row in ("linear decay", "cosine decay", "step decay", "symmetric KL", "SmeLU", "SiLU", "small initialisation")
]
HIGHER = [("churn", row) for row in ("symmetric KL", "SmeLU", "SiLU")] + [("accuracy", "twice the epochs")]
SHARPENED = ("entropy", "entropy, top 3", "symmetric KL", "symmetric KL, capped", "symmetric KL, capped, top 3")
NOT_LOWER = [("churn", row) for row in (*SHARPENED, "SmeLU", "GELU", "SiLU")]


def direction_of(against, measure):
    return against[measure]["significant"] * (1 if against[measure]["difference"][0] > 0 else -1)


def test_what_the_prose_calls_significant_is():
    """Sentences outside the marked parts that lean on results, each with what it leans on."""
    against = STUDY["against_baseline"]
    assert all(direction_of(against[row], measure) == -1 for measure, row in LOWER)
    assert all(direction_of(against[row], measure) == 1 for measure, row in HIGHER)
    assert all(direction_of(against[row], measure) != -1 for measure, row in NOT_LOWER)


def test_what_the_prose_says_of_anti_distillation_against_the_plain_ensemble():
    pairs, threes = (STUDY["against_equal_cost"][f"ensemble of {j}"] for j in (2, 3))
    forms = [against[row] for against in (pairs, threes) for row in against if row.startswith("anti-distillation")]
    assert len(forms) == sum(row.startswith("anti-distillation") for row in STUDY["rows"])
    assert not any(form["churn"]["significant"] for form in forms)
    _, low, high = pairs["anti-distillation, probabilities"]["churn"]["difference"]
    assert -0.001 < low < high < 0.001


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in ("steady", "which-method")], ids=lambda page: page.name)
def test_what_is_said_of_clicks_is_of_the_kept_rivals(page):
    """No sentence says that a control was not tried on clicks where `rivals-flights` has it."""
    text = filled(page.read_text())
    kept = json.loads((pages.KEPT / "findings" / "rivals-flights.json").read_text())
    assert "not tried on clicks" not in text
    assert {"steady, last weights", "rate decay"} <= set(kept["rows"])
    value, low, high = (100 * v for v in kept["claims"]["steady, last weights | plain | churn"]["difference"])
    assert f"**−{-value:.2f} pp (−{-low:.2f} to −{-high:.2f})**" in text


def test_how_the_settings_of_steady_were_chosen_is_said_for_every_network(tmp_path, monkeypatch):
    assert "How the settings were chosen" in TEXT
    assert all(f"{stage}: " in pages.chosen(STUDY, f"steady-{stage}") for stage in ("digits", "mnist-5k", "fashion", "lenet"))
    record = {"chosen": {"rate": 0.005, "weight decay": 1.0}}
    monkeypatch.setattr(pages, "record_of", lambda name: record if name == "steady-digits" else None)
    assert pages.chosen(STUDY, "steady-digits", "steady-lenet") == "digits: rate 0.005, weight decay 1; lenet: not run yet"
