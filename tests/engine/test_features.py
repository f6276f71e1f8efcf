"""What a recipe can ask of the engine beside a loss: averages of weights, own batches, earlier models, and the rest."""

import copy

import numpy as np
import pytest
import torch

from traintwice.augmentation import Shift
from traintwice.averaging import EMA, SWA, Snapshots
from traintwice.components import Component, OwnBatches
from traintwice.data import Digits
from traintwice.engine import Execution, train
from traintwice.engine._batches import batches
from traintwice.engine._building import build
from traintwice.engine._loop import LoopTraining
from traintwice.engine._loss_inputs import Peers
from traintwice.engine._reading import TrainingSet
from traintwice.engine._training import TrainingSpec
from traintwice.errors import BadSpec
from traintwice.losses import Agreement, CrossEntropy, Decorrelation, Distillation, GateCrossEntropy, Only
from traintwice.methods import (
    Method,
    Term,
    anti_distillation,
    averaged_ensemble,
    co_distillation,
    ensemble,
    ensemble_distillation,
)
from traintwice.nets import MLP, SharedTrunk
from traintwice.optimizers import SGD
from traintwice.randomness import stream
from traintwice.recipes import Cost, Earlier, Recipe

DATA = Digits(train=100, validation=20, test=30).load()
SMALL = Recipe(network=MLP((9, 7)), optimizer=SGD(0.1, 0.9), epochs=3, batch_size=32)
DOUBLE = Execution("loop", precision="float64")
X, Y = torch.from_numpy(DATA.train.inputs).double(), torch.from_numpy(DATA.train.labels)


def logits(recipe, *, replica=0, **settings):
    return train(recipe, DATA, seed=0, replica=replica, execution=DOUBLE, **settings).outputs["test"]


def loop_training(recipe, **earlier):
    return LoopTraining(TrainingSpec(recipe, DATA, 0, DOUBLE, **earlier), TrainingSet.of(DATA, DOUBLE), [0])


def by_hand(recipe, after_step=lambda step, network: None):
    """The baseline's training as a plain loop; returns its network."""
    network = recipe.network.build(DATA.shape, 10, stream(0, "initialisation")).double()
    optimizer = recipe.optimizer.build(network.parameters())
    step = 0
    for epoch in range(recipe.epochs):
        for rows in np.array_split(stream(0, "order", epoch=epoch).permutation(100), [32, 64, 96]):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(X[rows]), Y[rows]).backward()
            optimizer.step()
            after_step(step, network)
            step += 1
    return network


def test_ema_is_its_formula():
    means = {}

    def average(step, network):
        t = step + 1
        d = min(0.8, t / (t + 10))
        for name, p in network.named_parameters():
            means[name] = d * means.get(name, start[name]) + (1 - d) * p.detach()

    start = {
        n: p.detach().clone()
        for n, p in SMALL.network.build(DATA.shape, 10, stream(0, "initialisation")).double().named_parameters()
    }
    network = by_hand(SMALL, average)
    network.load_state_dict(means)
    expected = network(torch.from_numpy(DATA.test.inputs).double()).detach().numpy()
    np.testing.assert_allclose(logits(SMALL.change(averaging=EMA(0.8)))[0], expected, rtol=1e-5, atol=1e-6)


def test_swa_is_the_mean_over_the_last_epochs():
    ends = []
    network = by_hand(SMALL, lambda step, net: ends.append(copy.deepcopy(net.state_dict())) if step in (7, 11) else None)
    network.load_state_dict({name: (ends[0][name] + ends[1][name]) / 2 for name in ends[0]})
    expected = network(torch.from_numpy(DATA.test.inputs).double()).detach().numpy()
    np.testing.assert_allclose(logits(SMALL.change(averaging=SWA(start=0.34)))[0], expected, rtol=1e-5, atol=1e-6)


