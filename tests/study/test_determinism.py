import json

import pytest
import torch

import traintwice.study.determinism as determinism
from traintwice.averaging import EMA
from traintwice.cli.app import app
from traintwice.data import Digits
from traintwice.engine import Numerics, train
from traintwice.engine.walk import walk
from traintwice.errors import BadSpec, TrainingFailed
from traintwice.methods import ensemble, ensemble_distillation
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.recipes import Earlier, Recipe
from traintwice.study import Audit, audit
from traintwice.study.determinism import Compared, Divergence
from traintwice.study.twin import Twin, here

SOURCE = Digits(train=64, validation=20, test=40)
SMALL = Recipe(network=MLP((8,), batch_norm=True, dropout=0.1), epochs=2, batch_size=32)


def test_a_walk_is_the_training():
    recipe = SMALL.change(averaging=EMA())
    *_, last = walk(SMALL, SOURCE.load(), seed=0, replica=1, steps=4)
    trained = train(SMALL, SOURCE.load(), seed=0, replica=1).weights
    assert {name: value.numpy().tobytes() for name, value in last.items()} == {n: w.tobytes() for n, w in trained.items()}
    assert len(list(walk(recipe, SOURCE.load(), seed=0, replica=1, steps=3))) == 4


def test_everything_fixed_on_a_cpu_is_identical():
    threads = torch.get_num_threads()
    found = audit(SMALL, SOURCE, steps=30)
    assert [c.name for c in found.compared] == ["the same process", "another process", "2 threads"]
    assert [c.divergence for c in found.compared[:2]] == [None, None]
    assert found.deterministic
    assert any("no churn is unavoidable here" in sentence for sentence in found.sentences())
    assert torch.get_num_threads() == threads
    json.dumps(found.to_dict(), allow_nan=False)


def test_threads_that_change_the_sums_are_seen():
    """Batches so large that two threads add them up in another order; what the audit says is what it saw."""
    recipe = SMALL.change(network=MLP((512,)), batch_size=1200)
    found = audit(recipe, Digits(train=1200, validation=20, test=40), steps=3)
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


def test_a_training_that_is_not_deterministic_is_seen(monkeypatch):
    class Beside(Twin):
        """Another process, of which only the name is of interest here."""

        def __init__(self, recipe, source, settings, *, threads):
            self.threads = threads
            self.inner = here(recipe, source.load(), settings)

        def steps(self):
            return self.inner

        def begin(self):
            pass

        def close(self):
            pass

    monkeypatch.setattr(determinism, "Twin", Beside)
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


def test_values_come_from_the_other_process():
    process = Twin(SMALL, SOURCE, {"seed": 0, "replica": 0, "steps": 2}, threads=1)
    try:
        steps = process.steps()
        next(steps)
        _, weights = next(steps)
        walked = walk(SMALL, SOURCE.load(), seed=0, replica=0, steps=2)
        next(walked)
        assert torch.equal(weights["0.0.weight"].float(), next(walked)["0.0.weight"])
        next(steps)
        with pytest.raises(TrainingFailed, match="ended before its time"):
            next(steps)
    finally:
        process.close()


def test_earlier_models_are_trained_as_a_study_trains_them():
    data = SOURCE.load()
    pair = SMALL.change(method=ensemble(2))
    student = SMALL.change(method=ensemble_distillation(), teacher=Earlier(pair), start=Earlier(SMALL, "first"))
    *_, last = walk(student, data, seed=3, replica=1, steps=4)
    start = train(SMALL, data, seed=3, replica=0).weights
    teacher = train(pair, data, seed=3, replica=1).weights
    trained = train(student, data, seed=3, replica=1, start=start, teacher=teacher).weights
    assert {name: value.numpy().tobytes() for name, value in last.items()} == {n: w.tobytes() for n, w in trained.items()}


def test_a_recipe_with_earlier_models_is_checked():
    found = audit(SMALL.change(start=Earlier(SMALL.change(start=Earlier(SMALL)))), SOURCE, steps=4, threads=())
    assert [c.divergence for c in found.compared] == [None, None]
    assert found.deterministic


def test_what_is_said_of_other_devices_and_of_earlier_models():
    parted = Compared("2 threads", 2, Divergence(0, "0.0.weight", 0.25))
    said = " ".join(Audit(SMALL, 4, Numerics.here(threads=1), (parted,), ("cuda",)).sentences())
    assert (
        "other weights before the first step already: an earlier model came out otherwise, first in 0.0.weight, by up to 0.25"
        in said
    )
    assert "All of this is of the cpu, on which studies train. This machine has cuda too, of which nothing was checked." in said
    assert "nothing was checked" not in " ".join(Audit(SMALL, 4, Numerics.here(threads=1), ()).sentences())


def test_mistakes():
    with pytest.raises(BadSpec, match="steps: got 0"):
        audit(SMALL, SOURCE, steps=0)


def test_one_command(capsys):
    for extra in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            app(["check", "digits", "--steps", "4", *extra])
        assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "another process: identical weights after each of 4 steps." in out
    assert json.loads(out.splitlines()[-1])["deterministic"] is True
