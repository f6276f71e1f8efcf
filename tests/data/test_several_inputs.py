"""Loaders of several inputs and of whole numbers: the network of the user's gets exactly what the loader returns."""

import numpy as np
import pytest
import torch
from torch import nn

from command_line import traintwice  # noqa: F401  (a fixture)
from traintwice import open_predictions
from traintwice.data import Loader
from traintwice.engine import Execution, train
from traintwice.errors import BadInput, BadSpec
from traintwice.methods import co_distillation, ensemble
from traintwice.nets import Factory
from traintwice.optimizers import SGD
from traintwice.randomness import stream
from traintwice.recipes import Recipe
from traintwice.study import Experiment, Store, run
from traintwice.study._export import as_networks_take_them, export, model_of, predict

RNG = np.random.default_rng(0)
IDS, LENGTH = RNG.integers(2**40, 2**40 + 9, size=(40, 3)), RNG.normal(size=40).astype("float32")
LABELS = RNG.integers(2, size=40)


def batches(split, *, seed, replica, epoch, kind):
    rows = {"train": range(20), "validation": range(20, 30), "test": range(30, 40)}[split]
    for start in range(rows.start, rows.stop, 5):
        at = slice(start, start + 5)
        ids, length = torch.from_numpy(IDS[at]), torch.from_numpy(LENGTH[at])
        inputs = {"dict": {"ids": ids, "length": length}, "pair": (ids, length), "ids": ids}
        if kind == "other" and split == "train":
            yield inputs["pair"], LABELS[at]
        elif kind == "short":
            yield (ids, length[:2]), LABELS[at]
        else:
            yield inputs["dict" if kind == "other" else kind], LABELS[at]


