from dataclasses import replace

import numpy as np
import pytest
import torch
from streams import SMALL, N, stream_of

from traintwice.averaging import EMA
from traintwice.components import Component, OwnBatches
from traintwice.data import Criteo, Digits, Split
from traintwice.engine import Execution, train
from traintwice.errors import BadSpec
from traintwice.methods import anti_distillation, baseline, co_distillation, ensemble, ensemble_distillation
from traintwice.nets import MLP, SharedTowers, Towers
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.progressive import Progressive
from traintwice.recipes import Earlier, Recipe
from traintwice.study._store import Checkpoint, Clock, Every, Store

DATA = stream_of()


def of_all(done):
    """Logits of the whole stream, in its order."""
    return np.concatenate([done.outputs[name] for name in ("warm_up", "validation", "test")], axis=1)


@pytest.mark.parametrize("method", [baseline(), anti_distillation(3), co_distillation()])
def test_labels_of_a_batch_and_of_later_ones_do_not_reach_its_predictions(method):
    """Poison: with all labels turned from a batch on, what was predicted up to and with that batch keeps its bits."""
    recipe = SMALL.change(method=method)
    plain = of_all(train(recipe, DATA, seed=0, replica=0))
    for batch in (0, 7, 19):
        poisoned = DATA.train.labels.copy()
        poisoned[20 * batch :] = 1 - poisoned[20 * batch :]
        found = of_all(train(recipe, stream_of(poisoned), seed=0, replica=0))
        end = 20 * (batch + 1)
        assert found[:, :end].tobytes() == plain[:, :end].tobytes()
        if end < N:
            assert (found[:, end : end + 20, 1] != plain[:, end : end + 20, 1]).any(axis=1).all()


def test_inside_a_window_no_label_reaches_predictions_of_rows_far_before_it():
    recipe = SMALL.change(progressive=Progressive(50))
    plain = of_all(train(recipe, DATA, seed=0, replica=0))
    poisoned = DATA.train.labels.copy()
    poisoned[200:] = 1 - poisoned[200:]
    found = of_all(train(recipe, stream_of(poisoned), seed=0, replica=0))
    first = 200 - 2 * 50 - 20  # a row moves less than a window, the poisoned one too, and a batch is predicted at once
    assert found[:, :first].tobytes() == plain[:, :first].tobytes()
    assert (found[:, 300:, 1] != plain[:, 300:, 1]).any()


def test_predictions_are_those_of_a_loop_a_user_would_write():
    recipe = SMALL.change(optimizer=SGD(0.1), progressive=Progressive(50))
    from traintwice.engine._batches import batches
    from traintwice.randomness import stream

    network = recipe.network.build(DATA.shape, 2, stream(5, "initialisation", replica=2)).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    expected = np.zeros((N, 2))
    for batch in batches(recipe, N, seed=5, replica=2, epoch=0):
        x, y = (torch.from_numpy(a)[batch.rows] for a in (DATA.train.inputs, DATA.train.labels))
        with torch.no_grad():
            expected[batch.rows] = network(x.double()).numpy()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x.double()), y).backward()
        optimizer.step()
    ours = of_all(train(recipe, DATA, seed=5, replica=2, execution=Execution("loop", precision="float64")))[0]
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_it_learns_and_one_logit_is_given_as_two():
    recipe = SMALL.change(network=Towers((16,), embedding=4, activation="gelu"), batch_size=4)
    done = of_all(train(recipe, DATA, seed=0, replica=0))
    assert (done[..., 0] == 0).all()
    z = done[0, 100:, 1]
    assert ((z > 0) == DATA.train.labels[100:]).mean() > 0.75


@pytest.mark.parametrize("network", [Towers((6,), 3, sparse=True), SharedTowers((6,), 3), SharedTowers((6,), 3, sparse=True)])
def test_an_interrupted_training_goes_on_with_the_same_bits(network, tmp_path):
    recipe = SMALL.change(network=network, method=anti_distillation(2), progressive=Progressive(50))
    whole = train(recipe, DATA, seed=0, replica=1)

    class Stop(Exception):
        pass

    class Interrupting(Checkpoint):
        def after_step(self, steps, training):
            super().after_step(steps, training)
            if steps == 13:
                raise Stop

    from traintwice.engine import Numerics

    settings = Store(tmp_path / "store"), "k", 1, Numerics.here(threads=1), Clock(Every(steps=6))
    settings[0].folder("k").mkdir(parents=True)
    with pytest.raises(Stop):
        train(recipe, DATA, seed=0, replica=1, keeper=Interrupting(*settings))
    keeper = Checkpoint(*settings)
    again = train(recipe, DATA, seed=0, replica=1, keeper=keeper)
    assert keeper.resumed == [12]
    for name, logits in whole.outputs.items():
        assert again.outputs[name].tobytes() == logits.tobytes()


