"""Anyone's own network: named by its import path, seeded from the replica's stream."""

import os
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from traintwice import nets, specs
from traintwice.averaging import EMA
from traintwice.data import Digits
from traintwice.engine import Execution, choose, train
from traintwice.errors import BadSpec, UnknownName
from traintwice.methods import ensemble
from traintwice.nets import Dropout, Factory, enter_dropout
from traintwice.randomness import stream
from traintwice.recipes import Recipe
from traintwice.study import Experiment, Store, run
from traintwice.study._export import export

SOURCE = '''
"""Somebody's networks."""
from torch import nn

def convolutional(shape, classes, width=4):
    rows = int(shape[0] ** 0.5)
    layers = [nn.Unflatten(1, (1, rows, rows)), nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(width * (rows - 2) ** 2, classes))
'''


class Odd(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes))

    def forward(self, x):
        return x.flatten(1).sum(1, keepdim=True) * self.weight


class FrozenNorm(nn.Module):
    """Batch normalisation that stays in evaluation mode, as of a pretrained network."""

    def __init__(self, width, classes):
        super().__init__()
        self.norm, self.last = nn.BatchNorm1d(width), nn.Linear(width, classes)
        self.norm.running_mean.fill_(0.3)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.last(self.norm(x))


@pytest.fixture
def mine(monkeypatch):
    """A module of a user's."""
    module = ModuleType("mine")
    module.plain = lambda shape, classes, width=3: nn.Sequential(
        nn.Flatten(), nn.Linear(shape[0], width), nn.ReLU(), nn.Linear(width, classes)
    )
    module.odd = lambda shape, classes: Odd(classes)
    module.dropping = lambda shape, classes: nn.Sequential(nn.Dropout(0.5), nn.Linear(shape[0], classes))
    module.ours = lambda shape, classes: nn.Sequential(Dropout(0.5), nn.Linear(shape[0], classes))
    module.wide = lambda shape, classes: nn.Linear(shape[0], classes + 1)
    module.nothing = lambda shape, classes: None
    module.lazy = lambda shape, classes: nn.LazyLinear(classes)
    module.evaluated = lambda shape, classes: module.dropping(shape, classes).eval()
    module.frozen = lambda shape, classes: FrozenNorm(shape[0], classes)
    module.seeded = lambda shape, classes: nn.Sequential(torch.manual_seed(0) and nn.Flatten(), module.plain(shape, classes))
    monkeypatch.setitem(sys.modules, "mine", module)
    return module


def weights(factory, replica=0):
    network = factory.build((6,), 4, stream(0, "initialisation", replica=replica))
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_weights_come_from_the_stream_and_the_global_generator_is_put_back(mine):
    factory = Factory("mine:plain", {"width": 5})
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = weights(factory)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert torch.equal(first, weights(factory))
    assert not torch.equal(first, weights(factory, replica=1))


def test_settings_reach_the_function_and_work_is_counted(mine):
    assert Factory("mine:plain", {"width": 5}).multiply_adds((6,), 4) == 6 * 5 + 5 * 4
    assert Factory("mine:plain").multiply_adds((6,), 4) == 6 * 3 + 3 * 4
    assert Factory("mine:plain", known_multiply_adds=7).multiply_adds((6,), 4) == 7
    with pytest.raises(BadSpec, match="mine:odd: has no linear layer or convolution to count; give known_multiply_adds"):
        Factory("mine:odd").multiply_adds((6,), 4)
    assert Factory("mine:plain").describe((6,), 4) == "plain"


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        ("mine:missing", r"'mine:missing' cannot be imported .* on PYTHONPATH"),
        ("nowhere_at_all:f", r"cannot be imported \(No module named 'nowhere_at_all'\)"),
        ("mine:nothing", "made NoneType, expected a torch.nn.Module"),
        ("mine:lazy", "has lazy layers, expected layers with all sizes"),
        ("mine:wide", r"returned \(2, 5\) for two examples, expected logits \(2, 4\)"),
    ],
)
def test_what_cannot_be_used_is_refused(mine, maker, message):
    with pytest.raises(BadSpec, match=message):
        weights(Factory(maker))


def test_dropout_of_pytorch_is_seeded_at_every_step(mine):
    """Masks depend on replica and step, not on the global generator, which is unchanged; evaluation draws nothing."""
    network = Factory("mine:dropping").build((6,), 4, stream(0, "initialisation"))
    x, before = torch.ones(8, 6), torch.get_rng_state()

    def pass_of(**address):
        enter_dropout(network, stream(0, "dropout", **address))
        return network(x)

    first = pass_of(replica=1, epoch=3)
    assert torch.equal(first, pass_of(replica=1, epoch=3))
    assert not torch.equal(first, pass_of(replica=1, epoch=4))
    assert not torch.equal(first, pass_of(replica=2, epoch=3))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(network.eval()(x), network(x))
    recipe, data = Recipe(network=Factory("mine:dropping"), epochs=1), Digits(train=40, validation=10, test=10).load()
    one, two = (train(recipe, data, seed=0, replica=0).outputs["test"] for _ in range(2))
    assert (one == two).all()
    assert choose(recipe, data, Execution(engine="auto")).engine == "loop"
    with pytest.raises(BadSpec, match="draws from PyTorch's global generator"):
        choose(recipe, data, Execution(engine="vectorised"))


