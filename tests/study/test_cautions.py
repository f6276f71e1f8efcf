from traintwice.data import Digits
from traintwice.methods import anti_distillation, ensemble_distillation, symmetric_kl_regulariser
from traintwice.recipes import Earlier, Recipe
from traintwice.study import Experiment, cautions

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