def test_snapshots_are_the_weights_on_the_way():
    three = logits(SMALL.change(averaging=Snapshots(3)))
    assert three.shape == (3, 30, 10)
    for i in range(3):
        np.testing.assert_array_equal(three[i], logits(SMALL.change(epochs=i + 1))[0])


def test_batch_statistics_are_those_of_the_averaged_weights():
    recipe = SMALL.change(network=MLP((9,), batch_norm=True), averaging=EMA(0.9), batch_size=50)
    done = train(recipe, DATA, seed=0, replica=0, execution=DOUBLE)
    hidden = X @ torch.from_numpy(done.weights["0.0.weight"]).T + torch.from_numpy(done.weights["0.0.bias"])
    mean = (hidden[:50].mean(0) + hidden[50:].mean(0)) / 2
    np.testing.assert_allclose(done.weights["0.1.running_mean"], mean.numpy(), rtol=1e-9)
    plain = train(recipe.change(averaging=None), DATA, seed=0, replica=0, execution=DOUBLE)
    assert not np.allclose(plain.weights["0.1.running_mean"], mean.numpy(), rtol=1e-3)


def test_own_batches_make_an_ensemble_of_independent_trainings():
    own = logits(SMALL.change(method=ensemble(2), own_batches=OwnBatches()))
    np.testing.assert_array_equal(own[0], logits(SMALL)[0])
    shared = logits(SMALL.change(method=ensemble(2)))
    assert not np.array_equal(own[1], shared[1])


def test_own_batches_have_an_own_and_a_shared_part():
    recipe = SMALL.change(method=anti_distillation(2), own_batches=OwnBatches(share=0.25))
    seen = list(batches(recipe, 100, seed=0, replica=0, epoch=0))
    assert [tuple(b.rows.shape) for b in seen] == [(2, 40)] * 3 + [(2, 12)]
    for b in seen:
        assert torch.equal(b.rows[0, b.shared], b.rows[1, b.shared])
    own = torch.cat([b.rows[:, : b.shared.start] for b in seen], dim=1)
    assert [sorted(o.tolist()) for o in own] == [list(range(100))] * 2
    assert not torch.equal(own[0], own[1])
    assert np.isfinite(logits(recipe)).all()


def test_a_subset_is_all_that_a_component_sees():
    recipe = SMALL.change(method=ensemble(2), own_batches=OwnBatches(), components=(Component(), Component(subset=0.3)))
    rows = torch.cat([b.rows[1] for e in range(3) for b in batches(recipe, 100, seed=0, replica=0, epoch=e)])
    assert len(rows) == 300
    assert len(set(rows.tolist())) == 30


def test_components_of_their_own():
    recipe = SMALL.change(
        method=ensemble(2),
        components=(Component(), Component(network=MLP((4,)), optimizer=SGD(0.01), inputs=(0, 5, 9))),
    )
    networks = build(recipe, DATA, seed=0, replica=0, start=None, dtype=torch.float64)
    assert [sum(p.numel() for p in n.parameters()) for n in networks] == [64 * 9 + 9 + 63 + 7 + 80, 3 * 4 + 4 + 50]
    both = logits(recipe)
    np.testing.assert_array_equal(both[0], logits(SMALL)[0])
    moved = copy.deepcopy(DATA.test.inputs)
    moved[:, [i for i in range(64) if i not in (0, 5, 9)]] = 0
    assert torch.equal(networks[1](torch.from_numpy(moved).double()), networks[1](torch.from_numpy(DATA.test.inputs).double()))


def test_sharpness_is_its_formula():
    network = SMALL.network.build(DATA.shape, 10, stream(0, "initialisation")).double()
    optimizer = SMALL.optimizer.build(network.parameters())
    for epoch in range(3):
        for rows in np.array_split(stream(0, "order", epoch=epoch).permutation(100), [32, 64, 96]):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(X[rows]), Y[rows]).backward()
            norm = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
            before = [p.detach().clone() for p in network.parameters()]
            with torch.no_grad():
                for p in network.parameters():
                    p += 0.05 * p.grad / norm
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(X[rows]), Y[rows]).backward()
            with torch.no_grad():
                for p, w in zip(network.parameters(), before, strict=True):
                    p.copy_(w)
            optimizer.step()
    expected = network(torch.from_numpy(DATA.test.inputs).double()).detach().numpy()
    np.testing.assert_allclose(logits(SMALL.change(sharpness=0.05))[0], expected, rtol=1e-4, atol=1e-5)