class Reader(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        assert shape in ({"ids": (3,), "length": ()}, ((3,), ()), (3,))
        self.table = nn.Embedding(9, 4)
        self.last = nn.Linear(5, classes)

    def forward(self, ids, length=None):
        assert ids.dtype == torch.int64
        length = torch.zeros(ids.shape[0], dtype=self.last.weight.dtype) if length is None else length
        return self.last(torch.cat([self.table((ids - 2**40) % 9).mean(1), length.unsqueeze(1)], 1))


def make(shape, classes):
    return Reader(shape, classes)


RECIPE = Recipe(network=Factory("test_several_inputs:make"), optimizer=SGD(0.5), epochs=3, batch_size=5)


@pytest.mark.parametrize("kind", ["dict", "pair", "ids"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_training_is_that_of_a_plain_loop(kind, precision):
    data = Loader("test_several_inputs:batches", 2, 20, {"kind": kind}).load()
    trained = train(RECIPE, data, seed=0, replica=1, execution=Execution("loop", precision=precision))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(0, "initialisation", replica=1).integers(2**63)))
        network = Reader((3,), 2).to(getattr(torch, precision))

    def answers(rows):
        ids, length = torch.from_numpy(IDS[rows]), torch.from_numpy(LENGTH[rows]).to(getattr(torch, precision))
        return network(ids) if kind == "ids" else network(ids, length)

    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for start in [*range(0, 20, 5)] * 3:
        rows = slice(start, start + 5)
        optimizer.zero_grad()
        nn.functional.cross_entropy(answers(rows), torch.from_numpy(LABELS[rows])).backward()
        optimizer.step()
    np.testing.assert_array_equal(trained.outputs["test"][0], answers(slice(30, 40)).detach().float().numpy())


def test_methods_read_them_too():
    data = Loader("test_several_inputs:batches", 2, 20, {"kind": "dict"}).load()
    assert train(RECIPE.change(method=co_distillation()), data, seed=0, replica=0).outputs["test"].shape == (2, 10, 2)


def test_what_cannot_be():
    with pytest.raises(BadInput, match=r"different lengths \[2, 5\]"):
        Loader("test_several_inputs:batches", 2, 20, {"kind": "short"}).load()
    with pytest.raises(BadInput, match=r"training inputs .* as for test"):
        train(RECIPE, Loader("test_several_inputs:batches", 2, 20, {"kind": "other"}).load(), seed=0, replica=0)
    data = Loader("test_several_inputs:batches", 2, 20, {"kind": "ids"}).load()
    with pytest.raises(
        BadSpec, match=r"MLP reads one array of numbers, and loader has whole numbers; take a Factory, or return floats"
    ):
        train(Recipe(), data, seed=0, replica=0)


def of_kind(kind, rows):
    """Inputs of examples as the loader returns them, the dict in another order."""
    ids, length = IDS[rows], LENGTH[rows]
    return {"dict": {"length": length, "ids": ids}, "pair": (ids, length), "ids": ids}[kind]


@pytest.fixture(scope="module", params=["dict", "pair", "ids"])
def studied(request, tmp_path_factory):
    """A study with saved weights, its store, and the kind of its inputs."""
    store = Store(tmp_path_factory.mktemp("several") / "runs")
    data = Loader("test_several_inputs:batches", 2, 20, {"kind": request.param})
    experiment = Experiment("several", data, {"base": RECIPE, "two": RECIPE.change(method=ensemble(2))}, replicas=2)
    return run(experiment, store=store, save_weights=True), store, request.param


def test_what_is_served_takes_what_the_loader_returns(studied):
    results, store, kind = studied
    x = as_networks_take_them(of_kind(kind, slice(30, 40)), results.data)
    model = model_of(results, store, "two", 0)
    np.testing.assert_allclose(predict(model, x, batch_size=4), results["two"].test.probs[0], atol=1e-6)
    network, own = Reader((3,), 2), []
    for served in model.networks:
        network.load_state_dict(served.state_dict())  # the names of the user's own module
        ids, length = torch.from_numpy(IDS[30:]), torch.from_numpy(LENGTH[30:])
        own.append(network(ids, None if kind == "ids" else length).softmax(-1))
    torch.testing.assert_close(model(x), torch.stack(own).mean(0))


def test_written_models_take_them_too(studied, tmp_path):
    results, store, kind = studied
    written = export(results, store, "base", 0, tmp_path, ("safetensors", "pt2", "onnx") if kind == "dict" else ("pt2",))
    expected = results["base"].test.probs[0]
    program = torch.export.load(written["pt2"]).module()
    found = program(as_networks_take_them(of_kind(kind, slice(30, 37)), results.data))
    np.testing.assert_allclose(found.detach().numpy(), expected[:7], atol=1e-6)
    if kind == "dict":
        import onnxruntime

        session = onnxruntime.InferenceSession(written["onnx"], providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run(None, of_kind(kind, slice(30, 40)))[0], expected, atol=1e-6)


def test_the_command_predicts_from_a_file(studied, tmp_path, traintwice):  # noqa: F811
    results, store, kind = studied
    new = of_kind(kind, slice(30, 40))
    arrays = {"dict": new, "pair": {"arr_0": new[0], "arr_1": new[1]} if kind == "pair" else None, "ids": {"inputs": new}}[kind]
    np.savez(tmp_path / "new.npz", labels=LABELS[30:], **arrays)
    words = ["predict", store.path, "new.npz", "--row", "base", "--out", "p.parquet", "--trust"]
    status, _, said = traintwice(*words)
    assert status == 0, said
    with open_predictions([tmp_path / "p.parquet"]) as read:
        np.testing.assert_allclose(read.read().probs[0], results["base"].test.probs[0], atol=1e-6)
    np.savez(tmp_path / "new.npz", labels=LABELS[30:])
    status, _, said = traintwice(*words)
    names = {"dict": "arrays named ids and length", "pair": "arrays named arr_0 and arr_1", "ids": "an array named inputs"}
    assert status == 2
    assert f"new.npz: has the arrays labels, expected {names[kind]}" in " ".join(said.split())


def test_other_inputs_are_refused(studied):
    results, _, kind = studied
    expected = {
        "dict": r"ids int64 \(3,\), length float32 \(\)",
        "pair": r"input 0 int64 \(3,\), input 1 float32 \(\)",
        "ids": r"input 0 int64 \(3,\)",
    }
    for other in ({"ids": IDS}, [IDS.astype("float32"), LENGTH], LENGTH, IDS[:, :2]):
        with pytest.raises(BadInput, match=f"inputs: got .*, expected {expected[kind]}, the inputs of the training data"):
            as_networks_take_them(other, results.data)
