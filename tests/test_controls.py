import inspect

import pytest

from traintwice import controls, specs
from traintwice.controls import CONTROLS, narrow_ensemble, wider
from traintwice.data import Digits
from traintwice.engine import train
from traintwice.errors import BadSpec
from traintwice.nets import MLP, Factory, LeNet5
from traintwice.recipes import Recipe

BASE = Recipe(network=MLP((12, 10)), epochs=4, batch_size=32)
ARGUMENTS = {"wider": (2.0, (64,), 10), "narrow_ensemble": (2, (64,), 10), "with_activation": ("smelu",)}
DATA = Digits(train=60, validation=20, test=20).load()


def made(name: str) -> Recipe:
    return CONTROLS[name](BASE, *ARGUMENTS.get(name, ()))


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_is_a_recipe_that_trains(name):
    recipe = made(name)
    assert recipe != BASE
    assert specs.decode(Recipe, specs.encode(recipe)) == recipe
    start = train(BASE, DATA, seed=0, replica=0).weights if recipe.start is not None else None
    assert train(recipe, DATA, seed=0, replica=0, start=start).steps > 0


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_says_what_it_is(name):
    assert inspect.getdoc(CONTROLS[name])


@pytest.mark.parametrize("times", [0.5, 2, 4])
def test_wider_costs_what_it_says(times):
    base = Recipe(network=MLP((128, 128)))
    assert wider(base, times, (64,), 10).cost(base, (64,), 10).train == pytest.approx(times, rel=0.02)
    assert narrow_ensemble(base, 4, (64,), 10).cost(base, (64,), 10).serve == pytest.approx(1, rel=0.02)


def test_costs_of_controls():
    free = ("linear_decay", "cosine_decay", "ema", "swa", "steady", "shared_initialisation", "warm_start", "with_activation")
    assert all(made(name).cost(BASE, (64,), 10).train == 1 for name in free)
    assert made("steady_with_peer").cost(BASE, (64,), 10).train == 2
    assert made("snapshot_ensemble").cost(BASE, (64,), 10).serve == 3
    assert made("twice_the_epochs").cost(BASE, (64,), 10).train == 2


def test_public_functions_are_all_listed():
    functions = [n for n, f in vars(controls).items() if inspect.isfunction(f) and f.__module__ == controls.__name__]
    assert {n for n in functions if not n.startswith("_")} == set(CONTROLS)


def test_controls_of_initialisation_and_activation_change_any_network_that_has_them():
    base = BASE.change(network=LeNet5("tanh", dropout=0.1))
    assert controls.small_initialisation(base, 0.5).network == LeNet5("tanh", 0.5, 0.1)
    assert controls.with_activation(base, "gelu").network == LeNet5("gelu", dropout=0.1)
    with pytest.raises(BadSpec, match=r"got the network Factory.*, expected one with a setting 'activation'"):
        controls.with_activation(BASE.change(network=Factory("a:b")), "gelu")
    with pytest.raises(BadSpec, match=r"got the network LeNet5.*, expected an MLP"):
        wider(base, 2.0, (8, 8), 10)


def test_steady_without_a_scale_says_so():
    base = BASE.change(network=Factory("torch.nn:Identity"))
    with pytest.warns(UserWarning, match="steady: Factory has no setting 'scale', so its initial weights are unchanged"):
        recipe = controls.steady(base)
    assert (recipe.network, recipe.averaging is not None) == (base.network, True)
