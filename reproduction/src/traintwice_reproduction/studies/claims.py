"""The claims of both papers as studies on several data sets."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice import controls, methods
from traintwice.augmentation import Shift
from traintwice.data import Digits, FashionMNIST, MNIST5k, Source
from traintwice.nets import MLP, Network
from traintwice.optimizers import SGD, AdaGrad
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import Jump, StepDecay, WarmUp
from traintwice.study import Experiment

REPLICAS = 20


@dataclass(frozen=True)
class Stage:
    """A data set with a network and lengths that suit it.

    Args:
        data, network, epochs, batch_size: of every recipe of a study.
        rate, strong_rate: learning rates of the plain and of the well-regularised recipe of `rivals`.
    """

    data: Source
    network: Network
    epochs: int
    batch_size: int
    rate: float = 1e-3
    strong_rate: float = 2e-3


STAGES: dict[str, Stage] = {
    "digits": Stage(Digits(), MLP((128, 128)), 25, 64),
    "mnist-5k": Stage(MNIST5k(), MLP((128, 128)), 15, 64),
    "fashion": Stage(FashionMNIST(train=10_000), MLP((128, 128)), 15, 128),
}
"""Small enough for twenty replicas of every row within an hour on two cores."""


def claims_ad(stage: str) -> Experiment:
    """Claims of the anti-distillation (decorrelated ensemble) paper with its own recipe: AdaGrad at a constant 0.02, ensembles of two.

    The last rows test whether the gain is diversity or shrinking (a penalty on the logits, the gauge fixed), and whether it remains when
    the learning rate decays.
    """
    s = STAGES[stage]
    single = Recipe(network=s.network, optimizer=AdaGrad(lr=0.02), epochs=s.epochs, batch_size=s.batch_size)
    pair = single.change(method=methods.ensemble(2))

    def ad(weight: float, components: int = 2, **options: object) -> Recipe:
        return single.change(method=methods.anti_distillation(components, weight, **options))  # type: ignore[arg-type]

    rows = {
        "ensemble of 2": pair,
        "single network": single,
        **{f"AD, λ = {weight:g}": ad(weight) for weight in (0.02, 0.05, 0.1, 0.5, 1.0)},
        "AD, covariance": ad(0.05, matrix="covariance"),
        "AD, probabilities": ad(0.05, signal="probabilities"),
        "AD, gauge fixed": ad(0.05, center="class"),
        "AD, difference (inverse)": single.change(method=methods.anti_distillation_difference(2, 0.0005, form="inverse")),
        "logit L2, ensemble of 2": pair.change(method=methods.logit_l2(components=2)),
        "ensemble of 2, own batches": controls.independent_ensemble(single),
        "ensemble of 4": single.change(method=methods.ensemble(4)),
        "AD, 4 components": ad(0.05, components=4),
        "ensemble of 2, decay": controls.linear_decay(pair),
        "AD, decay": controls.linear_decay(ad(0.05)),
    }
    return Experiment(f"claims.ad-{stage}", s.data, rows, replicas=REPLICAS)


def claims_churn(stage: str) -> Experiment:
    """Claims of the churn paper with a recipe of the same form: Nesterov momentum, warm-up, steps, L2 of 1e-4, shifted pictures."""
    s = STAGES[stage]
    base = Recipe(
        network=s.network,
        optimizer=SGD(lr=0.03, momentum=0.9, nesterov=True, weight_decay=1e-4),
        lr_schedule=WarmUp(StepDecay(0.1, epochs=(0.5 * s.epochs, 0.75 * s.epochs)), epochs=1),
        epochs=s.epochs,
        batch_size=s.batch_size,
        augmentation=Shift(1),
    )
    ramp = s.epochs / 5
    co, make = methods.co_distillation, base.change
    bare = controls.weight_decay(base, 0.0)
    rows = {
        "baseline": base,
        "entropy": make(method=methods.entropy_regulariser(0.1)),
        "symmetric KL": make(method=methods.symmetric_kl_regulariser(0.1)),
        "distillation of 2": distilled(base),
        "ensemble of 2": make(method=methods.ensemble(2)),
        "co-distillation SKL, β = 0.05": make(method=co(0.05, ramp_epochs=ramp)),
        "co-distillation SKL, β = 1": make(method=co(1.0, ramp_epochs=ramp)),
        "co-distillation SKL, β = 1, step": make(method=co(Jump(1.0, epochs=ramp))),
        "co-distillation SKL, β = 1, no ramp": make(method=co(1.0)),
        "co-distillation L1, β = 1": make(method=co(1.0, kind="l1", ramp_epochs=ramp)),
        "co-distillation CE, independent": make(method=co(1.0, kind="ce", ramp_epochs=ramp)),
        "co-distillation CE, joint": make(method=co(1.0, kind="joint-ce", ramp_epochs=ramp)),
        "co-distillation + entropy": make(method=methods.regularised_co_distillation(1.0, 0.1, ramp_epochs=ramp)),
        "co-distillation + symmetric KL": make(
            method=methods.regularised_co_distillation(1.0, 0.05, regulariser="symmetric-kl", ramp_epochs=ramp)
        ),
        "shared initialisation": controls.shared_initialisation(base),
        "co-distillation, shared initialisation": controls.shared_initialisation(make(method=co(1.0, ramp_epochs=ramp))),
        "same order": make(fixed=("order",)),
        "no augmentation": make(augmentation=None),
        "no weight decay": bare,
        "no weight decay, entropy": bare.change(method=methods.entropy_regulariser(0.1)),
        "no weight decay, co-distillation": bare.change(method=co(1.0, ramp_epochs=ramp)),
        "twice the epochs": controls.twice_the_epochs(base),
    }
    return Experiment(f"claims.churn-{stage}", s.data, rows, replicas=REPLICAS)


def distilled(base: Recipe) -> Recipe:
    """The recipe taught by an ensemble of two of it."""
    return base.change(method=methods.ensemble_distillation(), teacher=Earlier(base.change(method=methods.ensemble(2))))