def test_clipping_bounds_a_step():
    small = SMALL.change(optimizer=SGD(1.0), clip_norm=1e-3, epochs=1, batch_size=100)
    before = build(small, DATA, seed=0, replica=0, start=None, dtype=torch.float64)
    after = train(small, DATA, seed=0, replica=0, execution=DOUBLE).weights
    moved = torch.cat([(p - torch.from_numpy(after[f"0.{n}"])).flatten() for n, p in before[0].named_parameters()])
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-4)


def test_components_and_gate_are_clipped_by_their_own_norms():
    """Without coupling, each component of a clipped ensemble is the network that it would be alone."""
    clipped = SMALL.change(clip_norm=0.5)
    gated = Method((Term(CrossEntropy()), Term(Only(CrossEntropy(), (1,)), 100.0), Term(GateCrossEntropy())), 2, "gate")
    recipe = clipped.change(method=gated)
    np.testing.assert_array_equal(logits(recipe)[0], logits(clipped)[0])
    assert not np.array_equal(logits(SMALL)[0], logits(clipped)[0])
    training = loop_training(recipe.resolve(100))
    training.views.enter(0)
    training.step(next(iter(batches(recipe, 100, seed=0, replica=0, epoch=0))), 0)
    norms = [
        torch.cat([p.grad.flatten() for group in o.param_groups for p in group["params"]]).norm().item()
        for o in training.optimizers
    ]
    assert norms[:2] == [pytest.approx(0.5, rel=1e-4)] * 2
    assert 0 < norms[2] <= 0.5


def test_fixed_sources_are_shared_by_replicas():
    free = [logits(SMALL, replica=m) for m in (0, 3)]
    assert not np.array_equal(*free)
    both = SMALL.change(fixed=("initialisation", "order"))
    np.testing.assert_array_equal(logits(both, replica=3), free[0])
    for source in ("initialisation", "order"):
        one = logits(SMALL.change(fixed=(source,)), replica=3)
        assert not np.array_equal(one, free[0])
        assert not np.array_equal(one, free[1])


def test_warm_start_goes_on_from_the_weights():
    first = train(SMALL, DATA, seed=0, replica=0, execution=DOUBLE)
    frozen = SMALL.change(start=Earlier(SMALL), optimizer=SGD(1e-30))
    np.testing.assert_allclose(logits(frozen, start=first.weights)[0], first.outputs["test"][0], rtol=1e-6)


def test_a_student_follows_its_teacher():
    teacher = SMALL.change(method=ensemble(2), epochs=10)
    taught = train(teacher, DATA, seed=0, replica=0, execution=DOUBLE)
    recipe = SMALL.change(method=Method((Term(Distillation()),)), teacher=Earlier(teacher), epochs=40)
    student, stranger = logits(recipe, teacher=taught.weights), logits(SMALL.change(epochs=40))
    mean = torch.softmax(torch.from_numpy(taught.outputs["test"]), -1).mean(0).numpy()
    alike = [(z[0].argmax(-1) == mean.argmax(-1)).mean() for z in (student, stranger)]
    assert alike[0] > alike[1] + 0.2


