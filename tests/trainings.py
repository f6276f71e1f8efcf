"""Training functions of a few lines, for the tests of replication."""

import numpy as np

LABELS = np.array([0, 1] * 20)


def probabilities(rng, rows=40, noise=1.0):
    """Random probabilities of two classes that follow `LABELS`."""
    z = (2 * np.resize(LABELS, rows) - 1) * 0.5 + noise * rng.normal(size=rows)
    p = 1 / (1 + np.exp(-z))
    return np.stack([1 - p, p], axis=1)


def train(run, noise=1.0):
    """A training by its stream "init"."""
    return probabilities(run.stream("init"), noise=noise)


def train_seed(seed):
    """A training by its seed."""
    return probabilities(np.random.default_rng(seed))
