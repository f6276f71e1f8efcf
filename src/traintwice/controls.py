"""Rivals of the methods: changes to a recipe that cost little or equally much. A claim about a method is worth what it beats.

Every control is a function from a base recipe to a recipe, so a study's row is ``ema(base)`` as another is ``base.change(method=...)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

from traintwice.averaging import EMA, SWA, Snapshots
from traintwice.components import OwnBatches
from traintwice.errors import BadSpec
from traintwice.methods import co_distillation, ensemble
from traintwice.nets import MLP, Activation, Network
from traintwice.optimizers import Adam
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import CosineDecay, CyclicCosine, LinearDecay, StepDecay


def linear_decay(base: Recipe) -> Recipe:
    """Learning rate falling in a straight line to 0: the noise of the last steps is churn."""
    return base.change(lr_schedule=LinearDecay())


def cosine_decay(base: Recipe) -> Recipe:
    """Learning rate falling along half a cosine to 0."""
    return base.change(lr_schedule=CosineDecay())


def step_decay(base: Recipe) -> Recipe:
    """Learning rate divided by 10 after half and after three quarters of the epochs, as CH does on CIFAR."""
    moments = (max(base.epochs // 2, 1), max(3 * base.epochs // 4, 2))
    return base.change(lr_schedule=StepDecay(0.1, epochs=(float(moments[0]), float(moments[1]))))


def ema(base: Recipe, decay: float | None = None) -> Recipe:
    """Predictions of an exponential moving average of the weights; costs nothing."""
    return base.change(averaging=EMA(decay))


def swa(base: Recipe) -> Recipe:
    """Predictions of the mean of the weights over the last quarter of the epochs; costs nothing."""
    return base.change(averaging=SWA())


def snapshot_ensemble(base: Recipe, count: int = 3) -> Recipe:
    """Several networks from one training: a snapshot at the end of each cosine cycle of the learning rate, averaged at inference."""
    return base.change(averaging=Snapshots(count), lr_schedule=CyclicCosine(count))


def sharpness_aware(base: Recipe, size: float = 0.05) -> Recipe:
    """Sharpness-aware minimisation: every step follows the gradient at the worst near point; twice the cost of training."""
    return base.change(sharpness=size)


def twice_the_epochs(base: Recipe) -> Recipe:
    """The plain way to spend twice the training: what every 2x method must beat."""
    return base.change(epochs=2 * base.epochs)


def wider(base: Recipe, times: float, shape: tuple[int, ...], classes: int) -> Recipe:
    """One network of so many times the multiply-adds, every hidden layer widened alike: what an ensemble's cost buys otherwise.

    Raises:
        BadSpec: the network is no MLP.
    """
    network = _mlp(base)
    wanted = times * network.multiply_adds(shape, classes)
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = (low * high) ** 0.5
        grown = _scaled(network, middle).multiply_adds(shape, classes)
        low, high = (middle, high) if grown < wanted else (low, middle)
    return base.change(network=_scaled(network, low))


def narrow_ensemble(base: Recipe, components: int, shape: tuple[int, ...], classes: int) -> Recipe:
    """An ensemble of narrower networks that together cost one base network, to train and to serve (AD section 1)."""
    return wider(base, 1.0 / components, shape, classes).change(method=ensemble(components))


def independent_ensemble(base: Recipe, components: int = 2) -> Recipe:
    """An ensemble whose components see the examples in orders of their own, so that they share no noise of the mini-batches."""
    return base.change(method=ensemble(components), own_batches=OwnBatches())


def warm_start(base: Recipe) -> Recipe:
    """Start from the weights of one deployed model and train again: what daily retraining does (AD section 1)."""
    return base.change(start=Earlier(base, replica="first"))


def shared_initialisation(base: Recipe) -> Recipe:
    """All replicas start from the same weights; the order of mini-batches stays free."""
    return base.change(fixed=("initialisation",))


def small_initialisation(base: Recipe, scale: float = 0.3) -> Recipe:
    """Smaller initial weights: less of them is left in the trained network.

    Raises:
        BadSpec: a network whose initial weights have no such setting.
    """
    return base.change(network=_with(base, scale=scale))


def weight_decay(base: Recipe, amount: float = 1e-4) -> Recipe:
    """L2 on the weights, as in CH Table 3."""
    return base.change(optimizer=replace(base.optimizer, weight_decay=amount))  # type: ignore[type-var]


def with_activation(base: Recipe, activation: Activation) -> Recipe:
    """Another activation; smooth ones ("smelu", "gelu", "silu") are said to make trainings more alike.

    Raises:
        BadSpec: a network without such a setting.
    """
    return base.change(network=_with(base, activation=activation))


def steady(base: Recipe) -> Recipe:
    """A recipe that forgets its initialisation: high rate decayed to 0, strong decoupled weight decay, small initialisation, long EMA.

    Source:
        Ours: Adam at 5e-3, decoupled weight decay 1, Glorot weights times 0.3, linear decay, exponential average over a quarter of the
        training. Costs no more than the base recipe.
    """
    return small_initialisation(base).change(
        optimizer=Adam(lr=5e-3, weight_decay=1.0, decoupled=True), lr_schedule=LinearDecay(), averaging=EMA()
    )


def steady_with_peer(base: Recipe) -> Recipe:
    """`steady` with one co-distilled peer (symmetric KL, weight 1), of which one is kept."""
    return steady(base).change(method=co_distillation(1.0))


CONTROLS: dict[str, Callable[..., Recipe]] = {
    f.__name__: f
    for f in (
        linear_decay,
        cosine_decay,
        step_decay,
        ema,
        swa,
        snapshot_ensemble,
        sharpness_aware,
        twice_the_epochs,
        wider,
        narrow_ensemble,
        independent_ensemble,
        warm_start,
        shared_initialisation,
        small_initialisation,
        weight_decay,
        with_activation,
        steady,
        steady_with_peer,
    )
}
"""Every control; `traintwice list` shows them and the tests loop over them."""


def _mlp(recipe: Recipe) -> MLP:
    if not isinstance(recipe.network, MLP):
        raise BadSpec(f"this control changes the layers of an MLP, got {recipe.network!r}")
    return recipe.network


def _with(recipe: Recipe, **settings: float | str) -> Network:
    """The recipe's network with other settings."""
    known = {f.name for f in fields(recipe.network)}  # type: ignore[arg-type]  # networks are dataclasses
    if lacking := sorted(settings.keys() - known):
        raise BadSpec(f"this control changes the {lacking[0]} of a network, and {recipe.network!r} has no such setting")
    return replace(recipe.network, **settings)  # type: ignore[type-var]


def _scaled(network: MLP, factor: float) -> MLP:
    return replace(network, hidden=tuple(max(round(width * factor), 1) for width in network.hidden))
