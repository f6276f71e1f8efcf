"""Two trainings with the same seed: equal or not, by how much, and which randomness had no seed."""

import pytest

from trainings import train
from traintwice import check_same_seed
from traintwice.errors import TrainingFailed

GLOBALS = """
import random
from trainings import probabilities

def globals_alone(run):
    return probabilities(np.random)[:, :: random.choice([1, -1])]

def seeded(run):
    run.seed_everything()
    return probabilities(np.random)

def own_generator(run):
    return probabilities(np.random.default_rng())

def hash_order(run):
    names = list({"ann", "bob", "cat", "dan", "eve"})
    return probabilities(np.random.default_rng([ord(name[0]) for name in names]))

def fails(run):
    raise ValueError("no data")
"""


def test_equal():
    found = check_same_seed(train)
    assert (found.equal, found.churn, found.largest, found.where, found.unseeded) == (True, 0.0, 0.0, None, ())
    assert "equal predictions on 40 rows" in str(found)


def test_global_generators_are_named(project):
    found = check_same_seed(project(GLOBALS).globals_alone)
    assert not found.equal
    assert found.largest > 0
    assert int(found.where) < 40
    assert set(found.unseeded) == {"NumPy's global generator", "Python's random"}
    assert "drawn from without a seed" in str(found)


def test_a_seeded_generator_is_not_named(project):
    found = check_same_seed(project(GLOBALS).seeded)
    assert (found.equal, found.unseeded) == (True, ())


def test_another_cause_is_not_named(project):
    found = check_same_seed(project(GLOBALS).own_generator)
    assert (found.equal, found.unseeded, found.hash_seed) == (False, (), False)
    assert "the cause was not found" in str(found)


def test_the_order_of_sets(project):
    found = check_same_seed(project(GLOBALS).hash_order)
    assert found.hash_seed


def test_a_failure_has_its_traceback(project):
    with pytest.raises(TrainingFailed, match=r"(?s)no data.*mytrain\.py"):
        check_same_seed(project(GLOBALS).fails)
