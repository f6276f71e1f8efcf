"""The models of `traintwice demo`: small networks on real flights, and the files of their predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from traintwice._files import write_whole
from traintwice.data._flights import SAMPLE_NAMES as NAMES
from traintwice.data._flights import flights_sample
from traintwice.errors import StoreError

RETRAINS = 5
FIRST_TEST_MONTH = 9
HIDDEN, EPOCHS, BATCH, RATE = 32, 12, 32, 0.4
GROUPS = ("month", *NAMES)
WEATHER = ("temp", "wind_speed", "log_rain", "visib")


def train_and_write(out: Path) -> int:
    """Train the old model, its retrains and the new model, and write their predictions of the last months.

    Returns:
        Rows of each file.
    Raises:
        StoreError: the files cannot be written.
    """
    flights = flights_sample()
    test = flights["month"] >= FIRST_TEST_MONTH
    plain, known = (_inputs(flights, names, test) for names in ((), WEATHER))
    late = flights["late"].astype(np.float64)
    models = {"old": (plain, 0), "new": (known, 1), **{f"again{k}": (plain, 2 + k) for k in range(RETRAINS)}}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, (inputs, seed) in models.items():
            score = _score(inputs[~test], late[~test], inputs[test], seed)
            columns = [flights["flight"][test], score, flights["late"][test], *(flights[n][test] for n in GROUPS)]
            rows = (f"{i},{p:.6f},{y},{','.join(map(str, groups))}" for i, p, y, *groups in zip(*columns, strict=True))
            write_whole(out / f"{name}.csv", "\n".join([f"id,p,y,{','.join(GROUPS)}", *rows, ""]).encode())
    except OSError as error:
        raise StoreError(
            f"{out}: the files of the demo cannot be written there ({error.strerror}); choose another --out"
        ) from None
    return int(test.sum())


def _inputs(flights: Mapping[str, np.ndarray], weather: Sequence[str], test: np.ndarray) -> np.ndarray:
    """Columns of a network: hour and month as waves, distance, carrier, origin and dest as 0 and 1, and the weather."""
    waves = [f(2 * np.pi * flights[name] / n) for name, n in (("hour", 24), ("month", 12)) for f in (np.sin, np.cos)]
    of_names = [flights[name] == value for name in NAMES for value in sorted(set(flights[name]))]
    numbers = np.stack([*waves, *(flights[name] for name in ("log_distance", *weather))], axis=1).astype(np.float64)
    mean, spread = np.nanmean(numbers[~test], axis=0), np.nanstd(numbers[~test], axis=0)
    return np.concatenate([np.nan_to_num((numbers - mean) / spread), np.stack(of_names, axis=1)], axis=1)


def _score(inputs: np.ndarray, late: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities of a network with one hidden layer, trained by SGD; the seed gives its weights and the order of rows."""
    rng = np.random.default_rng(seed)
    first = rng.normal(scale=inputs.shape[1] ** -0.5, size=(inputs.shape[1], HIDDEN))
    last, shift, bias = rng.normal(scale=HIDDEN**-0.5, size=HIDDEN), np.zeros(HIDDEN), 0.0
    for epoch in range(EPOCHS):
        rate = RATE * (1 - 0.9 * epoch / EPOCHS)
        order = rng.permutation(len(inputs))
        for rows in (order[start : start + BATCH] for start in range(0, len(order), BATCH)):
            hidden = np.maximum(inputs[rows] @ first + shift, 0)
            error = (1 / (1 + np.exp(-(hidden @ last + bias))) - late[rows]) / len(rows)
            back = np.outer(error, last) * (hidden > 0)
            last, bias = last - rate * hidden.T @ error, bias - rate * error.sum()
            first, shift = first - rate * inputs[rows].T @ back, shift - rate * back.sum(axis=0)
    found: np.ndarray = 1 / (1 + np.exp(-(np.maximum(test @ first + shift, 0) @ last + bias)))
    return found
