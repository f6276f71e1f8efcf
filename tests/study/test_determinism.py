import json

import numpy as np
import pytest
import torch

import traintwice.engine._run as iterating
import traintwice.study._determinism as determinism
from heavy import heavy
from traintwice.averaging import EMA
from traintwice.cli._app import app
from traintwice.data import Digits
from traintwice.engine import Choice, Execution, Numerics, choose, train_group
from traintwice.engine import _choosing as choosing
from traintwice.engine._run import iterate_weights
from traintwice.engine._stacked import StackedGroup
from traintwice.errors import BadSpec, Diverged, TrainingFailed
from traintwice.methods import ensemble, ensemble_distillation
from traintwice.nets import MLP, LeNet5
from traintwice.optimizers import SGD
from traintwice.presets import PRESETS
from traintwice.recipes import Earlier, Recipe
from traintwice.study import Audit, audit
from traintwice.study._determinism import Compared, Divergence, Followed, Here, RemoteRun

SOURCE = Digits(train=64, validation=20, test=40)
SMALL = Recipe(network=MLP((8,), batch_norm=True, dropout=0.1), epochs=2, batch_size=32)
LOOP = Choice("loop", "requested")


def bits(weights):
    return {name: np.asarray(value).tobytes() for name, value in weights.items()}


def trained_by(engine, recipe, data, **settings):
    ((_, made),) = train_group(recipe, data, execution=Execution(engine), **settings)
    return made.weights


@pytest.mark.parametrize("engine", ["loop", "stacked"])
@pytest.mark.parametrize("recipe", [SMALL, SMALL.change(method=ensemble(2)), SMALL.change(optimizer=SGD(0.1))])
def test_a_walk_is_the_training(engine, recipe):
    data = SOURCE.load()
    *_, last = iterate_weights(recipe, data, seed=0, replica=1, steps=4, execution=Execution(engine))
    assert bits(last) == bits(trained_by(engine, recipe, data, seed=0, replicas=[1]))
    assert (
        len(list(iterate_weights(recipe.change(averaging=EMA()), data, seed=0, replica=1, steps=3, execution=Execution(engine))))
        == 4
    )


@pytest.fixture
def _stacked_on_every_processor(monkeypatch):
    monkeypatch.setattr(choosing, "placement_changes_bits", lambda *_: False)


@pytest.mark.usefixtures("_stacked_on_every_processor")
def test_a_walk_takes_the_engine_of_a_study(monkeypatch):
    groups = []

    class Counted(StackedGroup):
        def _blocks(self):
            groups.append(self.replicas)
            return super()._blocks()

    monkeypatch.setitem(iterating.KINDS, "stacked", Counted)
    for engine, expected in (("auto", [[1, 1]]), ("stacked", [[1, 1]]), ("loop", [])):
        next(iterate_weights(SMALL, SOURCE.load(), seed=0, replica=1, steps=4, execution=Execution(engine)))
        assert groups == expected
        groups.clear()


@pytest.mark.parametrize("others", [(3,), (5, 2), (0, 2, 3, 4)])
def test_a_walk_beside_others_is_that_of_a_replica_alone(others):
    """Weights after every step, wherever in the group it stands."""
    data, recipe = SOURCE.load(), SMALL.change(network=MLP((9, 7), batch_norm=True, dropout=0.1), batch_size=17)
    alone, among = (iterate_weights(recipe, data, seed=0, replica=1, steps=9, others=b) for b in ((), others))
    for mine, other in zip(alone, among, strict=True):
        assert bits(mine) == bits(other)


