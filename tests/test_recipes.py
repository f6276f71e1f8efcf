import pytest

from traintwice.errors import BadSpec
from traintwice.methods import anti_distillation, co_distillation, ensemble, entropy_regulariser
from traintwice.nets import MLP
from traintwice.recipes import Cost, Recipe
from traintwice.schedules import LinearDecay, Ramp

BASE = Recipe(network=MLP((128, 128)))


@pytest.mark.parametrize(
    ("recipe", "train", "serve"),
    [
        (BASE, 1, 1),
        (BASE.change(method=entropy_regulariser()), 1, 1),
        (BASE.change(method=ensemble(2)), 2, 2),
        (BASE.change(method=anti_distillation(3)), 3, 3),
        (BASE.change(method=co_distillation()), 2, 1),
        (BASE.change(epochs=50), 2, 1),
        (BASE.change(lr_schedule=LinearDecay()), 1, 1),
    ],
)
def test_cost_is_computed(recipe, train, serve):
    assert recipe.cost(BASE, (64,), 10) == Cost(train, serve)


def test_cost_counts_the_network():
    wide = BASE.change(network=MLP((256, 256)))
    expected = (64 * 256 + 256 * 256 + 256 * 10) / (64 * 128 + 128 * 128 + 128 * 10)
    assert wide.cost(BASE, (64,), 10) == Cost(expected, expected)


def test_steps():
    assert BASE.steps_per_epoch(797) == 13
    assert BASE.steps_per_epoch(64) == 1
    resolved = BASE.change(lr_schedule=LinearDecay(), method=co_distillation(ramp_epochs=5)).resolve(797)
    assert resolved.lr_schedule == LinearDecay(steps=13 * 25)
    assert resolved.method.terms[1].weight == Ramp(1.0, steps=65)


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"batch_size": 0}])
def test_ranges(settings):
    with pytest.raises(BadSpec, match="got 0, expected at least 1"):
        Recipe(**settings)
