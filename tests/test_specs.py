import pytest

from traintwice import losses, specs
from traintwice.errors import BadSpec, UnknownName
from traintwice.methods import Method, anti_distillation
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.recipes import Recipe
from traintwice.schedules import LinearDecay, Ramp


def test_round_trip_of_a_full_recipe():
    recipe = Recipe(MLP((3,)), anti_distillation(3, Ramp(0.1, steps=7)), SGD(0.1, 0.9), LinearDecay(), 3, 8)
    assert specs.decode(Recipe, specs.encode(recipe)) == recipe


def test_digest_does_not_depend_on_the_order_of_keys_and_sees_every_value():
    plain = specs.encode(Recipe())
    assert specs.digest(plain) == specs.digest(dict(reversed(plain.items())))
    assert specs.digest(plain) != specs.digest({**plain, "epochs": 26})


def test_builders_by_name():
    assert specs.decode(Method, "ensemble", "method").components == 2
    wanted = anti_distillation(3, Ramp(0.1, epochs=2.0), matrix="covariance")
    given = {
        "builder": "anti_distillation",
        "components": 3,
        "weight": {"type": "Ramp", "to": 0.1, "epochs": 2},
        "matrix": "covariance",
    }
    assert specs.decode(Method, given, "method") == wanted


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ({"epoch": 3}, UnknownName, r"no setting of Recipe named 'epoch'. Did you mean 'epochs'\? \(at recipe.epoch\)"),
        ({"epochs": 2.5}, BadSpec, "recipe.epochs: got 2.5, expected a whole number"),
        ({"epochs": True}, BadSpec, "recipe.epochs: got True, expected a whole number"),
        ({"epochs": 0}, BadSpec, "recipe: Recipe.epochs: got 0, expected at least 1"),
        ({"optimizer": {"type": "SGD", "lr": "fast"}}, BadSpec, "recipe.optimizer.lr: got 'fast', expected a number"),
        (
            {"optimizer": {"type": "SGD", "lr": -1}},
            BadSpec,
            "recipe.optimizer: SGD.lr: got -1.0, expected a number greater than 0",
        ),
        ({"optimizer": {"type": "sgd"}}, UnknownName, r"no optimizer named 'sgd'.*recipe.optimizer.type"),
        (
            {"optimizer": "SGD"},
            BadSpec,
            "recipe.optimizer: got 'SGD', expected a table with a type, one of AdaGrad, Adam, ParameterGroups, SGD",
        ),
        (
            {"network": {"type": "MLP", "hidden": [3, "x"]}},
            BadSpec,
            r"recipe.network.hidden\[1\]: got 'x', expected a whole number",
        ),
        ({"network": {"type": "MLP", "hidden": 3}}, BadSpec, "recipe.network.hidden: got 3, expected a list"),
        (
            {"network": {"type": "MLP", "activation": "swish"}},
            BadSpec,
            "recipe.network.activation: got 'swish', expected one of 'relu'",
        ),
        ({"method": {"terms": [{"weight": 1}]}}, BadSpec, r"recipe.method.terms\[0\].loss: missing; Term needs it"),
        ({"method": {"terms": []}}, BadSpec, "recipe.method: Method.terms: got none"),
        ({"method": "ensembel"}, UnknownName, r"no method named 'ensembel'. Did you mean 'ensemble'\?"),
        (
            {"method": {"builder": "ensemble", "component": 3}},
            UnknownName,
            r"Did you mean 'components'\? \(at recipe.method.component\)",
        ),
        (
            {"method": {"builder": "co_distillation", "components": 1}},
            BadSpec,
            "recipe.method: co_distillation: got components=1",
        ),
        ({"method": 3}, BadSpec, "recipe.method: got 3, expected a table"),
        (3, BadSpec, "recipe: got 3, expected a table of the settings of Recipe"),
    ],
)
def test_every_mistake_names_its_path(value, kind, message):
    with pytest.raises(kind, match=message):
        specs.decode(Recipe, value, "recipe")


def test_members_of_families_have_distinct_names():
    for members in specs.FAMILIES.values():
        assert all(name == cls.__name__ for name, cls in members.items())
    assert set(specs.FAMILIES[losses.Loss].values()) == set(losses.ALL)
