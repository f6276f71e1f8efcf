"""Sources of randomness: each is fixed or free by itself, and keyed by what it is for."""

import dataclasses

import numpy as np
import pytest
import torch

from traintwice.augmentation import CropFlip, Shift
from traintwice.averaging import EMA
from traintwice.components import Component, OwnBatches
from traintwice.data import Digits, Split
from traintwice.engine import Execution, train, train_group
from traintwice.engine._batches import batches
from traintwice.engine._building import build, perturb_one_ulp
from traintwice.engine._reading import Examples, Inputs
from traintwice.errors import BadSpec
from traintwice.methods import Method, co_distillation, ensemble, ensemble_distillation
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.randomness import stream
from traintwice.recipes import Earlier, Recipe

DATA = Digits(train=100, validation=20, test=30).load()
X, Y = torch.from_numpy(DATA.train.inputs).double(), torch.from_numpy(DATA.train.labels)
SMALL = Recipe(
    network=MLP((9, 7), dropout=0.2), augmentation=Shift(), optimizer=SGD(0.1, 0.9), epochs=3, batch_size=32, hardware="emulated"
)
SOURCES = ("initialisation", "order", "augmentation", "dropout")


def logits(recipe, *, replica=0):
    return train(recipe, DATA, seed=0, replica=replica, execution=Execution("loop", precision="float64")).outputs["test"]


def seen(recipe, *, replica=0, epoch=0):
    """Example to the input that component 0 was given in an epoch."""
    examples = Examples(recipe, DATA, Inputs(DATA.train, torch.float64), seed=0, replica=replica)
    examples.enter(epoch)
    return {
        int(row): x.numpy()
        for batch in batches(recipe, 100, seed=0, replica=replica, epoch=epoch)
        for row, x in zip(batch.rows, examples.of(batch)[0], strict=True)
    }


def same(first, second):
    return all(np.array_equal(first[row], second[row]) for row in range(100))


def test_augmentation_is_keyed_by_example_and_epoch():
    found = seen(SMALL, replica=3, epoch=2)
    drawn = Shift().draw(stream(0, "augmentation", replica=3, epoch=2), 100)
    for row, (down, right) in enumerate(drawn):
        framed = np.pad(DATA.train.inputs[row].reshape(8, 8), 1)
        np.testing.assert_array_equal(found[row].reshape(8, 8), framed[1 - down : 9 - down, 1 - right : 9 - right])
    assert same(found, seen(SMALL.change(batch_size=7), replica=3, epoch=2))
    assert same(found, seen(SMALL.change(fixed=("order",)), replica=3, epoch=2))
    assert not same(found, seen(SMALL, replica=3, epoch=1))
    assert not same(found, seen(SMALL, replica=2, epoch=2))
    fixed = SMALL.change(fixed=("augmentation",))
    assert same(seen(fixed, replica=3, epoch=2), seen(SMALL, replica=0, epoch=2))


def test_colour_pictures_in_both_orders():
    rng = np.random.default_rng(0)
    last = rng.uniform(size=(100, 6, 5, 3))
    recipe = SMALL.change(augmentation=CropFlip(2))
    data = dataclasses.replace(DATA, pixels=(6, 5, 3))
    (batch,) = batches(recipe.change(batch_size=100), 100, seed=0, replica=0, epoch=0)
    found = []
    for inputs in (last, np.moveaxis(last, 3, 1)):
        examples = Examples(recipe, data, Inputs(Split(inputs, DATA.train.labels), torch.float64), seed=0, replica=0)
        examples.enter(0)
        found.append(examples.of(batch)[0])
    assert torch.equal(found[0], found[1].movedim(1, 3))
    assert not torch.equal(found[0], torch.from_numpy(last)[batch.rows])


def test_the_shared_part_of_own_batches_is_the_same_for_all():
    recipe = SMALL.change(method=ensemble(2), own_batches=OwnBatches(0.5))
    examples = Examples(recipe, DATA, Inputs(DATA.train, torch.float64), seed=0, replica=0)
    examples.enter(0)
    for batch in batches(recipe, 100, seed=0, replica=0, epoch=0):
        first, second = examples.of(batch)
        assert torch.equal(first[batch.shared], second[batch.shared])
    alone = SMALL.change(method=ensemble(2), own_batches=OwnBatches())
    np.testing.assert_array_equal(logits(alone.change(hardware="fixed"))[0], logits(SMALL.change(hardware="fixed"))[0])


def views(recipe, *, epoch=0):
    """For every mini-batch of an epoch, its rows and what each component is given for them."""
    examples = Examples(recipe, DATA, Inputs(DATA.train, torch.float64), seed=0, replica=0)
    examples.enter(epoch)
    return [(batch, examples.of(batch)) for batch in batches(recipe, 100, seed=0, replica=0, epoch=epoch)]


