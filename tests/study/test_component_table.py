from dataclasses import asdict, replace

import pytest

from traintwice.engine import Execution
from traintwice.study import component_table, run


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