def test_rows_from_disk_are_the_rows_in_memory(tmp_path):
    """A stream read from a file, block by block, gives the bits of one that is held whole."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(300):
        numbers = "\t".join(map(str, rng.integers(0, 100, 13)))
        lines.append(f"{rng.integers(0, 2)}\t{numbers}\t" + "\t".join(f"{c:08x}" for c in rng.integers(0, 50, 26)))
    path = tmp_path / "train.txt"
    path.write_text("\n".join(lines) + "\n")
    streamed = Criteo(str(path), buckets=100).load()
    splits = {
        name: Split(split.inputs.read(np.arange(len(split))), split.labels.astype(np.int64))
        for name, split in streamed.splits.items()
    }
    held = replace(streamed, **splits)
    recipe = SMALL.change(network=Towers((8,), 2, sparse=True), progressive=Progressive(64))
    first, second = (train(recipe, data, seed=0, replica=0).outputs["test"] for data in (streamed, held))
    assert first.tobytes() == second.tobytes()


def test_streams_and_other_data_are_not_mistaken_for_each_other():
    with pytest.raises(BadSpec, match=r"made is a stream.*progressive = \{ window = 10000 \}"):
        train(SMALL.change(progressive=None), DATA, seed=0, replica=0)
    with pytest.raises(BadSpec, match="digits is not a stream"):
        train(Recipe(epochs=1, progressive=Progressive()), Digits().load(), seed=0, replica=0)


@pytest.mark.parametrize(("network", "layer"), [(MLP((4,), dropout=0.1), "Dropout"), (MLP((4,), batch_norm=True), "BatchNorm1d")])
def test_a_network_that_predicts_otherwise_while_it_trains_is_refused(network, layer):
    with pytest.raises(BadSpec, match=f"the network has {layer} layers"):
        train(SMALL.change(network=network), DATA, seed=0, replica=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 2}, "got 2, expected 1"),
        ({"start": Earlier(SMALL)}, "leave start and teacher out"),
        (
            {"method": ensemble_distillation(), "teacher": Earlier(SMALL.change(method=ensemble(2)))},
            "leave start and teacher out",
        ),
        ({"averaging": EMA()}, "leave own_batches and averaging out"),
        ({"method": ensemble(2), "own_batches": OwnBatches()}, "leave own_batches and averaging out"),
        ({"method": ensemble(2, "gate")}, "another output than 'gate'"),
        ({"network": Towers(sparse=True), "optimizer": Adam()}, "sparse gradients need AdaGrad"),
        ({"network": Towers(sparse=True), "optimizer": SGD(momentum=0.9)}, "sparse gradients need AdaGrad"),
        ({"network": Towers(sparse=True), "optimizer": AdaGrad(weight_decay=0.1)}, "sparse gradients need AdaGrad"),
        ({"network": Towers(sparse=True), "clip_norm": 1.0}, "sparse gradients need AdaGrad"),
        (
            {"components": (Component(Towers(sparse=True), Adam()), Component()), "method": ensemble(2)},
            "sparse gradients need AdaGrad",
        ),
    ],
)
def test_what_cannot_be_done_on_a_stream_is_refused_at_once(changes, message):
    with pytest.raises(BadSpec, match=message):
        SMALL.change(**changes)


def test_a_window_below_one():
    with pytest.raises(BadSpec, match=r"Progressive\.window: got 0"):
        Progressive(0)


def test_components_may_see_some_columns():
    recipe = SMALL.change(method=ensemble(2), components=(Component(inputs=(0, 2)), Component()))
    done = train(recipe, DATA, seed=0, replica=0)
    assert np.isfinite(of_all(done)).all()