def test_views_of_the_components_are_the_same_or_their_own():
    pair = SMALL.change(method=ensemble(2))
    own = pair.change(views="own")
    assert all(torch.equal(first, second) for _, (first, second) in views(pair))
    for epoch in range(2):
        baseline = views(SMALL, epoch=epoch)
        for (batch, (first, second)), (alone, (expected,)) in zip(views(own, epoch=epoch), baseline, strict=True):
            assert torch.equal(batch.rows, alone.rows)
            assert torch.equal(first, expected)
            assert not torch.equal(first, second)
    drawn = torch.from_numpy(Shift().draw(stream(0, "augmentation", component=1), 100))
    batch, (_, second) = views(own)[0]
    expected = Shift().apply(X[batch.rows].view(-1, 8, 8, 1), drawn[batch.rows]).view(-1, 64)
    assert torch.equal(second, expected)
    assert not np.array_equal(logits(own)[1], logits(pair)[1])


def test_views_of_the_shared_part_are_the_same_or_their_own():
    """A component sees an example of an epoch in one way, in its own part of the batch and in the shared one."""
    recipe = SMALL.change(method=ensemble(2), own_batches=OwnBatches(0.5), views="own")
    for batch, seen_by in views(recipe):
        assert torch.equal(batch.rows[0, batch.shared], batch.rows[1, batch.shared])
        assert not torch.equal(*(x[batch.shared] for x in seen_by))
    of_first = {}
    for batch, seen_by in views(recipe):
        for row, x in zip(batch.rows[0].tolist(), seen_by[0], strict=True):
            assert torch.equal(of_first.setdefault(row, x), x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": ensemble(2), "augmentation": None}, "'own' without augmentation"),
        ({}, "a method of one component"),
        ({"method": ensemble(2), "own_batches": OwnBatches()}, "every view is a component's own"),
        ({"method": ensemble_distillation(), "teacher": Earlier(SMALL)}, "a method of one component"),
        (
            {"method": Method(ensemble_distillation().terms, 2), "teacher": Earlier(SMALL)},
            "a teacher sees one view",
        ),
    ],
)
def test_own_views_that_mean_nothing(change, message):
    with pytest.raises(BadSpec, match=message):
        SMALL.change(views="own", **change)
    with pytest.raises(BadSpec, match=r"Recipe.views: got 'both', expected one of 'same', 'own'"):
        SMALL.change(views="both")


def test_data_that_are_no_pictures():
    with pytest.raises(BadSpec, match=r"Shift\(pixels=1\) changes pictures, but the examples of digits are not pictures"):
        train(SMALL, dataclasses.replace(DATA, pixels=None), seed=0, replica=0)


def test_dropout_and_augmentation_are_those_of_a_plain_loop():
    recipe = SMALL.change(hardware="fixed")
    network = recipe.network.build(DATA.shape, 10, stream(0, "initialisation", replica=2)).double()
    linear = [m for m in network if isinstance(m, torch.nn.Linear)]
    optimizer = recipe.optimizer.build(network.parameters())
    step = 0
    for epoch in range(3):
        pictures = seen(recipe, replica=2, epoch=epoch)
        for rows in np.array_split(stream(0, "order", replica=2, epoch=epoch).permutation(100), [32, 64, 96]):
            rng = stream(0, "dropout", replica=2, epoch=step)
            x = torch.from_numpy(np.stack([pictures[row] for row in rows]))
            for layer in linear[:-1]:
                x = torch.relu(layer(x))
                x = x * torch.from_numpy(rng.random(tuple(x.shape), dtype=np.float32) >= 0.2) / 0.8
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(linear[-1](x), Y[rows]).backward()
            optimizer.step()
            step += 1
    expected = network.eval()(torch.from_numpy(DATA.test.inputs).double()).detach().numpy()
    np.testing.assert_allclose(logits(recipe, replica=2)[0], expected, rtol=1e-5, atol=1e-6)


def test_components_are_those_of_a_baseline_with_every_source():
    recipe = SMALL.change(hardware="fixed")
    both = logits(recipe.change(method=ensemble(2)))
    np.testing.assert_array_equal(both[0], logits(recipe)[0])
    assert not np.array_equal(both[0], both[1])


def test_peers_are_masked_like_their_components():
    """Peers of so short an age that they are the components themselves give what co-distillation without age gives."""
    base = SMALL.change(optimizer=SGD(1e-30), hardware="fixed")
    lagged, plain = (base.change(method=co_distillation(kind="ce", lag_steps=lag), optimizer=SGD(0.1), epochs=1, batch_size=100)
                     for lag in (1, 0))  # fmt: skip
    peers = logits(lagged)  # one step: the peers are the components
    np.testing.assert_allclose(peers, logits(plain), rtol=1e-6)


