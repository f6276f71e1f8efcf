"""Comparisons that the papers report in their text."""

from dataclasses import replace

from traintwice.data import MNIST5k
from traintwice.losses import Agreement, Decorrelation, PeerCrossEntropy
from traintwice.schedules import Jump, Ramp
from traintwice_reproduction.tables import ARTEFACTS, reproduce


def test_each_choice_of_the_co_distillation_is_changed_alone():
    for scale in ("small", "paper"):
        part = ARTEFACTS["churn.text"].parts(scale)[0]
        rows = part.rows({})
        coupling = {row: recipe.method.terms[-1] for row, recipe in rows.items() if row.startswith("Co-distill")}
        skl = coupling["Co-distill SKL"]
        assert rows["Co-distill SKL, fixed initialisation"] == rows["Co-distill SKL"].change(fixed=("initialisation",))
        assert rows["Baseline, fixed initialisation"] == rows["Baseline"].change(fixed=("initialisation",))
        assert (coupling["Co-distill SKL, step"].loss, type(coupling["Co-distill SKL, step"].weight)) == (skl.loss, Jump)
        assert coupling["Co-distill L1"] == replace(skl, loss=Agreement("l1"))
        independent, anil = coupling["Co-distill CE, independent updates, linear ramp"], coupling["Co-distill CE"]
        assert independent == replace(skl, loss=PeerCrossEntropy(anil.loss.lag_steps))
        assert (type(skl.weight), type(anil.weight)) == (Ramp, Jump)
        assert part.printed["Co-distill SKL, fixed initialisation"]["churn"] == "4.24 ± 0.07"


def test_forms_of_anti_distillation():
    for scale in ("small", "paper"):
        part = ARTEFACTS["ad.text"].parts(scale)[0]
        losses = {row: recipe.method.terms[-1].loss for row, recipe in part.rows({}).items() if row != "none"}
        assert losses.pop("0.05") == Decorrelation()
        kinds = {row.partition(",")[0]: loss for row, loss in losses.items()}
        assert kinds == {"covariance": Decorrelation("covariance"), "probabilities": Decorrelation(signal="probabilities")}
        assert "probabilities, λ = 100" in losses  # a weight that does something


def test_the_tables_are_made(tmp_path):
    (part,) = [p for p in ARTEFACTS["ad.text"].parts("small") if p.name == "mnist-5k"]
    data = MNIST5k(train=200, validation=20, test=60)
    few = replace(part, data=data, rows=lambda c: {n: r.change(epochs=1) for n, r in list(part.rows(c).items())[:3]})
    done = reproduce(replace(ARTEFACTS["ad.text"], parts=lambda scale: (few,)), replicas=2, store=tmp_path)
    (table,) = done.tables
    assert [row[0] for row in table.rows] == ["none", "0.05", "covariance, λ = 0.02"]
    assert table.rows[1][3].paper == ".0037"
