"""Methods on real data, for churn between seeds and for churn between draws of the training data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from traintwice import controls, metrics
from traintwice.augmentation import Augmentation, CropFlip
from traintwice.averaging import EMA
from traintwice.compare import Difference, compare_with_baseline
from traintwice.components import Sample
from traintwice.data import CIFAR10, FashionMNIST, Source
from traintwice.errors import unknown
from traintwice.methods import anti_distillation, co_distillation, elodi, ensemble, logged_distillation, neighbour_smoothing
from traintwice.nets import MLP, LeNet5, Network, ResNet
from traintwice.optimizers import Adam
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import LinearDecay
from traintwice.specs import encode
from traintwice.study import Experiment, Results
from traintwice.types import Estimate
from traintwice_reproduction.kept import KEPT, rounded
from traintwice_reproduction.studies.ad_mnist import ad_mnist
from traintwice_reproduction.studies.chosen import chosen
from traintwice_reproduction.studies.claims import distilled
from traintwice_reproduction.studies.rivals import rivals_flights

FOLDER = KEPT / "evidence"

MOST_IN_BANK = 4_000_000
"""Predictions (rows x replicas x test examples) of a study that are kept one by one; of larger ones only the measures are."""


@dataclass(frozen=True)
class Benchmark:
    """A data set with a network, and the settings of its two baselines.

    Args:
        data: of the study of seeds.
        drawn: of the study of draws; its replicas train on ``sample`` of it.
        sample: of each replica in the study of draws.
        network, epochs, batch_size, augmentation: of every recipe.
        rate: of the plain baseline.
        strong_rate, decay: of the well-regularised baseline, Adam with decoupled weight decay.
        replicas: M.
    """

    data: Source
    drawn: Source
    sample: Sample
    network: Network
    epochs: int
    batch_size: int
    rate: float
    strong_rate: float
    decay: float
    augmentation: Augmentation | None = None
    replicas: int = 10


FRESH = Sample(0.25, replace=False)
"""10,000 of 40,000 pictures: two replicas share a quarter of theirs."""

NARROW = ResNet(((3, 8, 1), (3, 16, 2), (3, 32, 2)))
"""ResNet-20 with half the filters."""

BENCHMARKS: dict[str, Benchmark] = {
    "cifar-lenet5": Benchmark(CIFAR10(train=10_000), CIFAR10(train=40_000), FRESH, LeNet5(), 15, 128, 2e-3, 3e-3, 1.0),
    "cifar-lenet5-50k": Benchmark(
        CIFAR10(validation=1_000), CIFAR10(validation=1_000), Sample(), LeNet5(), 15, 128, 2e-3, 3e-3, 0.3
    ),
    "cifar-resnet": Benchmark(
        CIFAR10(train=10_000), CIFAR10(train=40_000), FRESH, NARROW, 15, 128, 2e-3, 3e-3, 1.0, augmentation=CropFlip()
    ),
    "fashion": Benchmark(
        FashionMNIST(train=10_000),
        FashionMNIST(train=40_000),
        FRESH,
        MLP((128, 128)),
        15,
        128,
        1e-3,
        2e-3,
        1.0,
        replicas=20,
    ),
}
"""CIFAR-10 may be the official pictures or their JPEG copy; the digest of the data says which.

