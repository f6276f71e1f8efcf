"""Studies of methods on real data."""

import pytest

from traintwice.components import Sample
from traintwice.data import Digits
from traintwice.nets import MLP
from traintwice.study import Experiment, run
from traintwice_reproduction.studies import STUDIES
from traintwice_reproduction.studies.choices import CHOICES
from traintwice_reproduction.studies.evidence import BENCHMARKS, EVIDENCE, Benchmark, evidence, part, summary


@pytest.mark.parametrize("name", EVIDENCE)
def test_a_study_can_be_written_and_read(name):
    made = STUDIES[f"evidence.{name}"]()
    assert Experiment.from_dict(made.to_dict()) == made
    assert all(("data" in recipe.free()) == name.endswith("draws") for recipe in made.rows.values())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_draws_and_seeds_have_the_same_rows_and_lengths(name):
    seeds, draws = evidence(name), evidence(name, draws=True)
    assert list(draws.rows) == [*seeds.rows, "bagging of 2, well regularised", "twin-bootstrap, well regularised"]
    for row, recipe in seeds.rows.items():
        drawn = draws.rows[row]
        assert drawn.change(sample=None, teacher=recipe.teacher, start=recipe.start) == recipe
        earlier = drawn.teacher
        assert earlier is None or earlier.recipe.sample == drawn.sample
    assert set(CHOICES[f"evidence-{name}"]().experiment.rows) > {"baseline", "rate 0.001"}


def test_the_summary_of_a_study(tmp_path, monkeypatch):
    data = Digits(train=200, validation=100, test=100)
    small = Benchmark(data, data, Sample(0.5, replace=False), MLP((16,)), 2, 32, 1e-2, 1e-2, 0.1, replicas=3)
    monkeypatch.setitem(BENCHMARKS, "small", small)
    study = evidence("small", draws=True)
    few = part(study, ("decay + EMA", "logged distillation, well regularised"), None)
    assert few == Experiment(study.name, data, {row: study.rows[row] for row in few.rows}, replicas=3)
    assert part(study, (), 5).rows == study.rows
    assert part(study, (), 5).replicas == 5
    found = summary(run(few, store=tmp_path), "2026-11-27")
    first, logged = found["rows"].values()
    assert first["free"] == ["data", "initialisation", "order"]
    assert logged["train"] == 1.0
    value, low, high, p = logged["churn - decay + EMA"]
    assert low < value < high
    assert 0 <= p <= 1
    assert value == pytest.approx(logged["churn"][0] - first["churn"][0], abs=1e-4)
