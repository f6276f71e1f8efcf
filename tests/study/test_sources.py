import numpy as np
import pytest

from traintwice import metrics
from traintwice.compare import interval
from traintwice.engine import Execution
from traintwice.errors import Undefined
from traintwice.presets import ablation_digits
from traintwice.study import run, source_shares
from traintwice.study.tables import ratio


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


def test_all_fixed_is_one_model_and_said_so(ablation):
    assert ablation["all fixed"].distinct == 1
    assert "all fixed: every source of randomness is fixed, and the replicas are one model." in ablation.notes()
    assert ablation.measure(metrics.churn, "all fixed").value == 0
    for row in ablation.rows:
        if row != "all fixed":
            assert ablation[row].distinct == 3
    assert not [note for note in ablation.notes() if "does nothing" in note]


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