The settings of the baselines are those of `python -m traintwice_reproduction choices evidence-NAME` where it has been run, which chooses
them on other replicas and on the validation split. The defaults come from a first look at five replicas."""


def baselines(name: str) -> dict[str, Recipe]:
    """The plain and the well-regularised baseline of a benchmark, both with linear decay of the rate and an average of the weights."""
    b, choice = BENCHMARKS[name], f"evidence-{name}"
    plain = Recipe(
        network=b.network,
        optimizer=Adam(lr=chosen(choice, "rate", b.rate)),
        lr_schedule=LinearDecay(),
        averaging=EMA(),
        epochs=b.epochs,
        batch_size=b.batch_size,
        augmentation=b.augmentation,
    )
    rate, decay = (chosen(choice, f"{s} of the well regularised", d) for s, d in (("rate", b.strong_rate), ("decay", b.decay)))
    return {"decay + EMA": plain, "well regularised": plain.change(optimizer=Adam(lr=rate, weight_decay=decay, decoupled=True))}


def logged(base: Recipe) -> Recipe:
    """The recipe with half of its targets from the predictions of one deployed model of it."""
    return base.change(method=logged_distillation(), teacher=Earlier(base, replica="first"))


METHODS: dict[str, Callable[[Recipe], Recipe]] = {
    "twice the epochs": controls.twice_the_epochs,
    "co-distillation": lambda base: base.change(method=co_distillation(1.0)),
    "logged distillation": logged,
    "ensemble of 2": lambda base: base.change(method=ensemble(2)),
    "distillation of 2": distilled,
    "anti-distillation of 2": lambda base: base.change(method=anti_distillation(2, 0.02)),
}
"""Methods that are tried on the well-regularised baseline."""

ON_PLAIN = ("co-distillation", "ensemble of 2")
"""Methods that are tried on the plain baseline too."""

LATER_WORK: dict[str, Callable[[Recipe], Recipe]] = {
    "weight interpolation": controls.weight_interpolation,
    "neighbour smoothing": lambda base: base.change(method=neighbour_smoothing(neighbours=20), teacher=Earlier(base)),
    "ELODI": lambda base: base.change(method=elodi(0.1, top_k=3), teacher=Earlier(base.change(method=ensemble(2)))),
}
"""Methods of other papers, tried on the well-regularised baseline. Weight interpolation starts from one deployed model."""

AGAINST_DRAWS: dict[str, Callable[[Recipe], Recipe]] = {
    "bagging of 2": lambda base: controls.bagging(base, 2),
    "twin-bootstrap": controls.twin_bootstrap,
}
"""Methods against churn from fresh data, tried where each replica draws its own sample."""


def evidence(name: str, *, draws: bool = False) -> Experiment:
    """Methods against a plain and a well-regularised baseline on one data set.

    Args:
        name: of the benchmark.
        draws: each replica draws its own training sample; otherwise all replicas have the same examples and other seeds.
    """
    b = BENCHMARKS[name]
    rows = baselines(name)
    plain, strong = rows.values()
    rows["steady"] = controls.steady(plain)
    rows |= {method: METHODS[method](plain) for method in ON_PLAIN}
    rows |= {f"{method}, well regularised": make(strong) for method, make in (METHODS | LATER_WORK).items()}
    if draws:
        rows |= {f"{method}, well regularised": make(strong) for method, make in AGAINST_DRAWS.items()}
        rows = {row: controls.data_draws(recipe, b.sample.share, b.sample.replace) for row, recipe in rows.items()}
    return Experiment(f"evidence.{name}{'-draws' * draws}", b.drawn if draws else b.data, rows, replicas=b.replicas)


def with_draws(study: Callable[[], Experiment], name: str) -> Experiment:
    """A study whose replicas each train on a bootstrap sample."""
    made = study()
    rows = {row: controls.data_draws(recipe) for row, recipe in made.rows.items()}
    return Experiment(f"evidence.{name}", made.data, rows, replicas=made.replicas, seed=made.seed)


EVIDENCE: dict[str, Callable[[], Experiment]] = {
    **{f"{name}{'-draws' * draws}": partial(evidence, name, draws=draws) for name in BENCHMARKS for draws in (False, True)},
    "mnist-draws": partial(with_draws, ad_mnist, "mnist-draws"),
    "flights-draws": partial(with_draws, rivals_flights, "flights-draws"),
}
"""Name on the command line to study. Seeds on MNIST and on flights are `ad-mnist` and `rivals-flights`."""


def part(study: Experiment, rows: Sequence[str], replicas: int | None) -> Experiment:
    """Some rows of a study, the first the baseline, and another number of replicas; all rows where none are named."""
    for row in rows:
        if row not in study.rows:
            raise unknown(f"row of {study.name}", row, study.rows)
    return replace(study, rows={row: study.rows[row] for row in rows or study.rows}, replicas=replicas or study.replicas)


def rows_of(
    estimates: Mapping[str, Mapping[str, Estimate | None]],
    further: Mapping[str, Mapping[str, Any]],
    differences: Mapping[str, Sequence[Difference]],
) -> dict[str, dict[str, Any]]:
    """Row to its estimates, its further values, and its difference of each measure from the first row, as plain values.

    Args:
        estimates: row to measure to estimate.
        further: row to plain values.
        differences: measure to the differences of all rows but the first, in their order.
    """
    rows: dict[str, dict[str, Any]] = {}
    for row, found in estimates.items():
        rows[row] = {name: [e.value, e.low, e.high] for name, e in found.items() if e is not None} | dict(further[row])
    first, *others = rows
    for measure, of_rows in differences.items():
        for row, d in zip(others, of_rows, strict=True):
            rows[row][f"{measure} - {first}"] = [d.estimate.value, d.estimate.low, d.estimate.high, d.adjusted]
    return rows


def summary(results: Results, date: str) -> dict[str, Any]:
    """A study as plain values: accuracy, churn and cost of each row, and its difference from the first, Holm-adjusted over the rows."""
    measured = (metrics.accuracy, metrics.churn, metrics.log_loss, metrics.churn_to_error)
    first, *others = results.rows
    rows = rows_of(
        {row: {m.definition.name: results.estimate(m, row) for m in measured} for row in results.rows},
        {
            row: {"train": result.cost.train, "serve": result.cost.serve, "free": list(result.recipe.free())}
            for row, result in results.rows.items()
        },
        {m.definition.name: compare_with_baseline([results.pair(m, row, first) for row in others]) for m in measured[:2]},
    )
    environment = results.environment()
    return {
        "schema": 1,
        "study": results.experiment.name,
        "date": date,
        "replicas": results.experiment.replicas,
        "data": results.data.name,
        "network": results.baseline.recipe.network.describe(results.data.shape, results.data.classes),
        "data_digest": results.data.digest,
        "train_examples": len(results.data.train),
        "sample": encode(results.baseline.recipe.sample),
        "test_examples": len(results.data.test),
        "rows": rounded(rows, 5),
        "diverged": {row: len(lost) for row, lost in results.diverged.items()},
        "versions": environment["versions"],
        "processors": sorted({str(n["processor"]) for n in environment["numerics"]}),
    }