def test_a_student_has_streams_of_its_own():
    """Else it would begin as its teacher's first component began, and see the same batches."""
    teacher = SMALL.change(method=ensemble(2))
    student = SMALL.change(method=ensemble_distillation(), teacher=Earlier(teacher))
    alone = build(student, DATA, seed=0, replica=0, start=None, dtype=torch.float64)[0].state_dict()["0.weight"]
    for network in build(teacher, DATA, seed=0, replica=0, start=None, dtype=torch.float64):
        assert not torch.equal(alone, network.state_dict()["0.weight"])
    orders = [next(iter(batches(r, 100, seed=0, replica=0, epoch=0))).rows for r in (student, teacher)]
    assert not torch.equal(*orders)


def test_a_teacher_of_snapshots_teaches_with_all_and_starts_with_the_last():
    three = SMALL.change(averaging=Snapshots(3))
    done = train(three, DATA, seed=0, replica=0, execution=DOUBLE)
    frozen = SMALL.change(start=Earlier(three), optimizer=SGD(1e-30))
    np.testing.assert_allclose(logits(frozen, start=done.weights)[0], done.outputs["test"][2], rtol=1e-6)
    student = SMALL.change(method=ensemble_distillation(), teacher=Earlier(three)).resolve(100)
    training = loop_training(student, teachers={0: done.weights})
    assert len(training.teacher.networks) == 3


def test_a_teacher_sees_the_students_view():
    teacher = train(SMALL, DATA, seed=0, replica=0, execution=DOUBLE)
    student = SMALL.change(method=ensemble_distillation(), teacher=Earlier(SMALL), augmentation=Shift()).resolve(100)
    training = loop_training(student, teachers={0: teacher.weights})
    training.views.enter(0)
    batch = next(iter(batches(student, 100, seed=0, replica=0, epoch=0)))
    view = training.views.of(batch)[0]
    expected = training.teacher.networks[0](view)
    assert not torch.equal(view, X[batch.rows])
    torch.testing.assert_close(training.forward(batch, 0).teacher[0], expected)


@pytest.mark.parametrize("lag", [1, 3])
def test_peers_are_the_components_of_lag_steps_ago(lag):
    recipe = SMALL.change(method=co_distillation(0.5, kind="ce", lag_steps=lag), epochs=1)
    networks = [n.double() for n in build(recipe, DATA, seed=0, replica=0, start=None, dtype=torch.float64)]
    optimizers = [recipe.optimizer.build(n.parameters()) for n in networks]
    past = []
    for step, rows in enumerate(np.array_split(stream(0, "order").permutation(100), [32, 64, 96])):
        past.append([copy.deepcopy(n) for n in networks])
        peers = past[max(step - lag, 0)]
        for j in range(2):
            optimizers[j].zero_grad()
            z = torch.log_softmax(networks[j](X[rows]), -1)
            other = torch.softmax(peers[1 - j](X[rows]), -1).detach()
            loss = torch.nn.functional.nll_loss(z, Y[rows]) + 0.5 * -(other * z).sum(-1).mean()
            loss.backward()
        for o in optimizers:
            o.step()
    expected = torch.stack([n(torch.from_numpy(DATA.test.inputs).double()) for n in networks]).detach().numpy()
    np.testing.assert_allclose(logits(recipe), expected, rtol=1e-5, atol=1e-6)


def test_beyond_eight_steps_one_copy_is_renewed():
    counter = torch.nn.Linear(1, 1)
    peers, seen = Peers([counter], 10), []
    for step in range(25):
        torch.nn.init.constant_(counter.weight, step)
        seen.append(int(peers.at(step)[0].weight.item()))
    assert seen == [0] * 11 + [10] * 10 + [20] * 4


def test_a_gate_learns_and_does_not_touch_the_components():
    gated = SMALL.change(method=Method((Term(CrossEntropy()), Term(GateCrossEntropy())), 2, "gate"))
    done = train(gated, DATA, seed=0, replica=0, execution=DOUBLE)
    weights = done.outputs["test.gate"]
    assert weights.shape == (2, 30)
    np.testing.assert_allclose(weights.sum(0), 1, rtol=1e-6)
    assert not np.allclose(weights, 0.5)
    np.testing.assert_array_equal(done.outputs["test"], logits(SMALL.change(method=ensemble(2))))


