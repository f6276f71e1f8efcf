"""A quick form of benchmarks/coverage.py with a fixed seed; docs/concepts/coverage.md has the table."""

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice import metrics

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from simulated import estimates, launches  # noqa: E402
from simulated.cells import Cell, Target  # noqa: E402
from simulated.worlds import CLUSTERED, INDEPENDENT, RARE, RARE_CLUSTERED, SHARED, WORLDS, centre  # noqa: E402

# By its path: a package of the same name may be installed.
spec = importlib.util.spec_from_file_location("coverage_study", ROOT / "benchmarks" / "coverage.py")
study = importlib.util.module_from_spec(spec)
spec.loader.exec_module(study)

TRIALS = 80


def few(share: float, trials: int) -> float:
    """The share that chance exceeds once in 10,000 times, where the true one is as given."""
    return float(stats.binom.ppf(0.9999, trials, share) / trials)


@pytest.mark.parametrize("world", [INDEPENDENT, SHARED[1], RARE[1], CLUSTERED[1]], ids=lambda w: w.name)
def test_intervals_of_a_recipe_hold_the_truth(monkeypatch, world):
    monkeypatch.setattr(estimates, "MEASURES", (metrics.churn, metrics.accuracy))
    monkeypatch.setattr(type(world), "truth", truth)
    for cell in estimates.recipe(replace(world, rows=world.rows[:1]), TRIALS, 0, replicas=(5,)):
        assert 1 - cell.share <= few(0.07, TRIALS), cell
        assert cell.above <= few(0.04, TRIALS), cell


@pytest.mark.parametrize("world", [RARE[1], CLUSTERED[1], RARE_CLUSTERED], ids=lambda w: w.name)
def test_intervals_of_two_models_hold_the_truth_and_are_not_all_that_is_possible(monkeypatch, world):
    monkeypatch.setattr(estimates, "BETWEEN", (metrics.churn, metrics.negative_flips))
    monkeypatch.setattr(type(world), "truth", truth)
    for cell in estimates.two_models(replace(world, rows=world.rows[:1]), 20, 0):
        assert 1 - cell.share <= few(0.07, 20), cell


def test_intervals_that_rest_on_few_clusters_hold_the_truth(monkeypatch):
    monkeypatch.setattr(estimates, "BETWEEN", (metrics.surrogate_churn, metrics.win_loss_ratio))
    monkeypatch.setattr(type(RARE_CLUSTERED), "truth", truth)
    for cell in estimates.two_models(replace(RARE_CLUSTERED, rows=(2_000,)), 40, 0):
        assert 1 - cell.share <= few(0.07, cell.trials), cell


def test_equal_recipes_are_rarely_found_to_differ():
    for cell in estimates.difference(replace(SHARED[0], rows=(300,)), 15, 0):
        assert cell.share <= few(cell.target.high, 15), cell


def test_a_retrain_is_rarely_beyond_noise_and_the_gate_rarely_over():
    for cell in launches.noise_floor(replace(SHARED[0], rows=(300,)), 18, 0, retrains=(4,)):
        assert cell.share <= few(cell.target.high, cell.trials), cell


def test_with_retrains_of_both_recipes_verdicts_are_rarely_false():
    cells = list(launches.both_recipes(replace(SHARED[0], rows=(300,)), 8, 0))
    assert all(cell.share <= few(cell.target.high, cell.trials) for cell in cells), cells
    beyond = [c.share for c in cells if c.question == "churn beyond noise" and "2 × floor" in c.setting]
    assert min(beyond) > 0.5  # of launches that change twice as much as a retrain


def test_the_self_test_of_a_gate_reports_what_new_retrains_do():
    coverage, over = launches.gate_self_test(replace(INDEPENDENT, rows=(100,)), 4, 0, models=(5,))
    assert 1 - coverage.share <= few(0.07, 4)
    assert over.share <= few(0.025, 4)


def truth(world, which, factors=None, size=200_000):
    """As that of `World`, of fewer rows: its error is far below the width of an interval of few rows."""
    return original(world, which, factors, size)


original = type(INDEPENDENT).truth


@pytest.mark.parametrize("world", [INDEPENDENT, *SHARED, CLUSTERED[2]], ids=lambda w: w.name)
def test_worlds_have_the_churn_that_they_say(world):
    assert_allclose(truth(world, (metrics.churn,))["churn"], world.churn, rtol=0.03)


def test_flips_correlate_in_clusters_as_they_say():
    world, rng = CLUSTERED[1], np.random.default_rng(0)
    votes = world.draw(rng, np.zeros(2), 200_000)[0].votes
    flips = (votes[0] != votes[1]).reshape(-1, world.cluster).astype(float)
    between = flips.mean(axis=1).var(ddof=1) - flips.var(axis=1, ddof=1).mean() / world.cluster
    assert_allclose(between / (0.1 * 0.9), world.icc, atol=0.02)


def test_a_rarer_churn_needs_easier_rows():
    assert centre(0.001) > centre(0.002) > centre(0.1) > centre(0.1, 2.0) - 5


def test_a_cell_misses_its_target_only_by_more_than_chance():
    target = Target(0.93, 0.99, 0.04)
    shares = {"met": (0.95, 0.02), "low": (0.85, 0.02), "high": (1.0, 0.0), "above": (0.93, 0.065)}
    for verdict, (share, above) in shares.items():
        assert Cell("recipe", "w", "s", "q", 1000, share, 1 - share - above, above, target).verdict == verdict
    assert Cell("recipe", "w", "s", "q", 100, 0.92, 0.06, 0.02, target).verdict == "met"


def test_the_table_has_every_part_and_every_world_and_a_reason_for_what_falls_short():
    found = list(study.cells(2, 0, parts=["slices"]))
    found += [
        Cell(part, "w", "s", "promised 80 %", 500, 0.5, 0.5, 0.0, Target(0.9, 0.95, 0.04)) for part in ("recipe", "planning")
    ]
    text = study.markdown(study.sections(found, 0))
    assert all(f"**{w.name}**: {w.meaning}" in text for w in WORLDS)
    assert study.REASONS["recipe", "low"] in text
    assert f"### {study.PARTS['planning']}" in text
    assert "| 50.0 (50.0 / 0.0)" in text.replace("**", "")


def test_parts_are_written_one_by_one(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- coverage:begin -->\n<!-- coverage:end -->\nafter\n")
    target = Target(high=0.05)
    study.write(page, study.sections([Cell("slices", "w", "s", "q", 10, 0.0, target=target)], 0))
    study.write(page, study.sections([Cell("difference", "w", "s", "q", 10, 0.5, target=target)], 1))
    text = page.read_text()
    titles = re.findall("^### (.*)", text, re.MULTILINE)
    assert titles == [study.PARTS["difference"], study.PARTS["slices"], "Worlds"]
    assert "with seed 0" in text
    assert "with seed 1" in text
    study.write(page, study.sections([Cell("slices", "w", "s", "q", 10, 0.0, target=target)], 0))
    assert page.read_text() == text
    assert (text[:7], text[-6:]) == ("before\n", "after\n")


def test_the_page_has_the_table():
    text = (ROOT / "docs" / "concepts" / "coverage.md").read_text()
    table = re.search(r"<!-- coverage:begin -->\n(.*?)<!-- coverage:end -->", text, re.DOTALL)[1]
    assert all(f"### {title}" in table for title in study.PARTS.values())
    for world in WORLDS:
        assert f"- **{world.name}**: {world.meaning}" in table
