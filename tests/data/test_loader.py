"""Mini-batches of the user's own making: what the engine sees is what the loader gives."""

import json
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch

from traintwice.augmentation import Shift
from traintwice.averaging import EMA
from traintwice.components import OwnBatches
from traintwice.data import Loader, Source
from traintwice.engine import Execution, train
from traintwice.errors import BadInput, BadSpec
from traintwice.methods import co_distillation, ensemble, ensemble_distillation
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.recipes import Earlier, Recipe
from traintwice.specs import decode, encode
from traintwice.study import Experiment, run

MODULE = """
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, IterableDataset, TensorDataset

    RNG = np.random.default_rng(0)
    X = torch.from_numpy(RNG.normal(size=(70, 5)).astype("float32"))
    Y = torch.from_numpy((RNG.normal(size=70) + X[:, 0].numpy() > 0).astype("int64"))


    def shuffled(split, *, seed, replica, epoch, batch_size=10):
        if split != "train":
            rows = slice(40, 50) if split == "validation" else slice(50, 70)
            return DataLoader(TensorDataset(X[rows], Y[rows]), batch_size=7)
        order = torch.Generator().manual_seed(1000 * seed + 10 * replica + epoch)
        return DataLoader(TensorDataset(X[:40], Y[:40]), batch_size=batch_size, shuffle=True, generator=order)


    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(X[:40], Y[:40]))


    def streamed(split, *, seed, replica, epoch):
        return DataLoader(Stream(), batch_size=10)


    def wrong(split, *, seed, replica, epoch, kind):
        x, y = np.zeros((4, 5)), np.array([0, 1, 0, 1])
        if kind == "few" and split == "train":
            return [(x, y)]
        return {"single": [x], "floats": [(x, y / 2)], "labels": [(x, y + 1)], "none": [], "few": [(x, y)],
                "nothing": None, "text": [(x.astype(str), y)], "widths": [(x, y), (x[:, :2], y)], "truth": [(x, y > 0)],
                "whole": [(x, y.astype(float))],
                "shape": [(x if split != "train" else x[:, :2], y)] * 9}[kind]
"""


@pytest.fixture(autouse=True)
def _on_the_path(tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "my_loaders.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path / "lib")


SOURCE = Loader("my_loaders:shuffled", 2, 40)
RECIPE = Recipe(network=MLP((6,)), optimizer=SGD(0.1), epochs=3, batch_size=10)


def test_training_is_that_of_a_plain_loop_over_the_loader():
    from my_loaders import X, Y, shuffled

    data = SOURCE.load()
    trained = train(RECIPE, data, seed=4, replica=2, execution=Execution("loop", precision="float64"))
    network = RECIPE.network.build((5,), 2, stream_of_initialisation(seed=4, replica=2)).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for epoch in range(3):
        for x, y in shuffled("train", seed=4, replica=2, epoch=epoch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x.double()), y).backward()
            optimizer.step()
    np.testing.assert_allclose(trained.outputs["test"][0], network(X[50:].double()).detach().numpy(), rtol=1e-5)
    np.testing.assert_array_equal(data.test.labels, Y[50:])
    assert (trained.steps, len(data.validation), data.shape) == (12, 10, (5,))


