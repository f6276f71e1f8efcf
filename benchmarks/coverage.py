"""What nominal 95 % intervals cover: ours, and the usual wrong one that takes pairs of replicas as independent.

    python benchmarks/coverage.py --draws 1000 --rows 500

Two simulated worlds. A binary model errs on example n where a latent normal z_mn exceeds a threshold of the example. Independent:
the z of replicas differ on every example. Shared: each replica also has a factor of its own, so that its errors on two examples
correlate (latent correlation 0.2). The true churn over new replicas and examples, and over new replicas on each test set, is
computed by numerical integration, not simulated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from traintwice.compare.intervals import t_quantile

from traintwice.compare import interval
from traintwice.metrics import churn, churn_matrix

REPLICAS = (3, 4, 5, 10, 20)
CORRELATION = {"independent errors": 0.0, "shared replica factor": 0.2}
CENTRE, SPREAD = -1.6, 1.0
"""Mean and standard deviation over examples of the latent threshold: churn is about 18 %."""


@dataclass(frozen=True)
class Coverage:
    """Share of intervals that held the truth, and their mean half-width in units of the truth."""

    world: str
    replicas: int
    both: float
    this_test_set: float
    pairs_as_independent: float
    half_width: float


def churn_of_example(threshold: np.ndarray) -> np.ndarray:
    """Chance that two replicas disagree on an example: each errs with probability Φ(threshold), independently."""
    error = special.ndtr(threshold)
    return 2 * error * (1 - error)


def true_churn() -> float:
    """Mean over all examples, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    return float(weights @ churn_of_example(CENTRE + SPREAD * nodes) / weights.sum())


def draw(rng: np.random.Generator, replicas: int, rows: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Votes ``M N`` and the thresholds of the examples ``N``."""
    thresholds = CENTRE + SPREAD * rng.normal(size=rows)
    own = rng.normal(size=(replicas, 1)) * np.sqrt(correlation)
    latent = own + rng.normal(size=(replicas, rows)) * np.sqrt(1 - correlation)
    return (latent < thresholds).astype(np.int64), thresholds


def coverage(world: str, replicas: int, *, draws: int, rows: int, seed: int = 0) -> Coverage:
    """Simulate one cell of the table."""
    rng = np.random.default_rng([seed, replicas, list(CORRELATION).index(world)])
    truth, hits, widths = true_churn(), np.zeros(3), 0.0
    for _ in range(draws):
        votes, thresholds = draw(rng, replicas, rows, CORRELATION[world])
        measured = churn.measure(votes)
        both, here = interval(measured), interval(measured, target="replicas")
        pairs = churn_matrix(votes)[np.triu_indices(replicas, 1)]
        half = t_quantile(0.975, len(pairs) - 1) * pairs.std(ddof=1) / np.sqrt(len(pairs))
        this_set = churn_of_example(thresholds).mean()
        hits += [both.low <= truth <= both.high, here.low <= this_set <= here.high, abs(pairs.mean() - truth) <= half]
        widths += both.half_width
    return Coverage(world, replicas, *(hits / draws), widths / draws / truth)


def study(*, draws: int, rows: int, replicas: tuple[int, ...] = REPLICAS, seed: int = 0) -> Iterator[Coverage]:
    """Every cell of the table."""
    for world in CORRELATION:
        for m in replicas:
            yield coverage(world, m, draws=draws, rows=rows, seed=seed)


def markdown(found: list[Coverage]) -> str:
    """The table as it stands in the docs."""
    lines = [
        "| world | M | both | this test set | pairs as independent (wrong) | half-width / churn |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {c.world} | {c.replicas} | {100 * c.both:.1f} % | {100 * c.this_test_set:.1f} % | {100 * c.pairs_as_independent:.1f} % | "
        f"{c.half_width:.2f} |"
        for c in found
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = []
    for cell in study(draws=options.draws, rows=options.rows, seed=options.seed):
        found.append(cell)
        print(f"{cell.world}, M = {cell.replicas}", file=sys.stderr)
    low, high = (100 * edge / options.draws for edge in stats.binom.interval(0.95, options.draws, 0.95))
    print(markdown(found))
    print(f"\n{options.draws:,} draws of {options.rows:,} rows. An exact 95 % would show as {low:.1f} to {high:.1f} % here.")


if __name__ == "__main__":
    main()
