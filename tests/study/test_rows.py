"""What is served of all components, against loops."""

import numpy as np
import pytest

from traintwice.data import Digits
from traintwice.errors import BadInput
from traintwice.methods import anti_distillation, ensemble_distillation, symmetric_kl_regulariser
from traintwice.recipes import Earlier, Recipe
from traintwice.study import Experiment, cautions
from traintwice.study._rows import served_probs

LOGITS = np.random.default_rng(0).normal(size=(3, 4, 5, 2))  # three replicas, two snapshots of two components


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


@pytest.mark.parametrize("keep", ["first", "mean-prob", "mean-logit", "gate"])
def test_every_way_of_keeping(keep):
    gate = np.random.default_rng(1).dirichlet(np.ones(4), size=(3, 5)).transpose(0, 2, 1)
    found = served_probs(LOGITS, keep, components=2, gate=gate)
    for m in range(3):
        for n in range(5):
            f = [softmax(LOGITS[m, j, n]) for j in range(4)]
            expected = {
                "first": (f[0] + f[2]) / 2,
                "mean-prob": sum(f) / 4,
                "mean-logit": softmax(LOGITS[m, :, n].mean(0)),
                "gate": sum(gate[m, j, n] * f[j] for j in range(4)),
            }[keep]
            np.testing.assert_allclose(found[m, n], expected, rtol=1e-12)


def test_a_gate_without_its_weights_is_no_mean():
    with pytest.raises(BadInput, match=r"expected its weights of shape \(3, 4, 5\), got none"):
        served_probs(LOGITS, "gate", components=2)
    with pytest.raises(BadInput, match=r"got an array of shape \(3, 2, 5\)"):
        served_probs(LOGITS, "gate", components=2, gate=np.ones((3, 2, 5)) / 2)


AD = Recipe(method=anti_distillation())


def test_each_sentence_once_with_all_its_rows():
    rows = {
        "baseline": Recipe(),
        "anti": AD,
        "anti, wide": AD.change(method=anti_distillation(3)),
        "fixed": AD.change(method=anti_distillation(center="class")),
        "student": Recipe(method=ensemble_distillation(), teacher=Earlier(AD)),
        "sharp": Recipe(method=symmetric_kl_regulariser()),
    }
    found = cautions(Experiment("mine", Digits(), rows), classes=10)
    gauge, scale, floor = found
    assert len({c.text for c in found}) == 3
    assert gauge.rows == ("anti", "anti, wide", "student")  # the student's teacher is anti-distilled
    assert scale.rows == ("anti", "anti, wide", "fixed", "student")
    assert floor.rows == ("sharp",)
    assert str(floor).startswith("sharp: SymmetricKLToUniform is unbounded below")
    said = {row: set(recipe.method.warnings(classes=10)) for row, recipe in rows.items() if row != "student"}
    assert said == {row: {c.text for c in found if row in c.rows} for row in said}


def test_nothing_to_say():
    assert cautions(Experiment("mine", Digits(), {"baseline": Recipe()})) == ()
