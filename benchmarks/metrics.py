"""Time of the metrics in units of reading their array once, and against scikit-learn over all pairs.

    PYTHONPATH=src python benchmarks/metrics.py [--examples 1000000] [--replicas 10] [--classes 10] [--repeat 3]

Reading once is ``array.sum()``, one pass that no measure can do without. The best of several runs is taken; only ratios within
one run mean anything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
from sklearn.metrics import zero_one_loss

from traintwice.metrics import ALL, churn, delta_1, pairwise_l1, surrogate_churn
from traintwice.predictions import Predictions


def best(call: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest of several calls."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def scikit_learn_churn(labels: np.ndarray) -> float:
    """The same number, pair by pair."""
    return float(np.mean([zero_one_loss(a, b) for a, b in combinations(labels, 2)]))


def draw(replicas: int, examples: int, classes: int) -> np.ndarray:
    """Softmax of random logits, a block at a time so that drawing needs no second array."""
    rng = np.random.default_rng(0)
    probs = np.empty((replicas, examples, classes))
    for start in range(0, examples, 50_000):
        common = 2 * rng.standard_normal((1, min(50_000, examples - start), classes))
        z = np.exp(common + 0.5 * rng.standard_normal((replicas, *common.shape[1:])))
        probs[:, start : start + 50_000] = z / z.sum(axis=2, keepdims=True)
    return probs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("examples", 1_000_000), ("replicas", 10), ("classes", 10), ("repeat", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--all", action="store_true", help="time every metric, and its interval, on a tenth of the examples too")
    args = parser.parse_args()
    probs = draw(args.replicas, args.examples, args.classes)
    print(f"M={args.replicas} N={args.examples:,} K={args.classes} float64, best of {args.repeat}")

    read = best(lambda: probs.sum(), args.repeat)
    p = Predictions(probs)
    print(f"reading once               1.0   ({read:.3f} s)")
    print(f"checking the array      {best(lambda: Predictions(probs), 1) / read:6.1f}")
    print(f"argmax                  {best(lambda: Predictions(probs).slice(0, args.examples).votes, 1) / read:6.1f}")
    votes = p.votes
    for metric in (churn, delta_1, pairwise_l1, surrogate_churn):
        # A fresh slice each time: nothing but the predicted labels is remembered between calls.
        took = best(lambda metric=metric: metric(_fresh(p)), args.repeat)
        print(f"{metric.__name__:22}  {took / read:6.1f}")

    for kind in (np.int64, np.uint8):
        labels = votes.astype(kind)
        ours = best(lambda labels=labels: churn(labels), 3 * args.repeat)
        theirs = best(lambda labels=labels: scikit_learn_churn(labels), 1)
        assert abs(churn(labels) - scikit_learn_churn(labels)) < 1e-12
        name = np.dtype(kind).name
        print(f"churn of {name} labels, checks included: {theirs / ours:.0f} times faster than scikit-learn over all pairs")

    if args.all:
        few = Predictions(
            probs[:, : args.examples // 10], np.random.default_rng(1).integers(0, args.classes, args.examples // 10)
        )
        few_read = best(lambda: probs[:, : args.examples // 10].sum(), args.repeat)
        print("\n                            number  with all for its interval, in units of reading once")
        for metric in ALL:
            if metric.definition.missing(few) is None:
                number = best(lambda metric=metric: metric(_fresh(few)), 1)
                whole = best(lambda metric=metric: metric.measure(_fresh(few)), 1)
                print(f"{metric.__name__:26}{number / few_read:8.1f}{whole / few_read:8.1f}")


def _fresh(p: Predictions) -> Predictions:
    """The same predictions with only the predicted labels remembered."""
    _ = p.votes
    return p.slice(0, p.examples)


if __name__ == "__main__":
    main()
