"""Candidate settings of the studies, trained on other replicas than the reported ones and compared on the validation split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from traintwice import controls, metrics
from traintwice.methods import anti_distillation, anti_distillation_difference, ensemble, entropy_regulariser, logit_l2
from traintwice.nets import Towers
from traintwice.optimizers import AdaGrad, Adam
from traintwice.recipes import Recipe
from traintwice.study import Experiment, Results
from traintwice_reproduction.kept import rounded
from traintwice_reproduction.studies.claims import STAGES, claims_ad
from traintwice_reproduction.studies.evidence import BENCHMARKS, baselines, evidence
from traintwice_reproduction.studies.rivals import rivals, rivals_flights
from traintwice_reproduction.tables.reproducing import ALLOWED_LOSS, CHOICE_REPLICAS, OTHER_SEED

Grid = dict[str, dict[float, Recipe]]
"""Setting to value to recipe."""

ALLOWED_LOG_LOSS = 0.01
"""Log loss on clicks above the first row's that a chosen value may have."""

AD_GRID: Mapping[str, tuple[float, ...]] = {
    "second moment": (0.005, 0.02, 0.05, 0.1),
    "covariance": (0.005, 0.02, 0.05, 0.1),
    "difference": (0.005, 0.05, 0.5),
    "inverse": (5e-7, 5e-6, 5e-5, 5e-4),
    "probabilities": (5.0, 20.0, 100.0),
}
"""λ of each loss of anti-distillation."""


@dataclass(frozen=True)
class Choice:
    """A study of candidates.

    Args:
        reported: study whose settings are chosen.
        baseline: recipe that bounds what a candidate may cost.
        grid: candidates by setting.
        rule: how a value is chosen, in words.
    """

    reported: Experiment
    baseline: Recipe
    grid: Grid
    rule: str

    @property
    def experiment(self) -> Experiment:
        """The study of all candidates, on another seed."""
        rows = {"baseline": self.baseline}
        rows |= {row_of(setting, value): recipe for setting, of in self.grid.items() for value, recipe in of.items()}
        seed = self.reported.seed + OTHER_SEED
        return replace(self.reported, name=f"{self.reported.name}-choice", rows=rows, replicas=CHOICE_REPLICAS, seed=seed)

    def pick(self, results: Results) -> dict[str, float]:
        """The chosen value of each setting; the one that costs least where all cost too much."""
        of_stream = results.data.places is not None
        disagreement = metrics.relative_pairwise if of_stream else metrics.churn

        def cost(row: str) -> float:
            lost = _validation(results, "baseline", metrics.accuracy) - _validation(results, row, metrics.accuracy)
            raised = _validation(results, row, metrics.log_loss) - _validation(results, "baseline", metrics.log_loss)
            return raised - ALLOWED_LOG_LOSS if of_stream else lost - ALLOWED_LOSS

        found = {}
        for setting, of in self.grid.items():
            rows = {value: row_of(setting, value) for value in of if row_of(setting, value) in results.rows}
            good = [value for value, row in rows.items() if cost(row) <= 0]
            by_churn = {value: _validation(results, row, disagreement) for value, row in rows.items()}
            found[setting] = min(good, key=lambda v: by_churn[v]) if good else min(rows, key=lambda v: cost(rows[v]))
        return found


def row_of(setting: str, value: float) -> str:
    """Name of a candidate's row."""
    return f"{setting} {value:g}"


def _validation(results: Results, row: str, metric: metrics.Metric) -> float:
    return metric.definition.measure(results[row].validation).value


OF_PICTURES = f"least churn on the validation split, accuracy at most {100 * ALLOWED_LOSS:g} point below the baseline's"
OF_CLICKS = f"least relative PD on the validation split, log loss at most {ALLOWED_LOG_LOSS:g} above the baseline's"


def _ad(stage: str) -> Choice:
    """λ of anti-distillation and of its rivals, with the recipe of `claims_ad`."""
    reported = claims_ad(stage)
    pair = reported.rows["ensemble of 2"]
    make: dict[str, Callable[[float], Any]] = {
        "second moment": lambda w: anti_distillation(2, w),
        "covariance": lambda w: anti_distillation(2, w, matrix="covariance"),
        "difference": lambda w: anti_distillation_difference(2, w),
        "inverse": lambda w: anti_distillation_difference(2, w, form="inverse"),
        "probabilities": lambda w: anti_distillation(2, w, signal="probabilities"),
    }
    grid = {name: {w: pair.change(method=make[name](w)) for w in weights} for name, weights in AD_GRID.items()}
    return Choice(reported, pair, grid, OF_PICTURES)


