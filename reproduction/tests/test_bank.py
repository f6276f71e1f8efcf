"""The bank: its files agree with each other, and the printed table is measured from the rows."""

import numpy as np
import pytest

from traintwice import measure
from traintwice.errors import UnknownName
from traintwice_reproduction import bank


@pytest.mark.parametrize("name", bank.names())
def test_measures_of_the_manifest_are_those_of_the_rows(name):
    about, of = bank.manifest(name), bank.predictions(name)
    assert set(of) == set(about["rows"]) == set(about["measures"])
    for row, replicas in of.items():
        assert (replicas.replicas, replicas.examples) == (about["replicas"], about["examples"])
        found = measure(replicas, which=["accuracy", "churn"])
        for measured in found:
            e = found[measured]
            np.testing.assert_allclose([e.value, e.low, e.high], about["measures"][row][measured], rtol=1e-4)


def test_the_table_names_every_recipe_and_its_cost():
    text = bank.table("ad-mnist", "ensemble of 2")
    assert "| EMA | 1x | 1x |" in text
    assert "| ensemble of 2 | 2x | 2x |" in text
    assert "one NVIDIA H200" in text


def test_unknown_names():
    with pytest.raises(UnknownName, match="ad-mnist"):
        bank.manifest("ad-mnits")
    with pytest.raises(UnknownName, match="ensemble of 2"):
        bank.table("ad-mnist", "ensemble of 3")
