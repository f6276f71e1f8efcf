"""How another process finds a function, and what a function takes."""

import functools
import subprocess
import sys

import pytest

from trainings import LABELS, train, train_seed
from traintwice import replicate
from traintwice.errors import BadSpec
from traintwice.replication._replica_run import Run
from traintwice.replication._trainers import FunctionTrainer, reference_to, settings_of, trainer_of


def test_a_function_of_a_module_is_found_by_its_name():
    reference = reference_to(train)
    assert (reference.module, reference.name, reference.pickled) == ("trainings", "train", None)
    assert reference.loaded().function is train


def test_objects_and_partial_functions_are_pickled(tmp_path):
    calm = functools.partial(train, noise=0.1)
    assert reference_to(calm).pickled is not None
    study = replicate(calm, replicas=1, labels=LABELS, store=tmp_path / "a")
    assert len(study.paths["base"]) == 1


class Settings:
    """As of a script: its process has another module __main__ than a worker."""

    def __init__(self, rate):
        self.rate = rate

    def train(self, run):
        return self.rate


def test_a_method_of_an_object_of_a_script_keeps_its_object(monkeypatch):
    for made in (Settings, Settings.train):
        monkeypatch.setattr(made, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", sys.modules[__name__])
    reference = reference_to(Settings(3).train)
    assert reference.script is None
    assert reference.loaded().function(None) == 3


@pytest.mark.parametrize("without", [True, False])
def test_a_function_of_a_session_needs_cloudpickle(tmp_path, without):
    code = "import sys, importlib.util as u\n"
    if without:
        code += "find = u.find_spec; u.find_spec = lambda name, *a: None if name == 'cloudpickle' else find(name, *a)\n"
    code += (
        "import numpy as np, traintwice\n"
        "def session(run): return np.full((5, 2), 0.5)\n"
        f"print(len(traintwice.replicate(session, replicas=1, store={str(tmp_path / 'a')!r}).paths['base']))"
    )
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=False)
    if without:
        assert "session' cannot be sent to another process" in done.stderr or "session cannot be sent" in done.stderr
    else:
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@pytest.mark.parametrize(("function", "seeds"), [(train_seed, True), (train, False)])
def test_what_a_function_takes(function, seeds):
    assert FunctionTrainer(function).takes_seed() == seeds


def test_random_state_is_a_seed():
    assert FunctionTrainer(lambda random_state, depth=3: (random_state, depth)).train(Run("a", 0, {"depth": 5})) == (
        Run("a", 0).seed,
        5,
    )


def test_a_function_without_an_argument():
    with pytest.raises(BadSpec, match="takes no argument"):
        replicate(lambda: None)


def test_texts_are_functions_or_commands():
    assert trainer_of("trainings:train").function is train
    assert trainer_of("python train.py").command == ("python", "train.py")
    with pytest.raises(BadSpec, match="expected a function, or a command"):
        trainer_of([])


@pytest.mark.parametrize(("train", "settings"), [("python train.py", {"a": 1}), (train, "--ema")])
def test_settings_of_another_form(train, settings):
    with pytest.raises(BadSpec, match="recipe 'a'"):
        settings_of({"a": settings}, trainer_of(train))
