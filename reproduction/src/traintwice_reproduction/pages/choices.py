"""Candidate settings of the rivals on LeNet5 and on flights, on the validation split and on other replicas than the reported ones.

LeNet5: the plain rate has the highest accuracy; the well-regularised recipe has the least churn among those at most one percentage point
less accurate. Flights: the well-fitted recipe has the least log loss; any other free setting has the least relative PD among those at most
0.01 higher in log loss.
"""

from __future__ import annotations

from dataclasses import replace

from traintwice import controls, metrics
from traintwice.methods import entropy_regulariser, logit_l2
from traintwice.nets import Towers
from traintwice.optimizers import AdaGrad, Adam
from traintwice.recipes import Recipe
from traintwice.study import Experiment, Results
from traintwice_reproduction.studies import rivals, rivals_flights
from traintwice_reproduction.tables.reproducing import CHOICE_REPLICAS, OTHER_SEED


def of_lenet() -> dict[str, Recipe]:
    """Rates of the plain recipe; rates and weight decays of the well-regularised one."""
    rows = rivals("lenet").rows
    plain, steady = rows["plain"], rows["steady"]
    rates = {f"plain, rate {lr:g}": plain.change(optimizer=Adam(lr=lr)) for lr in (1e-3, 2e-3, 4e-3)}
    decays = [(2e-3, 0.3), (2e-3, 1.0), (2e-3, 3.0), (4e-3, 1.0)]
    strong = {f"strong weight decay {w:g}, rate {lr:g}": plain.change(optimizer=_decoupled(lr, w)) for lr, w in decays}
    return {**rates, **strong, "steady, rate 0.002": steady.change(optimizer=_decoupled(2e-3, 1.0)), "steady, rate 0.005": steady}


def of_flights() -> dict[str, Recipe]:
    """Every setting of the rivals on clicks that is not taken from `flights`."""
    rows = rivals_flights().rows
    plain, steady = rows["plain"], rows["steady, last weights"]
    return {
        "plain": plain,
        **{f"rate decay from {lr:g}": controls.linear_decay(plain.change(optimizer=AdaGrad(lr=lr))) for lr in (0.05, 0.1, 0.2)},
        **{f"small initialisation {s:g}": plain.change(network=Towers(embedding_scale=s)) for s in (0.01, 0.1)},
        "logit L2 0.01": plain.change(method=logit_l2(0.01)),
        **{f"entropy {w:g}": plain.change(method=entropy_regulariser(w)) for w in (0.03, 0.1)},
        **{f"weight decay {w:g}": plain.change(optimizer=AdaGrad(lr=0.05, weight_decay=w)) for w in (1e-4, 1e-3, 1e-2)},
        **{f"rate {lr:g}": plain.change(optimizer=AdaGrad(lr=lr)) for lr in (0.1, 0.2, 0.4)},
        **{f"rate 0.2, weight decay {w:g}": plain.change(optimizer=AdaGrad(lr=0.2, weight_decay=w)) for w in (1e-3, 1e-2)},
        **{
            f"steady, rate {lr:g}, {w:g}": steady.change(optimizer=_decoupled(lr, w))
            for lr, w in ((2e-3, 1.0), (5e-3, 0.1), (5e-3, 1.0))
        },
    }


def _decoupled(lr: float, weight_decay: float) -> Adam:
    return Adam(lr=lr, weight_decay=weight_decay, decoupled=True)


def lines_of(results: Results) -> list[str]:
    """One line for each row: accuracy, churn and log loss on the validation split, and relative PD for two classes."""
    measures = [
        metrics.accuracy,
        metrics.churn,
        metrics.log_loss,
        *([metrics.relative_pairwise] if results.data.classes == 2 else []),
    ]
    lines = []
    for name, row in results.rows.items():
        values = [f"{measure.__name__} {measure.definition.measure(row.validation).value:.4f}" for measure in measures]
        lines.append(f"{name}: {', '.join(values)}")
    return lines


def study_to_choose(stage: str) -> Experiment:
    """The study of all candidates.

    Args:
        stage: "lenet" or "flights".
    """
    reported, rows = (rivals("lenet"), of_lenet()) if stage == "lenet" else (rivals_flights(), of_flights())
    return replace(reported, name=f"{reported.name}-choice", rows=rows, replicas=CHOICE_REPLICAS, seed=reported.seed + OTHER_SEED)
