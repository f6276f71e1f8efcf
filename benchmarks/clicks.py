"""Rows per second and peak memory of a stream of click-like rows, read from a generated file of Criteo's format.

python benchmarks/clicks.py --rows 10000000
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from traintwice.data import Criteo
from traintwice.data._criteo import CATEGORIES, NUMBERS
from traintwice.engine import train
from traintwice.methods import baseline, ensemble
from traintwice.nets import Towers
from traintwice.optimizers import AdaGrad
from traintwice.progressive import Progressive
from traintwice.recipes import Recipe

BLOCK = 100_000
DISTINCT = 20_000


def generate(path: Path, rows: int) -> None:
    """Lines whose label depends on two of the columns; a tenth of the fields are empty."""
    rng = np.random.default_rng(0)
    words = np.array([b"%08x" % w for w in rng.integers(0, 2**32, DISTINCT)], dtype="S8")
    chances = 1 / (1 + np.exp(2.0 - rng.normal(size=DISTINCT)))
    with path.open("wb") as file:
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            which = (DISTINCT * rng.random((count, CATEGORIES)) ** 3).astype(int)
            numbers = rng.integers(-2, 1000, (count, NUMBERS))
            labels = rng.random(count) < (chances[which[:, 0]] + (numbers[:, 0] > 500) * 0.1)
            texts = words[which]
            texts[rng.random(texts.shape) < 0.1] = b""
            whole = numbers.astype("S6")
            whole[rng.random(whole.shape) < 0.1] = b""
            lines = np.concatenate([labels.astype(int).astype("S1")[:, None], whole.astype("S8"), texts], axis=1)
            file.write(b"\n".join(map(b"\t".join, lines.tolist())) + b"\n")


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(path: Path, rows: int, components: int, buckets: int) -> None:
    """Print one line for each stage, in CPU seconds of this process."""
    print(f"{rows:,} rows, {path.stat().st_size / 2**20:,.0f} MiB; peak before anything is read {peak_mib():,.0f} MiB")
    begun = time.process_time()
    data = Criteo(str(path), buckets=buckets).load()
    took = time.process_time() - begun
    print(f"finding lines, labels and digest: {rows / took:,.0f} rows/s, peak {peak_mib():,.0f} MiB")
    begun = time.process_time()
    some = min(rows, 500_000)
    for start in range(0, some, 512):
        data.train.inputs.read(np.arange(start, min(start + 512, some)))
    took = time.process_time() - begun
    print(f"parsing and hashing:              {some / took:,.0f} rows/s, peak {peak_mib():,.0f} MiB")
    recipe = Recipe(
        network=Towers(sparse=True),
        method=baseline() if components == 1 else ensemble(components),
        optimizer=AdaGrad(0.05),
        epochs=1,
        batch_size=1024,
        progressive=Progressive(),
    )
    begun = time.process_time()
    done = train(recipe, data, seed=0, replica=0)
    took = time.process_time() - begun
    print(f"one pass, {components} component(s):         {rows / took:,.0f} rows/s, peak {peak_mib():,.0f} MiB")
    logits = done.outputs["test"][:, :, 1].astype(np.float64)
    loss = np.logaddexp(0, np.where(data.test.labels == 1, -logits, logits)).mean()
    rate = data.test.labels.mean()
    print(f"log loss {loss:.4f}; of the mean label {-rate * np.log(rate) - (1 - rate) * np.log(1 - rate):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--components", type=int, default=1)
    parser.add_argument("--buckets", type=int, default=65_536)
    parser.add_argument("--file", type=Path, help="keep the generated file here and use it again")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = given.file or Path(folder) / "clicks.txt"
        if not path.exists():
            child = os.fork()  # so that its memory does not count
            if child == 0:
                generate(path, given.rows)
                os._exit(0)
            os.waitpid(child, 0)
        measure(path, given.rows, given.components, given.buckets)


if __name__ == "__main__":
    main()