def test_a_walk_ends_where_its_replica_diverges_and_not_where_another_does():
    data, recipe = (
        SOURCE.load(),
        SMALL.change(network=MLP((8,)), start=Earlier(SMALL.change(network=MLP((8,)), optimizer=SGD(0.1)))),
    )

    def walked(replica, others=()):
        return [bits(w) for w in iterate_weights(recipe, data, seed=0, replica=replica, steps=4, others=others)]

    alone = walked(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(iterating, "_trained", blown_up(iterating._trained, 2))
        assert walked(1, (2, 0)) == alone
        with pytest.raises(Diverged, match="at step 0 "):
            walked(2)


def blown_up(trained, bad):
    """Earlier models of which one has weights so large that its loss overflows."""

    def made(earlier, *args, **settings):
        weights = trained(earlier, *args, **settings)
        return {r: {n: w * (1e30 if r == bad else 1) for n, w in own.items()} for r, own in weights.items()}

    return made


@pytest.mark.parametrize("engine", ["auto", "loop"])
def test_everything_fixed_on_a_cpu_is_identical(engine, monkeypatch):
    if engine == "loop":  # of which the next test compares other processes
        monkeypatch.setattr(determinism, "RemoteRun", InThisProcess)
    threads, chosen = torch.get_num_threads(), choose(SMALL, SOURCE.load(), Execution(engine))
    last = "2 threads" if chosen.engine == "loop" else "another process, with two others"
    found = audit(SMALL, SOURCE, steps=30, execution=Execution(engine))
    assert [c.name for c in found.compared] == ["the same process", "another process", last]
    assert [c.divergence for c in found.compared[:2]] == [None, None]
    assert found.deterministic
    assert found.choice == chosen
    assert found.numerics.engine == found.choice.engine == found.to_dict()["engine"]
    assert any("works on one thread" in sentence for sentence in found.sentences()) == (chosen.engine != "loop")
    assert any("no churn is unavoidable here" in sentence for sentence in found.sentences())
    assert torch.get_num_threads() == threads
    json.dumps(found.to_dict(), allow_nan=False)


@heavy
def test_threads_that_change_the_sums_are_seen():
    """Batches so large that two threads add them up in another order; what the audit says is what it saw."""
    recipe = SMALL.change(network=MLP((512,)), batch_size=1200)
    found = audit(recipe, Digits(train=1200, validation=20, test=40), steps=3, execution=Execution("loop"))
    assert found.deterministic
    parted = found.compared[2].divergence
    assert any("Another number of threads" in s for s in found.sentences()) == (parted is not None)
    if parted is not None:
        assert 1 <= parted.step <= 3
        assert parted.size > 0


class Noisy:
    """An optimiser that a hidden state moves: at the third step of every second training it adds a little to one weight."""

    lr = 0.1

    def __init__(self):
        self.built = 0

    def build(self, parameters):
        self.built += 1
        optimizer = SGD(0.1).build(parameters)
        mine, steps, plain = self.built, [0], optimizer.step

        def step():
            plain()
            steps[0] += 1
            if steps[0] == 3 and mine % 2 == 0:
                with torch.no_grad():
                    optimizer.param_groups[0]["params"][-2].view(-1)[0] += 0.5

        optimizer.step = step
        return optimizer


class InThisProcess(Here):
    """Another process, of which only the name is of interest here."""

    def __init__(self, followed, source, *, threads=1):
        super().__init__(followed, source.load())
        self.threads = threads

    def close(self):
        pass


@pytest.mark.usefixtures("_stacked_on_every_processor")
def test_a_replica_that_others_change_is_seen(monkeypatch):
    """A stacked engine in which a replica of a group of three gets a little of its neighbour's weights at the second step."""

    class Leaking(StackedGroup):
        def step(self, batch, step):
            failed = super().step(batch, step)
            if step == 1 and len(self.replicas) == 3:
                own = self.layers[0].bias.of(self.parameters)
                own[1, 3] += 0.25
            return failed

    monkeypatch.setattr(determinism, "RemoteRun", InThisProcess)
    monkeypatch.setitem(iterating.KINDS, "stacked", Leaking)
    found = audit(SMALL, SOURCE, steps=4)
    *alone, others = found.compared
    assert [c.divergence for c in alone] == [None, None]
    assert others.others == (1, 2)
    assert (others.divergence.step, others.divergence.parameter) == (2, "0.0.bias")
    assert others.divergence.size == pytest.approx(0.25, rel=1e-5)
    assert not found.deterministic
    said = " ".join(found.sentences())
    assert "another process, with two others: other weights from step 2 on, first in 0.0.bias, by up to 0.25." in said
    assert "what is trained with it changes it" in said


def test_a_training_that_is_not_deterministic_is_seen(monkeypatch):
    monkeypatch.setattr(determinism, "RemoteRun", InThisProcess)
    found = audit(SMALL.change(network=MLP((8,)), optimizer=Noisy()), SOURCE, steps=5, threads=())
    same_process, other_process = found.compared
    parted = [c.divergence for c in (same_process, other_process)]
    (seen,) = [d for d in parted if d is not None]
    assert (seen.step, seen.parameter) == (3, "0.2.weight")
    assert seen.size == pytest.approx(0.5, rel=1e-5)
    assert not found.deterministic
    said = " ".join(found.sentences())
    assert "other weights from step 3 on, first in 0.2.weight, by up to 0.5." in said
    assert "cannot be avoided here" in said


@heavy
def test_values_come_from_the_other_process():
    process = RemoteRun(Followed(SMALL, seed=0, replica=0, steps=2), SOURCE)
    try:
        for _ in range(2):
            process.begin()
            process.step()
        walked = iterate_weights(SMALL, SOURCE.load(), seed=0, replica=0, steps=2)
        next(walked)
        assert torch.equal(process.values("0.0.weight").float(), next(walked)["0.0.weight"])
        process.begin()
        process.step()
        process.begin()
        with pytest.raises(TrainingFailed, match="ended before its time"):
            process.step()
    finally:
        process.close()


@pytest.mark.parametrize("engine", ["loop", "auto"])
def test_earlier_models_are_trained_as_a_study_trains_them(engine):
    data = SOURCE.load()
    pair = SMALL.change(method=ensemble(2))
    student = SMALL.change(method=ensemble_distillation(), teacher=Earlier(pair), start=Earlier(SMALL, "first"))
    *_, last = iterate_weights(
        student, data, seed=3, replica=1, steps=4, execution=Execution(engine), others=() if engine == "loop" else (2,)
    )
    starts = {1: trained_by(engine, SMALL, data, seed=3, replicas=[0])}
    teachers = {1: trained_by(engine, pair, data, seed=3, replicas=[1])}
    assert bits(last) == bits(trained_by(engine, student, data, seed=3, replicas=[1], starts=starts, teachers=teachers))


def test_an_earlier_model_that_diverges_ends_a_walk():
    wild = SMALL.change(network=MLP((8,)), optimizer=SGD(1e30))
    with pytest.raises(Diverged):
        next(iterate_weights(SMALL.change(network=MLP((8,)), start=Earlier(wild)), SOURCE.load(), seed=0, replica=0, steps=2))


def test_a_recipe_with_earlier_models_is_checked(monkeypatch):
    monkeypatch.setattr(determinism, "RemoteRun", InThisProcess)
    found = audit(SMALL.change(start=Earlier(SMALL.change(start=Earlier(SMALL)))), SOURCE, steps=4, threads=())
    assert {c.divergence for c in found.compared} == {None}
    assert found.deterministic


def test_a_stream_is_walked_to_its_end(streamed, monkeypatch):
    monkeypatch.setattr(determinism, "RemoteRun", InThisProcess)
    recipe, source = streamed.experiment.rows["plain"], streamed.experiment.data
    steps = recipe.steps_per_epoch(len(source.load().train))
    found = audit(recipe, source, steps=steps + 7, threads=())
    assert (found.steps, found.asked) == (steps, steps + 7)
    assert [c.divergence for c in found.compared] == [None, None]
    assert found.sentences()[0].startswith(
        f"The stream is trained on in one pass of {steps:,} steps; {steps + 7:,} were asked for"
    )
    assert found.to_dict()["asked"] == steps + 7
    fewer = audit(recipe, source, steps=3, threads=())
    assert (fewer.steps, fewer.asked) == (3, 3)
    assert "one pass" not in " ".join(fewer.sentences())


def test_what_is_said_of_other_devices_and_of_earlier_models():
    parted = Compared("2 threads", 2, Divergence(0, "0.0.weight", 0.25))
    said = " ".join(Audit(SMALL, 4, 4, LOOP, Numerics.here(threads=1), (parted,), ("cuda",)).sentences())
    assert (
        "other weights before the first step already: an earlier model came out otherwise, first in 0.0.weight, by up to 0.25"
        in said
    )
    assert "All of this is of the cpu, on which studies train. This machine has cuda too, of which nothing was checked." in said
    assert "nothing was checked" not in " ".join(Audit(SMALL, 4, 4, LOOP, Numerics.here(threads=1), ()).sentences())


def test_a_replica_that_others_change_is_no_defect_where_rounding_was_promised():
    parted = Compared("another process, with two others", 1, Divergence(3, "0.0.weight", 1e-8), others=(1, 2))
    choice, numerics = Choice("vectorised", "requested"), Numerics.here(Execution("vectorised"), threads=1)
    said = " ".join(Audit(SMALL, 4, 4, choice, numerics, (Compared("the same process", 1, None), parted)).sentences())
    assert "agrees with the loop engine to rounding and does not promise equal bits. Take the loop engine" in said
    assert "defect" not in said


@pytest.mark.usefixtures("_stacked_on_every_processor")
def test_mistakes():
    with pytest.raises(BadSpec, match="steps: got 0"):
        audit(SMALL, SOURCE, steps=0)
    with pytest.raises(BadSpec, match="threads: got 2, 4, but the stacked engine works on one thread"):
        audit(SMALL, SOURCE, steps=1, threads=(2, 4))
    with pytest.raises(BadSpec, match="LeNet5 is not an MLP"):
        audit(SMALL.change(network=LeNet5()), SOURCE, steps=1, execution=Execution("stacked"))


def test_one_command(capsys, monkeypatch):
    monkeypatch.setattr(determinism, "RemoteRun", InThisProcess)
    for extra in ([], ["--engine", "loop", "--json"]):
        with pytest.raises(SystemExit) as ended:
            app(["check", "digits", "--steps", "4", *extra])
        assert ended.value.code == 0
    out = capsys.readouterr().out
    experiment = PRESETS["digits"]()
    choice = choose(experiment.rows[experiment.baseline], experiment.data.load())
    assert f"engine: {choice.engine}: {choice.reason}" in " ".join(out.split())
    assert "another process: identical weights after each of 4 steps." in out
    assert ("another process, with two others: identical weights" in out) == (choice.engine == "stacked")
    plain = json.loads(out.splitlines()[-1])
    assert (plain["engine"], plain["reason"], plain["deterministic"]) == ("loop", "requested", True)
    with pytest.raises(BadSpec, match="--engine"):
        app(["check", "digits", "--engine", "fast"], standalone_mode=False)