GATED = SMALL.change(method=ensemble(2, "gate"))


def gates_of(recipe, **settings):
    """Weight and bias of the gate of every set of networks."""
    weights = train(recipe, DATA, seed=0, replica=0, execution=DOUBLE, **settings).weights
    return [
        np.c_[weights[f"gate.{s}.weight"], weights[f"gate.{s}.bias"]] for s in range(len(weights)) if f"gate.{s}.bias" in weights
    ]


def test_a_gate_is_averaged_with_its_components():
    each_epoch = [gates_of(GATED.change(epochs=epochs))[0] for epochs in (1, 2, 3)]
    assert np.abs(each_epoch[2] - each_epoch[1]).max() > 1e-3
    (mean,) = gates_of(GATED.change(averaging=SWA(0.34)))
    np.testing.assert_allclose(mean, (each_epoch[1] + each_epoch[2]) / 2, rtol=1e-9, atol=1e-15)
    snapshots = gates_of(GATED.change(averaging=Snapshots(3)))
    assert len(snapshots) == 3
    for found, expected in zip(snapshots, each_epoch, strict=True):
        np.testing.assert_array_equal(found, expected)
    mixture = train(GATED.change(averaging=Snapshots(3)), DATA, seed=0, replica=0, execution=DOUBLE).outputs["test.gate"]
    assert mixture.shape == (6, 30)
    np.testing.assert_allclose(mixture.sum(0), 1, rtol=1e-6)
    first = train(GATED.change(epochs=1), DATA, seed=0, replica=0, execution=DOUBLE).outputs["test.gate"]
    np.testing.assert_allclose(mixture[:2], first / 3, rtol=1e-6)


def test_a_gate_goes_on_from_the_earlier_one():
    frozen = GATED.change(optimizer=SGD(1e-30))
    for earlier in (GATED, GATED.change(averaging=Snapshots(3))):
        weights = train(earlier, DATA, seed=0, replica=0, execution=DOUBLE).weights
        (found,) = gates_of(frozen.change(start=Earlier(earlier)), start=weights)
        np.testing.assert_allclose(found, gates_of(earlier)[-1], rtol=1e-6)
    plain = SMALL.change(method=ensemble(2))
    weights = train(plain, DATA, seed=0, replica=0, execution=DOUBLE).weights
    (found,) = gates_of(frozen.change(start=Earlier(plain)), start=weights)
    assert np.abs(found).max() < 1e-20
    three = GATED.change(method=ensemble(3, "gate"))
    weights = train(GATED, DATA, seed=0, replica=0, execution=DOUBLE).weights
    with pytest.raises(BadSpec, match="gate weighs 2 components, this recipe trains 3"):
        gates_of(three.change(start=Earlier(GATED)), start=weights)


def test_a_loss_may_read_a_sub_network():
    read = Method((Term(CrossEntropy()), Term(Decorrelation(signal="0"), 0.1)), 2, "mean-prob")
    assert not np.array_equal(logits(SMALL.change(method=read)), logits(SMALL.change(method=ensemble(2))))
    missing = Method((Term(CrossEntropy()), Term(Decorrelation(signal="trunk"), 0.1)), 2, "mean-prob")
    with pytest.raises(BadSpec, match="signal 'trunk': component 0 has no sub-network of that name; it has 0, 1, 2"):
        logits(SMALL.change(method=missing))


def test_a_sub_network_has_its_name_where_a_component_sees_some_features():
    read = Method((Term(CrossEntropy()), Term(Decorrelation(signal="0"), 0.1)), 2, "mean-prob")
    some = SMALL.change(method=read, components=(Component(), Component(inputs=tuple(range(32)))))
    training = loop_training(some.resolve(100))
    training.views.enter(0)
    batch = next(iter(batches(some, 100, seed=0, replica=0, epoch=0)))
    seen = training.forward(batch, 0).signals["0"]
    first, second = training.networks
    torch.testing.assert_close(seen, torch.stack([first[0](X[batch.rows]), second.network[0](X[batch.rows][:, :32])]))


