"""A small stream and a recipe that trains on it."""

import numpy as np

from traintwice.data import Columns, Dataset, Split
from traintwice.data._splits import reported
from traintwice.nets import Towers
from traintwice.optimizers import AdaGrad
from traintwice.progressive import Progressive
from traintwice.recipes import Recipe

N = 400
SMALL = Recipe(network=Towers((6, 4), embedding=3), optimizer=AdaGrad(0.1), epochs=1, batch_size=20, progressive=Progressive(1))


def stream_of(labels=None, seed=0):
    """A stream whose label hangs on one column; all of it is reported."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, (5, 30), (N, 2))
    inputs = np.concatenate([rng.normal(size=(N, 2)), codes], axis=1).astype(np.float32)
    known = (rng.random(N) < np.where(codes[:, 0] < 2, 0.8, 0.1)).astype(np.int64)
    labels = known if labels is None else labels
    places = reported(N, warm_up=0.1, validation=0.1, most=N)
    parts = [Split(inputs[places[name]], labels[places[name]]) for name in ("validation", "test")]
    columns = Columns(("a", "b"), ("c", "d"), (5, 30))
    return Dataset("made", 2, Split(inputs, labels), *parts, columns=columns, places=places)
