"""Controls: changes to a recipe that cost little or as much as a method, and that a method has to beat.

A control is a function from a base recipe to a recipe, such as ``ema(base)``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from typing import TypeVar

from traintwice._typed import typed
from traintwice.averaging import EMA, SWA, Snapshots, StartInterpolation
from traintwice.components import Component, OwnBatches, Sample
from traintwice.errors import BadSpec
from traintwice.losses import Agreement, CrossEntropy, GateCrossEntropy, Only, OwnCrossEntropy
from traintwice.methods import Method, Term, co_distillation, ensemble
from traintwice.nets import MLP, Activation, Network
from traintwice.optimizers import SGD, Adam
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import CosineDecay, CyclicCosine, LinearDecay, StepDecay, Weight
from traintwice.served import Served

__all__ = [
    "bagging",
    "cosine_decay",
    "data_draws",
    "ema",
    "gated_fusion",
    "independent_ensemble",
    "linear_decay",
    "narrow_ensemble",
    "shared_initialisation",
    "sharpness_aware",
    "small_initialisation",
    "snapshot_ensemble",
    "steady",
    "steady_with_peer",
    "step_decay",
    "swa",
    "twice_the_epochs",
    "twin_bootstrap",
    "warm_start",
    "weight_decay",
    "weight_interpolation",
    "wider",
    "with_activation",
]

Control = TypeVar("Control", bound=Callable[..., Recipe])

CONTROLS: dict[str, Callable[..., Recipe]] = {}
"""Every control; `traintwice list` shows them and the tests loop over them."""


def _control(function: Control) -> Control:
    """A control with checked arguments, which is added to `CONTROLS`."""
    made = typed(function)
    CONTROLS[function.__name__] = made
    return made


@_control
def linear_decay(base: Recipe) -> Recipe:
    """Linear decay of the learning rate to 0."""
    return base.change(lr_schedule=LinearDecay())


@_control
def cosine_decay(base: Recipe) -> Recipe:
    """Cosine decay of the learning rate to 0."""
    return base.change(lr_schedule=CosineDecay())


@_control
def step_decay(base: Recipe) -> Recipe:
    """Learning rate divided by 10 after half and after three quarters of the epochs, as in CH on CIFAR."""
    moments = (max(base.epochs // 2, 1), max(3 * base.epochs // 4, 2))
    return base.change(lr_schedule=StepDecay(0.1, epochs=(float(moments[0]), float(moments[1]))))


@_control
def ema(base: Recipe, decay: float | None = None) -> Recipe:
    """Predictions of an exponential moving average of the weights, at no cost."""
    return base.change(averaging=EMA(decay))


@_control
def swa(base: Recipe) -> Recipe:
    """Predictions of the mean of the weights over the last quarter of the epochs, at no cost."""
    return base.change(averaging=SWA())


@_control
def snapshot_ensemble(base: Recipe, count: int = 3) -> Recipe:
    """Snapshot ensemble: weights at the end of each cosine cycle of the learning rate, outputs averaged at inference."""
    return base.change(averaging=Snapshots(count), lr_schedule=CyclicCosine(count))


@_control
def sharpness_aware(base: Recipe, size: float = 0.05) -> Recipe:
    """Sharpness-aware minimisation with the gradient at the worst point within ρ; twice the cost of training."""
    return base.change(sharpness=size)


@_control
def twice_the_epochs(base: Recipe) -> Recipe:
    """Twice the epochs: the control for methods that cost twice the training."""
    return base.change(epochs=2 * base.epochs)


@_control
def wider(base: Recipe, times: float, shape: tuple[int, ...], classes: int) -> Recipe:
    """One network with ``times`` the multiplications, every hidden layer wider by one factor: the control for ensembles.

    Raises:
        BadSpec: the network is not an MLP.
    """
    network = _mlp(base)
    wanted = times * network.multiply_adds(shape, classes)
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = (low * high) ** 0.5
        grown = _scaled(network, middle).multiply_adds(shape, classes)
        low, high = (middle, high) if grown < wanted else (low, middle)
    return base.change(network=_scaled(network, low))


@_control
def narrow_ensemble(base: Recipe, components: int, shape: tuple[int, ...], classes: int) -> Recipe:
    """An ensemble of narrower networks that together cost one base network (AD section 1)."""
    return wider(base, 1.0 / components, shape, classes).change(method=ensemble(components))


@_control
def independent_ensemble(base: Recipe, components: int = 2) -> Recipe:
    """An ensemble whose components each have an own order of mini-batches."""
    return base.change(method=ensemble(components), own_batches=OwnBatches())


@_control
def warm_start(base: Recipe) -> Recipe:
    """Start from the weights of one deployed model, as in daily retraining (AD section 1)."""
    return base.change(start=Earlier(base, replica="first"))


@_control
def weight_interpolation(base: Recipe, old: float = 0.5) -> Recipe:
    """Weights between those of one deployed model and those of the model fine-tuned from it: BCWI of Schumann et al. 2023."""
    return warm_start(base).change(averaging=StartInterpolation(old))


@_control
def gated_fusion(base: Recipe) -> Recipe:
    """One deployed model and a new one, mixed for each example by a gate; both are served.

        L = CE(new) + CE(gated mixture of both),   the gradient of the second part stops at the two models

    Source:
        Lai et al. 2023 (gated fusion). Ours: the new model starts from the weights of the deployed one, the gate is linear in the
        inputs, starts with equal weights, and mixes probabilities.
    """
    method = Method((Term(Only(CrossEntropy(), (1,))), Term(GateCrossEntropy())), 2, "gate")
    # Without momentum and decay, gradients of zero keep the weights of the deployed model.
    return warm_start(base).change(method=method, components=(Component(optimizer=SGD(1.0)), Component()))


@_control
def bagging(base: Recipe, components: int = 5) -> Recipe:
    """An ensemble whose components each train on a bootstrap sample of the replica's examples (Breiman 1996)."""
    return base.change(method=ensemble(components), own_batches=OwnBatches(sample=Sample()))