def test_components_may_share_a_trunk():
    recipe = SMALL.change(network=SharedTrunk((9,), (5,)), method=ensemble(2))
    networks = build(recipe, DATA, seed=0, replica=0, start=None, dtype=torch.float64)
    assert networks[0][0] is networks[1][0]
    done = train(recipe, DATA, seed=0, replica=0)
    np.testing.assert_array_equal(done.weights["0.0.weight"], done.weights["1.0.weight"])
    trunk, head = 64 * 9, 9 * 5 + 5 * 10
    alone = SMALL.change(network=SharedTrunk((9,), (5,)))
    assert recipe.cost(alone, (64,), 10) == Cost((trunk + 2 * head) / (trunk + head), (trunk + 2 * head) / (trunk + head))


@pytest.mark.parametrize(
    ("change", "train_cost", "serve_cost"),
    [
        ({"sharpness": 0.05}, 2, 1),
        ({"averaging": EMA()}, 1, 1),
        ({"averaging": Snapshots(3)}, 1, 3),
        ({"method": ensemble(2), "own_batches": OwnBatches(0.5)}, 3, 2),
        ({"method": co_distillation(kind="ce", lag_steps=1)}, 2 + 2 / 3, 1),
        ({"method": co_distillation(kind="ce", lag_steps=0)}, 2, 1),
        ({"method": ensemble_distillation(), "teacher": Earlier(SMALL.change(method=ensemble(2)))}, 3, 1),
        ({"start": Earlier(SMALL)}, 1, 1),
    ],
)
def test_costs(change, train_cost, serve_cost):
    cost = SMALL.change(**change).cost(SMALL, (64,), 10)
    assert (cost.train, cost.serve) == (pytest.approx(train_cost), pytest.approx(serve_cost))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"components": (Component(),) * 3}, "got 3 entries for the 1 components"),
        ({"method": ensemble(2), "components": (Component(subset=0.5), Component())}, "needs own_batches"),
        ({"method": ensemble_distillation()}, "learns from a teacher, and the recipe has none"),
        ({"teacher": Earlier(SMALL)}, "no term of the method learns from it"),
        (
            {"method": co_distillation(), "own_batches": OwnBatches()},
            "a share of 0 of 32 rounds to 0 examples, but Agreement reads",
        ),
        ({"method": co_distillation(), "own_batches": OwnBatches(0.01)}, "a share of 0.01 of 32 rounds to 0 examples"),
        ({"method": ensemble(2, "gate"), "own_batches": OwnBatches()}, "but GateCrossEntropy reads"),
        ({"method": averaged_ensemble(), "own_batches": OwnBatches()}, "but EnsembleCrossEntropy reads"),
        (
            {
                "method": Method((*ensemble(2, "gate").terms, Term(Only(Agreement(), (0, 1)))), 3, "gate"),
                "own_batches": OwnBatches(),
            },
            "but GateCrossEntropy, Agreement read ",
        ),
        (
            {
                "method": ensemble_distillation(),
                "teacher": Earlier(SMALL.change(method=Method((Term(CrossEntropy()), Term(GateCrossEntropy())), 2, "gate"))),
            },
            "a gated mixture cannot teach",
        ),
        ({"clip_norm": 0.0}, "clip_norm: got 0.0"),
        ({"sharpness": -1.0}, "sharpness: got -1.0"),
    ],
)
def test_contradictions(change, message):
    with pytest.raises(BadSpec, match=message):
        SMALL.change(**change)


def test_the_features_input_does_not_have():
    recipe = SMALL.change(components=(Component(inputs=(3, 64)),))
    with pytest.raises(BadSpec, match=r"got position 64, but an input has shape \(64,\)"):
        logits(recipe)
