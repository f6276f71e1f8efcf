from dataclasses import asdict, replace
from itertools import combinations

import numpy as np
import pytest

from traintwice import metrics
from traintwice.augmentation import Shift
from traintwice.compare import interval
from traintwice.data import Digits
from traintwice.engine import Execution
from traintwice.errors import Undefined
from traintwice.nets import MLP
from traintwice.optimizers import AdaGrad
from traintwice.predictions import Predictions
from traintwice.recipes import Recipe
from traintwice.study import Experiment, component_table, run, source_shares, verdict
from traintwice.study._findings import ratio

LABELS = np.random.default_rng(1).integers(0, 10, 1000)


@pytest.fixture(scope="module")
def results(small, tmp_path_factory):
    return run(small, store=tmp_path_factory.mktemp("runs") / "runs", execution=Execution(jobs=1))


def test_a_line_for_each_row_of_several_components(results):
    table = component_table(results)
    (row,) = table.rows
    assert row.name == "ensemble"
    found = asdict(results.diagnostics("ensemble"))
    assert row.cells == {key: found[key] for key in row.cells}
    assert {c.key for c in table.columns} == set(row.cells) == set(found) - {"components"}
    v, c, mean = (row.cells[k] for k in ("variance_within", "covariance_between", "variance_of_mean"))
    assert mean == pytest.approx((v + c) / 2)


def test_none_where_every_row_has_one_component(results, small):
    single = type(results)(small, results.data, {"baseline": results["baseline"]})
    assert component_table(single) is None


def test_logits_that_are_all_zero_have_no_numbers(results, small):
    flat = replace(results["ensemble"], logits={k: 0 * z for k, z in results["ensemble"].logits.items()})
    table = component_table(type(results)(small, results.data, {**results.rows, "ensemble": flat}))
    assert table.strings() == [["–"] * len(table.columns)]


@pytest.fixture(scope="module")
def ablation(tmp_path_factory):
    """Every combination of three sources, fixed or free, and emulated hardware with all of them fixed."""
    base = Recipe(network=MLP((8,)), optimizer=AdaGrad(lr=0.02), epochs=12, batch_size=8, augmentation=Shift())
    sources = ("initialisation", "order", "augmentation")
    rows = {"all free": base}
    rows |= {f"{s} fixed": base.change(fixed=(s,)) for s in sources}
    rows |= {f"only {next(s for s in sources if s not in two)} free": base.change(fixed=two) for two in combinations(sources, 2)}
    rows |= {"all fixed": base.change(fixed=sources), "hardware emulated": base.change(fixed=sources, hardware="emulated")}
    experiment = Experiment("ablation", Digits(train=64, validation=20, test=120), rows, replicas=3)
    return run(experiment, store=tmp_path_factory.mktemp("ablation") / "runs", execution=Execution(jobs=1))


def test_all_fixed_is_one_model_and_said_so(ablation):
    assert ablation["all fixed"].distinct == 1
    assert "all fixed: every source of randomness is fixed, and the replicas are one model." in ablation.notes()
    assert ablation.measure(metrics.churn, "all fixed").value == 0
    for row in ablation.rows:
        if row != "all fixed":
            assert ablation[row].distinct == 3
    assert not [note for note in ablation.notes() if "has no effect" in note]


def test_the_cells_are_a_factorial(ablation):
    frees = [frozenset(r.recipe.free()) for r in ablation.rows.values()]
    assert len(set(frees)) == 9
    assert sum("hardware" in free for free in frees) == 1


def test_shares_are_quotients(ablation):
    table = source_shares(ablation)
    cells = {row.name: row.cells for row in table.rows}
    assert list(cells) == ["initialisation", "order", "augmentation", "hardware"]
    churn = {row: ablation.measure(metrics.churn, row).value for row in ablation.rows}
    assert cells["order"]["only_free"].value == pytest.approx(churn["only order free"] / churn["all free"])
    assert cells["order"]["only_fixed"].value == pytest.approx(churn["order fixed"] / churn["all free"])
    assert cells["hardware"]["only_free"].value == pytest.approx(churn["hardware emulated"] / churn["all free"])
    assert cells["hardware"]["only_fixed"] is None


def test_a_study_without_sources_has_no_shares(small, tmp_path):
    assert source_shares(run(small, store=tmp_path / "runs", execution=Execution(jobs=1))) is None


def test_ratios_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    first, second = (metrics.churn.measure(rng.integers(0, 3, size=(5, 200))) for _ in range(2))
    found = ratio(first, second)
    np.testing.assert_allclose(found.jackknife_values, first.jackknife_values / second.jackknife_values)
    one = ratio(first, first)
    assert one.value == 1
    assert interval(one).standard_error == pytest.approx(0)
    still = metrics.churn.measure(np.zeros((5, 200), dtype=int))
    assert ratio(still, second).value == 0
    with pytest.raises(Undefined, match="the churn of the denominator is 0"):
        ratio(first, still)


def made(results, flips):
    """Rows of 20 replicas: each replica changes a share of the labels at random, and all get the first ones wrong."""
    rng = np.random.default_rng(0)
    rows = {}
    for name, (share, wrong) in flips.items():
        votes = np.repeat(LABELS[None], 20, axis=0)
        votes[:, :wrong] = (votes[:, :wrong] + 1) % 10
        flipped = rng.random(votes.shape) < share
        votes = np.where(flipped, (votes + 1) % 10, votes)
        test = Predictions(np.eye(10)[votes], LABELS)
        rows[name] = replace(results["baseline"], name=name, numbers=tuple(range(20)), test=test)
    return type(results)(results.experiment, results.data, rows)


def test_rows_are_sorted_by_what_is_significant(results):
    found = verdict(
        made(results, {"baseline": (0.1, 0), "calm": (0.02, 0), "wrong": (0.02, 300), "wild": (0.3, 0), "same": (0.1, 0)})
    )
    names = {field: [f.row for f in getattr(found, field)] for field in ("lower", "lower_at_a_price", "higher")}
    assert names == {"lower": ["calm"], "lower_at_a_price": ["wrong"], "higher": ["wild"]}
    assert found.comparisons == 4


def test_differences_are_those_of_the_comparison(results):
    study = made(results, {"baseline": (0.1, 0), "calm": (0.02, 0)})
    (finding,) = verdict(study, level=0.9).lower
    assert finding.churn == study.compare(metrics.churn, level=0.9)["calm"]
    assert finding.accuracy == study.compare(metrics.accuracy, level=0.9)["calm"]
    assert finding.lowers_churn
    assert not finding.loses_accuracy
