"""The claims of both papers, and the question that neither asks, each as a study on several data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from traintwice import controls, methods
from traintwice.augmentation import Shift
from traintwice.averaging import EMA
from traintwice.data import Digits, FashionMNIST, MNIST5k, Source
from traintwice.nets import MLP, LeNet5, Network
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import Jump, LinearDecay, StepDecay, WarmUp
from traintwice.study import Experiment

REPLICAS = 20


@dataclass(frozen=True)
class Stage:
    """A data set with a network and lengths that suit it, and for the rivals the rates of the plain and of the well-regularised recipe."""

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

RIVAL_STAGES: dict[str, Stage] = {**STAGES, "lenet": Stage(MNIST5k(), LeNet5(), 10, 64, rate=4e-3, strong_rate=4e-3)}
"""The same, and a convolutional network, which is trained one replica at a time and so for fewer epochs: twenty replicas of every row take
half an hour on two cores. Its rates were chosen on other replicas, by `docs/choosing.py`."""


def claims_ad(stage: str) -> Experiment:
    """What the anti-distillation paper claims, under its own recipe: AdaGrad at a constant 0.02, ensembles of two.

    The last rows ask whether what it gains is diversity or shrinking (a penalty on the logits, the gauge fixed), and whether it is left
    when the learning rate decays.
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
    """What the churn paper claims, under the shape of its recipe: Nesterov momentum, warm-up, steps, L2 of 1e-4, shifted pictures."""
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
        "distillation of 2": _distilled(base),
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


def rivals(stage: str) -> Experiment:
    """At equal cost of training and serving, which of them all buys least churn, against a plain and a well-regularised baseline?

    The plain baseline is Adam at 1e-3 decayed in a straight line to 0; the well-regularised one adds decoupled weight decay of 1 at twice
    the rate. LeNet5 has 4e-3 in both. `steady` forgets its initialisation.
    """
    s = RIVAL_STAGES[stage]
    constant = Recipe(network=s.network, optimizer=Adam(lr=s.rate), epochs=s.epochs, batch_size=s.batch_size)
    plain = constant.change(lr_schedule=LinearDecay())
    strong = plain.change(optimizer=Adam(lr=s.strong_rate, weight_decay=1.0, decoupled=True))
    steady = controls.steady(constant)
    rows = {
        "plain": plain,
        "constant rate": constant,
        "constant rate, EMA": constant.change(averaging=EMA()),
        "EMA": plain.change(averaging=EMA()),
        "small initialisation": controls.small_initialisation(plain),
        "logit L2": plain.change(method=methods.logit_l2()),
        "entropy": plain.change(method=methods.entropy_regulariser(0.1)),
        "strong weight decay": strong,
        "steady": steady,
    }
    two_for_one = {
        "twice the epochs": controls.twice_the_epochs,
        "co-distillation": lambda r: r.change(method=methods.co_distillation(1.0)),
    }
    two_for_two = {
        "ensemble of 2": lambda r: r.change(method=methods.ensemble(2)),
        "anti-distillation": lambda r: r.change(method=methods.anti_distillation(2, 0.02)),
    }
    makers: dict[str, Callable[[Recipe], Recipe]] = {**two_for_one, **two_for_two, "distillation of 2": _distilled}
    for suffix, base in (("", plain), (", strong weight decay", strong)):
        rows |= {f"{name}{suffix}": make(base) for name, make in makers.items()}
    rows["co-distillation, steady"] = controls.steady_with_peer(constant)
    rows["ensemble of 2, steady"] = steady.change(method=methods.ensemble(2))
    return Experiment(f"rivals-{stage}", s.data, rows, replicas=REPLICAS)


def _distilled(base: Recipe) -> Recipe:
    return base.change(method=methods.ensemble_distillation(), teacher=Earlier(base.change(method=methods.ensemble(2))))
