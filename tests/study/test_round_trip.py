"""An experiment is the same after a trip through its file, whatever its rows take from the base or leave out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from traintwice.averaging import EMA, SWA
from traintwice.components import OwnBatches
from traintwice.data import Digits
from traintwice.methods import anti_distillation, baseline, co_distillation, ensemble, ensemble_distillation
from traintwice.nets import MLP
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import LinearDecay, Ramp, StepDecay
from traintwice.study import Experiment

PLAIN = st.builds(
    Recipe,
    network=st.sampled_from([MLP((4,)), MLP((4, 3), "gelu", scale=0.5)]),
    method=st.sampled_from([baseline(), ensemble(2), co_distillation(ramp_epochs=2), co_distillation(Ramp(1.0, steps=4))]),
    optimizer=st.sampled_from([SGD(0.1), SGD(0.1, 0.9, True), AdaGrad(), Adam(decoupled=True)]),
    lr_schedule=st.sampled_from([None, LinearDecay(), LinearDecay(steps=5), StepDecay(epochs=(1.0, 2.0))]),
    epochs=st.sampled_from([1, 2, 3, 6]),
    averaging=st.sampled_from([None, EMA(), EMA(0.9), SWA()]),
    clip_norm=st.sampled_from([None, 1.0]),
    fixed=st.sampled_from([(), ("order",)]),
)
RECIPES = st.one_of(
    PLAIN,
    PLAIN.map(lambda r: r.change(start=Earlier(r.change(epochs=2), "first"))),
    PLAIN.map(lambda r: r.change(method=ensemble_distillation(), teacher=Earlier(r.change(method=ensemble(2))))),
    PLAIN.map(lambda r: r.change(method=anti_distillation(2), own_batches=OwnBatches(0.5))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(RECIPES, min_size=1, max_size=3))
def test_the_file_says_all(recipes):
    experiment = Experiment("a", Digits(), {f"row {i}": r for i, r in enumerate(recipes)})
    assert Experiment.from_dict(experiment.to_dict()) == experiment


def test_a_row_without_what_the_base_has():
    base = Recipe(lr_schedule=LinearDecay())
    experiment = Experiment("a", Digits(), {"decayed": base, "constant": base.change(lr_schedule=None)})
    assert experiment.to_dict()["rows"]["constant"] == {"lr_schedule": "none"}
    assert experiment.override([]).rows["constant"].lr_schedule is None