def stream_of_initialisation(*, seed, replica):
    from traintwice.randomness import stream

    return stream(seed, "initialisation", replica=replica)


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE.change(method=co_distillation()),
        RECIPE.change(network=MLP((6,), batch_norm=True), averaging=EMA(0.9)),
        RECIPE.change(method=ensemble(2), sharpness=0.05),
    ],
)
def test_methods_see_the_batches_too(recipe):
    first, second = (train(recipe, SOURCE.load(), seed=0, replica=0).outputs["test"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


def test_a_teacher_is_asked_about_each_batch():
    recipe = RECIPE.change(method=ensemble_distillation(), teacher=Earlier(RECIPE))
    weights = train(RECIPE, SOURCE.load(), seed=0, replica=0).weights
    assert train(recipe, SOURCE.load(), seed=0, replica=0, teacher=weights).steps == 12


def test_order_may_be_fixed_and_streams_need_none():
    data = SOURCE.load()
    fixed = RECIPE.change(fixed=("initialisation", "order"))
    outputs = [train(fixed, data, seed=0, replica=m).outputs["test"] for m in range(2)]
    np.testing.assert_array_equal(*outputs)
    free = RECIPE.change(fixed=("initialisation",))
    assert not np.array_equal(*[train(free, data, seed=0, replica=m).outputs["test"] for m in range(2)])
    assert train(RECIPE, Loader("my_loaders:streamed", 2, 40).load(), seed=0, replica=0).steps == 12


def test_a_study_says_that_its_data_are_random_themselves(tmp_path):
    rows = {"baseline": RECIPE, "twice": RECIPE.change(epochs=6)}
    results = run(Experiment("mine", SOURCE, rows, replicas=2), store=tmp_path / "store", execution=Execution(jobs=1))
    assert results["baseline"].test.probs.shape == (2, 20, 2)
    records = [json.loads(path.read_text()) for path in (tmp_path / "store").rglob("*.json")]
    said = [record["data"]["own_randomness"] for record in records if "numerics" in record]
    assert len(said) == 4
    assert all("need not end in the same bits" in text for text in said)


def test_settings():
    source = replace(SOURCE, settings={"batch_size": 20})
    assert decode(Source, encode(source)) == source
    assert hash(decode(Source, encode(source))) == hash(source)
    assert source.load().digest != SOURCE.load().digest == SOURCE.load().digest
    with pytest.raises(BadInput, match=r"returned 2 mini-batches in epoch 0, expected 4 \(40 examples"):
        train(RECIPE, source.load(), seed=0, replica=0)
    with pytest.raises(BadSpec, match=r"a single example \(3\) cannot be read"):
        source.load().train.rows(np.array([3]))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("single", r"returned ndarray, expected pairs"),
        ("floats", r"labels of float64 and shape \(4,\), expected inputs \(B, …\) with labels \(B,\), whole numbers from 0 to 1"),
        ("labels", r"returned labels from 1 to 2, expected 0 to 1"),
        ("none", r"returned no batches for 'validation'"),
        ("few", r"returned 1 mini-batches in epoch 0, expected 4"),
        ("nothing", r"returned a NoneType, expected an iterable of pairs"),
        ("text", r"returned inputs of <U32, expected numbers"),
        ("widths", r"returned inputs of shape \(5,\), then \(2,\) for 'validation'"),
        ("shape", r"training inputs of shape \(2,\), expected \(5,\) as for test"),
    ],
)
def test_batches_of_another_form(kind, said):
    with pytest.raises(BadInput, match=said):
        train(RECIPE, Loader("my_loaders:wrong", 2, 40, {"kind": kind}).load(), seed=0, replica=0)


@pytest.mark.parametrize("kind", ["truth", "whole"])
def test_labels_of_another_type(kind):
    labels = Loader("my_loaders:wrong", 2, 40, {"kind": kind}).load().test.labels
    assert (labels.dtype, labels.tolist()) == (np.int64, [0, 1, 0, 1])


def test_a_function_that_cannot_be_called_so():
    with pytest.raises(
        BadSpec, match=r"cannot be called with \(<str>, seed=, replica=, epoch=\) and the settings \(size\): .*'size'"
    ):
        replace(SOURCE, settings={"size": 3}).load()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"maker": "my_loaders"}, r'Loader\.maker: got .*expected "package'),
        ({"maker": "__main__:x"}, r"that other processes can import"),
        ({"classes": 1}, "got 1 classes"),
        ({"settings": {"a": object()}}, r"Loader\.settings"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(BadSpec, match=said):
        replace(SOURCE, **settings)


@pytest.mark.parametrize("maker", ["my_loaders:nothing", "no_such_module:x"])
def test_nothing_to_import(maker):
    with pytest.raises(BadSpec, match=r"cannot be imported \(.*on PYTHONPATH"):
        Loader(maker, 2, 40).load()


@pytest.mark.parametrize("change", [{"augmentation": Shift()}, {"method": ensemble(2), "own_batches": OwnBatches()}])
def test_orders_and_views_belong_into_the_loader(change):
    data = replace(SOURCE.load(), pixels=(5, 1))
    with pytest.raises(BadSpec, match="gives mini-batches as they are"):
        train(RECIPE.change(**change), data, seed=0, replica=0)
