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
from traintwice_reproduction.studies.chosen import chosen

REPLICAS = 20


@dataclass(frozen=True)
class Stage:
    """A data set with a network and lengths that suit it.

    Args:
        data, network, epochs, batch_size: of every recipe of a study.
        lag: steps of an epoch, the age T of a stale peer. Ours: the paper does not give T.
        rate, strong_rate: learning rates of the plain and of the well-regularised recipe of `rivals`.
    """

    data: Source
    network: Network
    epochs: int
    batch_size: int
    lag: int
    rate: float = 1e-3
    strong_rate: float = 2e-3


STAGES: dict[str, Stage] = {
    "digits": Stage(Digits(), MLP((128, 128)), 25, 64, 13),
    "mnist-5k": Stage(MNIST5k(), MLP((128, 128)), 15, 64, 47),
    "fashion": Stage(FashionMNIST(train=10_000), MLP((128, 128)), 15, 128, 79),
}
"""Small enough for twenty replicas of every row within an hour on two cores."""


def claims_ad(stage: str) -> Experiment:
    """Claims of the anti-distillation (decorrelated ensemble) paper with its own recipe: AdaGrad at a constant 0.02, ensembles of two.

    λ of the rows "chosen λ" was chosen on other replicas (`python -m traintwice_reproduction choices ad-digits`). The last rows test
    whether the gain is diversity or shrinking (a penalty on the logits, the gauge fixed), and whether it remains when the learning rate
    decays.
    """
    s = STAGES[stage]
    single = Recipe(network=s.network, optimizer=AdaGrad(lr=0.02), epochs=s.epochs, batch_size=s.batch_size)
    pair = single.change(method=methods.ensemble(2))

    def ad(weight: float, components: int = 2, **options: object) -> Recipe:
        return single.change(method=methods.anti_distillation(components, weight, **options))  # type: ignore[arg-type]

    def apart(weight: float) -> Recipe:
        return single.change(method=methods.anti_distillation_difference(2, weight, form="inverse"))

    choice = f"ad-{stage}"
    rows = {
        "ensemble of 2": pair,
        "single network": single,
        **{f"AD, λ = {weight:g}": ad(weight) for weight in (0.02, 0.05, 0.1, 0.5, 1.0)},
        "AD, chosen λ": ad(chosen(choice, "second moment", 0.05)),
        "AD, covariance": ad(0.05, matrix="covariance"),
        "AD, covariance, chosen λ": ad(chosen(choice, "covariance", 0.05), matrix="covariance"),
        "AD, probabilities, chosen λ": ad(chosen(choice, "probabilities", 5.0), signal="probabilities"),
        "AD, probabilities, λ = 0.05": ad(0.05, signal="probabilities"),
        "AD, probabilities, λ = 100": ad(100.0, signal="probabilities"),
        "AD, gauge fixed": ad(0.05, center="class"),
        "AD, difference (inverse), chosen λ": apart(chosen(choice, "inverse", 5e-6)),
        "AD, difference (inverse), λ = 0.0005": apart(0.0005),
        "logit L2, ensemble of 2": pair.change(method=methods.logit_l2(components=2)),
        "ensemble of 2, own batches": controls.independent_ensemble(single),
        "ensemble of 4": single.change(method=methods.ensemble(4)),
        "ensemble of 8": single.change(method=methods.ensemble(8)),
        "AD, 4 components": ad(0.05, components=4),
        "ensemble of 2, decay": controls.linear_decay(pair),
        "AD, decay": controls.linear_decay(ad(0.05)),
    }
    return Experiment(f"claims.ad-{stage}", s.data, rows, replicas=REPLICAS)


def claims_churn(stage: str) -> Experiment:
    """Claims of the churn paper with a recipe of the same form: Nesterov momentum, warm-up, steps, L2 of 1e-4, shifted pictures.

    "co-distillation CE" has the stale peers and the step of Anil et al. 2018, as in the paper; live peers are ours.
    """
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
        "entropy, top 3": make(method=methods.entropy_regulariser(0.1, top_k=3)),
        "entropy, top 3, partial sum": make(method=methods.entropy_regulariser(0.1, top_k=3, renormalise=False)),
        "symmetric KL": make(method=methods.symmetric_kl_regulariser(0.1)),
        "distillation of 2": distilled(base),
        "ensemble of 2": make(method=methods.ensemble(2)),
        "co-distillation SKL, β = 0.05": make(method=co(0.05, ramp_epochs=ramp)),
        "co-distillation SKL, β = 1": make(method=co(1.0, ramp_epochs=ramp)),
        "co-distillation SKL, β = 1, step": make(method=co(Jump(1.0, epochs=ramp))),
        "co-distillation SKL, β = 1, no ramp": make(method=co(1.0)),
        "co-distillation L1, β = 1": make(method=co(1.0, kind="l1", ramp_epochs=ramp)),
        "co-distillation CE": make(method=co(Jump(1.0, epochs=ramp), kind="ce", lag_steps=s.lag)),
        "co-distillation CE, linear ramp": make(method=co(1.0, kind="ce", lag_steps=s.lag, ramp_epochs=ramp)),
        "co-distillation CE, live peers, linear ramp": make(method=co(1.0, kind="ce", ramp_epochs=ramp)),
        "co-distillation CE, joint, linear ramp": make(method=co(1.0, kind="joint-ce", ramp_epochs=ramp)),
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