def _steady(stage: str) -> Choice:
    """Rate, decoupled weight decay, scale of the initial weights of `steady`, each changed alone."""
    reported = rivals(stage)
    plain, steady = reported.rows["plain"], reported.rows["steady"]
    decoupled = partial(Adam, decoupled=True)
    grid: Grid = {
        "rate": {lr: steady.change(optimizer=decoupled(lr=lr, weight_decay=1.0)) for lr in (1e-3, 2e-3, 5e-3, 1e-2)},
        "weight decay": {w: steady.change(optimizer=decoupled(lr=5e-3, weight_decay=w)) for w in (0.1, 0.3, 1.0, 2.0)},
        "scale": {s: controls.small_initialisation(steady, s) for s in (0.1, 0.3, 1.0)},
        "rate of the plain baseline": {lr: plain.change(optimizer=Adam(lr=lr)) for lr in (5e-4, 1e-3, 2e-3, 4e-3)},
        "weight decay at twice the rate": {
            w: plain.change(optimizer=decoupled(lr=2 * plain.optimizer.lr, weight_decay=w)) for w in (0.1, 0.3, 1.0, 2.0)
        },
    }
    return Choice(reported, plain, grid, OF_PICTURES)


def _flights() -> Choice:
    """Every setting of the rivals on clicks that is not taken from `flights`."""
    reported = rivals_flights()
    plain, steady = reported.rows["plain"], reported.rows["steady, last weights"]
    three = plain.change(method=ensemble(3))
    grid: Grid = {
        "rate decay from": {lr: controls.linear_decay(plain.change(optimizer=AdaGrad(lr=lr))) for lr in (0.05, 0.1, 0.2)},
        "small initialisation": {s: plain.change(network=Towers(embedding_scale=s)) for s in (0.01, 0.1)},
        "logit L2": {w: plain.change(method=logit_l2(w)) for w in (0.001, 0.01)},
        "entropy": {w: plain.change(method=entropy_regulariser(w)) for w in (0.03, 0.1)},
        "weight decay": {w: plain.change(optimizer=AdaGrad(lr=0.05, weight_decay=w)) for w in (1e-4, 1e-3, 1e-2)},
        "rate": {lr: plain.change(optimizer=AdaGrad(lr=lr)) for lr in (0.1, 0.2, 0.4)},
        "weight decay at rate 0.2": {w: plain.change(optimizer=AdaGrad(lr=0.2, weight_decay=w)) for w in (1e-3, 1e-2)},
        "steady, rate": {lr: steady.change(optimizer=Adam(lr=lr, weight_decay=1.0, decoupled=True)) for lr in (1e-3, 2e-3, 5e-3)},
        "probabilities": {w: three.change(method=anti_distillation(3, w, signal="probabilities")) for w in (5.0, 20.0, 100.0)},
    }
    return Choice(reported, plain, grid, OF_CLICKS)


def _evidence(name: str) -> Choice:
    """Rate of the plain baseline; rate and decoupled weight decay of the well-regularised baseline, each changed alone."""
    (plain, _), b = baselines(name).values(), BENCHMARKS[name]
    decoupled = partial(Adam, decoupled=True)
    grid: Grid = {
        "rate": {lr: plain.change(optimizer=Adam(lr=lr)) for lr in (1e-3, 2e-3, 4e-3)},
        "rate of the well regularised": {
            lr: plain.change(optimizer=decoupled(lr=lr, weight_decay=b.decay)) for lr in (1e-3, 2e-3, 3e-3, 4e-3)
        },
        "decay of the well regularised": {
            w: plain.change(optimizer=decoupled(lr=b.strong_rate, weight_decay=w)) for w in (0.1, 0.3, 0.5, 1.0, 2.0)
        },
    }
    return Choice(evidence(name), plain, grid, OF_PICTURES)


CHOICES: dict[str, Callable[[], Choice]] = {
    **{f"ad-{stage}": partial(_ad, stage) for stage in STAGES},
    **{f"steady-{stage}": partial(_steady, stage) for stage in (*STAGES, "lenet")},
    **{f"evidence-{name}": partial(_evidence, name) for name in BENCHMARKS},
    "flights": _flights,
}
"""Name on the command line to choice."""


def summary(choice: Choice, results: Results, date: str) -> dict[str, Any]:
    """A choice as plain values."""
    shown = [metrics.accuracy, metrics.churn, metrics.log_loss]
    if results.data.places is not None:
        shown.append(metrics.relative_pairwise)
    rows = {row: {m.definition.name: _validation(results, row, m) for m in shown} for row in results.rows}
    return {
        "schema": 1,
        "study": results.experiment.name,
        "date": date,
        "replicas": results.experiment.replicas,
        "seed": results.experiment.seed,
        "rule": choice.rule,
        "processors": sorted({r["processor"] for r in results.environment()["numerics"]}),
        "rows": rounded(rows, 5),
        "chosen": choice.pick(results),
    }