@_control
def twin_bootstrap(base: Recipe, weight: Weight = 1.0, share: float = 1.0) -> Recipe:
    """Two networks that learn the labels of a bootstrap sample each, and agree on examples that both see; both are served.

        L = Σ_j CE_j on own examples + weight·[KL(f1‖f2) + KL(f2‖f1)] on the shared part

    Args:
        base: the recipe.
        weight: of the agreement; half of the paper's λ, which weighs half the sum.
        share: size of the shared part as a fraction of the batch size.
    Source:
        Prastalo & Jablonka 2026. Ours: the agreement reads a shared part of the batch, drawn from all examples of the replica, instead of
        both own batches.
    """
    method = Method((Term(OwnCrossEntropy()), Term(Agreement("skl"), weight)), 2, "mean-prob")
    return base.change(method=method, own_batches=OwnBatches(share, Sample()))


@_control
def data_draws(base: Recipe, share: float = 1.0, replace: bool = True) -> Recipe:
    """A training sample of its own for each replica, so that churn is that of retraining on other data; by default the bootstrap.

    An own teacher or earlier model of a replica is trained on the replica's sample; one that all replicas share, on that of replica 0.

    Args:
        base: the recipe.
        share, replace: see `Sample`.
    """

    def drawn(earlier: Earlier | Served | None) -> Earlier | Served | None:
        if not isinstance(earlier, Earlier):
            return earlier
        return Earlier(data_draws(earlier.recipe, share, replace), earlier.replica)

    return base.change(sample=Sample(share, replace), start=drawn(base.start), teacher=drawn(base.teacher))


@_control
def shared_initialisation(base: Recipe) -> Recipe:
    """The same initial weights for all replicas; the order of mini-batches differs."""
    return base.change(fixed=("initialisation",))


@_control
def small_initialisation(base: Recipe, scale: float = 0.3) -> Recipe:
    """Smaller initial weights.

    Raises:
        BadSpec: the network has no setting ``scale``.
    """
    return base.change(network=_with(base, scale=scale))


@_control
def weight_decay(base: Recipe, amount: float = 1e-4) -> Recipe:
    """L2 on the weights, as in CH Table 3."""
    return base.change(optimizer=replace(base.optimizer, weight_decay=amount))  # type: ignore[type-var]


@_control
def with_activation(base: Recipe, activation: Activation) -> Recipe:
    """Another activation. Lin & Shamir 2022 report less churn with smooth activations ("smelu", "gelu", "silu").

    Raises:
        BadSpec: the network has no setting ``activation``.
    """
    return base.change(network=_with(base, activation=activation))


@_control
def steady(base: Recipe) -> Recipe:
    """A recipe with little influence of the initialisation: high rate decayed to 0, strong weight decay, small initial weights, EMA.

    A network without a setting ``scale`` keeps its initial weights; a warning names it.

    Source:
        Ours: Adam at 5e-3, decoupled weight decay 1, Glorot weights times 0.3, linear decay, exponential average over a quarter of the
        training. The cost is that of the base recipe.
    """
    if "scale" in {f.name for f in fields(base.network)}:  # type: ignore[arg-type]  # networks are dataclasses
        base = small_initialisation(base)
    else:
        network = type(base.network).__name__
        warnings.warn(f"steady: {network} has no setting 'scale', so its initial weights are unchanged", stacklevel=2)
    return base.change(optimizer=Adam(lr=5e-3, weight_decay=1.0, decoupled=True), lr_schedule=LinearDecay(), averaging=EMA())


@_control
def steady_with_peer(base: Recipe) -> Recipe:
    """`steady` with a co-distilled peer (symmetric KL, weight 1); one network is kept."""
    return steady(base).change(method=co_distillation(1.0))


def _mlp(recipe: Recipe) -> MLP:
    if not isinstance(recipe.network, MLP):
        raise BadSpec(f"got the network {recipe.network!r}, expected an MLP: this control changes its hidden layers")
    return recipe.network


def _with(recipe: Recipe, **settings: float | str) -> Network:
    """The recipe's network with other settings."""
    known = {f.name for f in fields(recipe.network)}  # type: ignore[arg-type]  # networks are dataclasses
    if lacking := sorted(settings.keys() - known):
        raise BadSpec(
            f"got the network {recipe.network!r}, expected one with a setting {lacking[0]!r}, which this control changes"
        )
    return replace(recipe.network, **settings)  # type: ignore[type-var]


def _scaled(network: MLP, factor: float) -> MLP:
    return replace(network, hidden=tuple(max(round(width * factor), 1) for width in network.hidden))
