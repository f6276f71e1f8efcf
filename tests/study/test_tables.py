from dataclasses import asdict, replace

import numpy as np
import pytest

from traintwice import metrics
from traintwice.compare import interval
from traintwice.engine import Execution
from traintwice.errors import Undefined
from traintwice.presets import ablation_digits
from traintwice.study import component_table, run, source_shares
from traintwice.study.tables import ratio


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
    """The preset, made small."""
    small = [
        "replicas=3",
        "epochs=12",
        "network.hidden=[8]",
        "data.train=64",
        "data.validation=20",
        "data.test=120",
        "batch_size=8",
    ]
    return run(ablation_digits().override(small), store=tmp_path_factory.mktemp("ablation") / "runs", execution=Execution(jobs=1))


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
    np.testing.assert_allclose(found.dropped, first.dropped / second.dropped)
    one = ratio(first, first)
    assert one.value == 1
    assert interval(one).standard_error == pytest.approx(0)
    still = metrics.churn.measure(np.zeros((5, 200), dtype=int))
    assert ratio(still, second).value == 0
    with pytest.raises(Undefined, match="the denominator has no churn"):
        ratio(first, still)