def test_every_source_is_fixed_or_free_by_itself():
    everything = SMALL.change(fixed=SOURCES, hardware="fixed")
    assert everything.free() == ()
    np.testing.assert_array_equal(logits(everything, replica=3), logits(everything))
    for source in SOURCES:
        one_free = everything.change(fixed=tuple(s for s in SOURCES if s != source))
        assert one_free.free() == (source,)
        np.testing.assert_array_equal(logits(one_free), logits(everything))
        assert not np.array_equal(logits(one_free, replica=3), logits(everything))
        one_fixed = SMALL.change(fixed=(source,))
        assert not np.array_equal(logits(one_fixed, replica=3), logits(SMALL, replica=3))
    assert SMALL.free() == (*SOURCES, "hardware")


def test_what_else_is_free():
    assert SMALL.change(components=(Component(subset=0.5),), own_batches=OwnBatches()).free()[2] == "subset"
    fixed = SMALL.change(fixed=SOURCES, hardware="fixed")
    assert fixed.change(start=Earlier(SMALL)).free() == ("start",)
    assert fixed.change(start=Earlier(SMALL, "first")).free() == ()
    assert fixed.change(start=Earlier(fixed)).free() == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_emulated_hardware_is_one_bit_of_one_weight(dtype):
    recipe = SMALL.change(method=ensemble(2))
    chosen = set()
    for replica in range(6):
        before, after = (build(recipe, DATA, seed=0, replica=0, start=None, dtype=dtype) for _ in range(2))
        perturb_one_ulp(after, stream(0, "hardware", replica=replica))
        old, new = (torch.cat([p.flatten() for n in nets for p in n.parameters()]).detach() for nets in (before, after))
        (at,) = (old != new).nonzero().flatten()
        assert new[at] == torch.nextafter(old[at], old[at] * torch.inf)
        chosen.add(int(at))
    assert len(chosen) == 6


def test_emulated_hardware_makes_other_models():
    fixed = SMALL.change(fixed=SOURCES, epochs=20)
    found = {train(fixed, DATA, seed=0, replica=m).outputs["test"].tobytes() for m in range(3)}
    assert len(found) == 3
    with pytest.raises(BadSpec, match=r"Recipe.hardware: got 'random'"):
        SMALL.change(hardware="random")


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_free_hardware_is_emulated_on_a_cpu(engine):
    """Never replicas that are one model because a CPU is deterministic."""
    recipe = Recipe(network=MLP((9, 7)), epochs=3, batch_size=32, fixed=("initialisation", "order"))
    free, emulated = recipe.change(hardware="free"), recipe.change(hardware="emulated")
    assert free.free() == ("hardware",)
    found = [
        [t.outputs["test"] for _, t in train_group(r, DATA, seed=0, replicas=range(3), execution=Execution(engine=engine))]
        for r in (free, emulated)
    ]
    np.testing.assert_array_equal(*found)
    assert len({z.tobytes() for z in found[0]}) == 3


def test_averaged_batch_statistics_with_dropout_do_not_depend_on_a_global_generator():
    recipe = SMALL.change(network=MLP((9,), batch_norm=True, dropout=0.2), averaging=EMA(0.5))
    first = logits(recipe)
    torch.rand(7)
    np.testing.assert_array_equal(logits(recipe), first)


PAIR = SMALL.change(method=ensemble(2))


def weights_of(recipe, replica):
    return [
        torch.nn.utils.parameters_to_vector(n.parameters())
        for n in build(recipe, DATA, seed=0, replica=replica, start=None, dtype=torch.float64)
    ]


def test_components_that_are_alike_begin_alike_and_replicas_do_not():
    alike = PAIR.change(alike=("initialisation",))
    first, second = weights_of(alike, 1)
    assert torch.equal(first, second)
    assert torch.equal(first, weights_of(PAIR, 1)[0])
    assert not torch.equal(*weights_of(PAIR, 1))
    assert not torch.equal(first, weights_of(alike, 2)[0])
    trained = logits(alike, replica=1)
    assert not np.array_equal(trained[0], trained[1])  # their masks differ


def test_components_with_the_same_masks_and_weights_differ_by_their_batches_alone():
    own = PAIR.change(own_batches=OwnBatches(), alike=("initialisation", "dropout"), augmentation=None)
    found = logits(own)
    assert not np.array_equal(found[0], found[1])
    masks = logits(PAIR.change(alike=("dropout",)))
    np.testing.assert_array_equal(masks[0], logits(PAIR)[0])
    assert not np.array_equal(masks[1], logits(PAIR)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alike": ("initialisation", "dropout")}, "stay identical"),
        ({"alike": ("order",)}, r"Recipe.alike: got \('order',\), expected some of"),
        ({"alike": ()}, r"Recipe.alike: got \(\), expected some of"),
        ({"alike": ("dropout",), "method": ensemble(1)}, "sharing needs at least two components"),
    ],
)
def test_what_cannot_be_alike(change, message):
    with pytest.raises(BadSpec, match=message):
        PAIR.change(**change)