def test_layers_are_in_the_mode_of_a_training_loop(mine):
    """A network that is made in evaluation mode, as of `from_pretrained`, trains; what its own `train` freezes stays frozen."""
    data = Digits(train=41, validation=10, test=10).load()
    recipe = Recipe(epochs=1, batch_size=8)
    made, evaluated = (
        train(recipe.change(network=Factory(f"mine:{name}")), data, seed=0, replica=0) for name in ("dropping", "evaluated")
    )
    assert (made.outputs["test"] == evaluated.outputs["test"]).all()
    for averaging in (None, EMA(0.5)):
        kept = train(recipe.change(network=Factory("mine:frozen"), averaging=averaging), data, seed=0, replica=0).weights
        assert (kept["0.norm.running_mean"] == np.float32(0.3)).all()
        assert (kept["0.norm.running_var"] == 1).all()


def test_a_seed_inside_the_function_makes_the_components_equal(mine):
    data, recipe = Digits(train=41, validation=10, test=10).load(), Recipe(Factory("mine:seeded"), ensemble(2), epochs=1)
    with pytest.raises(BadSpec, match=r"mine:seeded: made the same weights for components 0 and 1.*set no seed"):
        train(recipe, data, seed=0, replica=0)
    assert train(recipe.change(alike=("initialisation",)), data, seed=0, replica=0).steps == 1


def test_dropout_with_a_stream_is_taken(mine):
    assert len(weights(Factory("mine:ours"))) == 28


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"maker": "mine"}, r'expected "package.module:function"'),
        ({"maker": "__main__:f"}, "cannot import from __main__"),
        ({"maker": "a:b", "settings": {"x": {1, 2}}}, "not JSON serializable; expected numbers, strings"),
        ({"maker": "a:b", "settings": {"x": float("nan")}}, "Factory.settings: "),
        ({"maker": "a:b", "known_multiply_adds": 0}, "expected at least 1"),
    ],
)
def test_ranges(settings, message):
    with pytest.raises(BadSpec, match=message):
        Factory(**settings)


def test_as_plain_values():
    factory = Factory("mine.nets:f", {"blocks": (1, 2), "kind": {"a": True}}, 5)
    assert eval(repr(factory), vars(nets)) == factory  # noqa: S307
    recipe = Recipe(network=factory)
    assert specs.decode(Recipe, specs.encode(recipe)) == recipe
    assert hash(specs.decode(Recipe, specs.encode(recipe))) == hash(recipe)
    assert hash(factory) != hash(Factory("mine.nets:f", {"blocks": (1, 2), "kind": {"a": False}}, 5))
    with pytest.raises(BadSpec, match=r"recipe\.network\.settings: got 3, expected a table"):
        specs.decode(Recipe, {"network": {"type": "Factory", "maker": "a:b", "settings": 3}}, "recipe")
    with pytest.raises(UnknownName, match=r"at recipe\.network\.setting\)"):
        specs.decode(Recipe, {"network": {"type": "Factory", "maker": "a:b", "setting": {}}}, "recipe")


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # PyTorch's exporter uses what PyTorch deprecates
@pytest.mark.usefixtures("worker_processes")
def test_a_study_of_a_users_convolutions_from_toml_to_export(tmp_path, monkeypatch):
    """Through worker processes, with batch norm and averaged weights; every exported form predicts the same."""
    (tmp_path / "my_networks.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "study.toml").write_text(
        """
        name = "own"
        replicas = 2
        data = { type = "Digits", train = 64, validation = 20, test = 40 }
        [recipe]
        epochs = 1
        averaging = { type = "EMA" }
        network = { type = "Factory", maker = "my_networks:convolutional", settings = { width = 3 } }
        [rows.baseline]
        [rows.wider.network]
        settings = { width = 5 }
        """
    )
    experiment = Experiment.read(tmp_path / "study.toml")
    assert experiment.rows["wider"].network == Factory("my_networks:convolutional", {"width": 5})
    store = Store(tmp_path / "runs")
    results = run(experiment, store=store, save_weights=True, execution=Execution(jobs=1))
    assert not np.array_equal(*results["baseline"].logits["test"][:, 0])
    written = export(results, store, "wider", 1, tmp_path / "out")
    assert sorted(written) == ["onnx", "pt2", "safetensors"]
