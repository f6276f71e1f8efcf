"""A recipe: all settings of a training except the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, Literal

from traintwice._typed import check_types, typed
from traintwice.augmentation import Augmentation
from traintwice.averaging import Averaging, StartInterpolation
from traintwice.components import Component, OwnBatches, Sample
from traintwice.errors import BadSpec
from traintwice.losses import Only
from traintwice.methods import Method, baseline
from traintwice.nets import MLP, Factory, Network, SharedNetwork
from traintwice.optimizers import SGD, AdaGrad, Optimizer
from traintwice.progressive import Progressive
from traintwice.schedules import Schedule
from traintwice.served import Logged, Served, Stored

__all__ = ["Cost", "Earlier", "Recipe"]

ALGORITHM = 2
"""Version of the training code. It is raised when a change of the code changes results, so a store never mixes two versions."""

Fixable = Literal["data", "initialisation", "order", "subset", "augmentation", "dropout"]
"""Sources of randomness that a recipe may fix: all replicas then use the stream of replica 0."""


@dataclass(frozen=True)
class Cost:
    """Cost to train and to serve, in multiples of the base network with the base number of epochs."""

    train: float
    serve: float


@dataclass(frozen=True)
@typed
class Earlier:
    """An earlier model: a training starts from its weights, or learns from its predictions.

    Args:
        recipe: of the earlier model; the study trains its missing replicas first.
        replica: "own": replica m uses replica m of the earlier model, whose randomness then counts as this recipe's; "first": all
            replicas use replica 0, like a team with one deployed model.
    Source:
        Warm start: AD section 1 (the usual practice of daily retraining). Teacher: Hinton et al. 2015. Ours: each replica has its own
        teacher by default; a shared teacher hides churn.
    """

    recipe: Recipe
    replica: Literal["own", "first"] = "own"

    def replica_for(self, replica: int) -> int:
        """The replica of the earlier model that a replica uses."""
        return replica if self.replica == "own" else 0


@dataclass(frozen=True)
class Recipe:
    """Networks, their method, and the settings of their training.

    Args:
        network: of every component.
        method: loss, number of components, output kept at inference.
        optimizer: over the weights of all components.
        lr_schedule: multiplies the optimiser's learning rate; None keeps it constant.
        epochs: passes over the training examples, >= 1.
        batch_size: examples in a mini-batch, >= 1; the last mini-batch of an epoch may be smaller and is used too.
        averaging: the weights that predict, of a gate too; None takes the last weights.
        components: own settings of each component, one entry for each; empty gives all components the same settings.
        own_batches: an order of mini-batches for each component; None gives all components the same mini-batches.
        clip_norm: largest norm of the gradients of each component, and of a gate; larger gradients are scaled down. Shared parts count
            to the first component. None does not clip.
        sharpness: ρ of sharpness-aware minimisation, >= 0; 0 is plain training.
        start: an earlier model to start from, with its gate where both have one, or `Weights` of a model in service; None draws new
            weights.
        teacher: an earlier model to learn from, or the predictions (`Logged`) or `Weights` of a model in service; methods with a
            distillation term need one.
        fixed: sources of randomness that all replicas share.
        alike: sources of randomness that the components of a replica share: "initialisation", "dropout" or both; None gives each
            component its own. (For order and augmentation see `own_batches` and `views`.)
        augmentation: random changes to training pictures, drawn anew in every epoch; None trains on unchanged pictures. A teacher sees
            the student's view; batch statistics of averaged weights are those of unchanged pictures.
        views: whether the components of a replica see the "same" change of an example or each its "own". With own batches, examples
            outside the shared part are changed for each component anyway. A gate sees the first component's view.
        hardware: "fixed", or "emulated": each replica starts with one weight changed by one unit in the last place, as if the hardware
            rounded differently each time; or "free": on a GPU kernels are not deterministic and cuDNN searches for the fastest. A CPU is
            deterministic, so there "free" hardware is emulated.
        progressive: a single pass that predicts every mini-batch before training on it, for data in the order of time; None otherwise.
        sample: the training sample of each replica (source of randomness "data"), so that churn is that of retraining on other data;
            None trains every replica on all training examples. An epoch is one pass over the sample. A progressive training predicts
            every example and trains on those of the sample.
    Raises:
        BadSpec: a setting outside its range, or settings that contradict each other.
    Example:
        >>> Recipe().change(epochs=50).epochs
        50
    """

    network: Network = MLP()
    method: Method = baseline()
    optimizer: Optimizer = AdaGrad()
    lr_schedule: Schedule | None = None
    epochs: int = 25
    batch_size: int = 64
    averaging: Averaging | None = None
    components: tuple[Component, ...] = ()
    own_batches: OwnBatches | None = None
    clip_norm: float | None = None
    sharpness: float = 0.0
    start: Earlier | Served | None = None
    teacher: Earlier | Served | None = None
    fixed: tuple[Fixable, ...] = field(default=())
    augmentation: Augmentation | None = None
    views: Literal["same", "own"] = "same"
    hardware: Literal["fixed", "emulated", "free"] = "fixed"
    progressive: Progressive | None = None
    alike: tuple[Literal["initialisation", "dropout"], ...] | None = None
    sample: Sample | None = None

    def __post_init__(self) -> None:
        check_types(self)
        for check in _CHECKS:
            check(self)

    def change(self, **settings: Any) -> Recipe:
        """The same recipe with other settings."""
        return replace(self, **settings)

    def network_of(self, component: int) -> Network:
        """The network of a component."""
        own = self.components[component].network if self.components else None
        return own or self.network

    def optimizer_of(self, component: int) -> Optimizer:
        """The optimiser settings of a component."""
        own = self.components[component].optimizer if self.components else None
        return own or self.optimizer

    def emulates_hardware(self, *, on_gpu: bool) -> bool:
        """Whether the randomness of hardware is emulated: on request, and where it is free on a CPU.

        >>> Recipe(hardware="free").emulates_hardware(on_gpu=False), Recipe(hardware="free").emulates_hardware(on_gpu=True)
        (True, False)
        """
        return self.hardware == "emulated" or (self.hardware == "free" and not on_gpu)

    def free(self) -> tuple[str, ...]:
        """Sources of randomness that differ between replicas: those not fixed, and earlier models with such sources.

        >>> Recipe(fixed=("order",)).free()
        ('initialisation',)
        """
        networks = [self.network_of(j) for j in range(self.method.components)]
        present = {
            "data": self.sample is not None,
            "initialisation": self.start is None,
            "order": self.progressive is None or self.progressive.window > 1,
            "subset": any(component.subset < 1 for component in self.components)
            or (self.own_batches is not None and self.own_batches.sample is not None),
            "augmentation": self.augmentation is not None,
            "dropout": any(getattr(network, "dropout", 0.0) > 0 for network in networks),
            "hardware": self.hardware != "fixed",
        }
        earlier = {"start": self.start, "teacher": self.teacher}
        own = [name for name, e in earlier.items() if isinstance(e, Earlier) and e.replica == "own" and e.recipe.free()]
        own += [name for name, e in earlier.items() if isinstance(e, Stored)]
        return (*(source for source, there in present.items() if there and source not in self.fixed), *own)

    def epoch_size(self, examples: int) -> int:
        """Examples of one epoch, of so many training examples: those of the sample, or all."""
        return examples if self.sample is None or self.progressive is not None else self.sample.size(examples)

    def steps_per_epoch(self, examples: int) -> int:
        """Mini-batches of one epoch with so many training examples."""
        return ceil(self.epoch_size(examples) / self.batch_size)

    def resolve(self, examples: int) -> Recipe:
        """The same recipe with every schedule in steps, for a training set of so many examples."""
        per_epoch = self.steps_per_epoch(examples)
        total = per_epoch * self.epochs
        schedule = self.lr_schedule.resolve(per_epoch, total) if self.lr_schedule is not None else None
        return replace(self, method=self.method.resolve(per_epoch, total), lr_schedule=schedule)

    def earlier(self) -> tuple[Earlier, ...]:
        """The earlier models that must be trained first."""
        return tuple(e for e in (self.start, self.teacher) if isinstance(e, Earlier))

    def cost(self, base: Recipe, shape: tuple[int, ...], classes: int) -> Cost:
        """Cost of this recipe relative to a base recipe, for inputs of a shape.

            train = Σ_j passes_j · multiply-adds_j · epochs / (base multiply-adds · base epochs) + train cost of the teacher
            serve = Σ over kept networks of multiply-adds / base multiply-adds

        The forward and backward pass of a step are three units of work, a forward pass is one. Sharpness-aware minimisation doubles the
        passes, a stale peer adds a forward pass, a shared part of the batch adds its share.

        Source: the cost column of CH Table 2. Ours: the unit is one component of the base recipe. An earlier model to start from, a model
        in service, and a teacher that all replicas share, are not counted.

        Example:
            >>> Recipe(epochs=50).cost(Recipe(epochs=25), (64,), 10)
            Cost(train=2.0, serve=1.0)
        """
        unit = base.network.multiply_adds(shape, classes)
        networks = [self.network_of(j).multiply_adds(shape, classes) / unit for j in range(self.method.components)]
        kept = networks[:1] if self.method.kept_components == 1 else list(networks)
        if isinstance(self.network, SharedNetwork):  # the trunk is computed once
            trunk = self.network.shared_multiply_adds(shape) / unit
            networks, kept = ([nets[0], *[n - trunk for n in nets[1:]]] for nets in (networks, kept))
        share = self.own_batches.share if self.own_batches is not None else 0.0
        passes = (2.0 if self.sharpness else 1.0) * (1.0 + share) + (1.0 / 3.0 if self.method.peer_lag else 0.0)
        samples = [1.0 if recipe.sample is None else recipe.sample.share for recipe in (self, base)]
        train = sum(networks) * passes * self.epochs * samples[0] / (base.epochs * samples[1])
        if isinstance(self.teacher, Earlier) and self.teacher.replica == "own":
            train += self.teacher.recipe.cost(base, shape, classes).train
        return Cost(train, sum(kept) * (self.averaging.models if self.averaging is not None else 1))


def _check_ranges(recipe: Recipe) -> None:
    for name in ("epochs", "batch_size"):
        if getattr(recipe, name) < 1:
            raise BadSpec(f"Recipe.{name}: got {getattr(recipe, name)}, expected at least 1")
    if recipe.clip_norm is not None and not recipe.clip_norm > 0:
        raise BadSpec(f"Recipe.clip_norm: got {recipe.clip_norm}, expected a number greater than 0")
    if not recipe.sharpness >= 0:
        raise BadSpec(f"Recipe.sharpness: got {recipe.sharpness}, expected a number of at least 0")
    if isinstance(recipe.start, Logged):
        raise BadSpec("Recipe.start: got Logged, which has no weights to start from; expected Weights or Earlier")
    if isinstance(recipe.averaging, StartInterpolation) and recipe.start is None:
        raise BadSpec("Recipe.averaging: StartInterpolation is between an old model and the new one; give the old model as start")


def _check_components(recipe: Recipe) -> None:
    components, own_batches, count = recipe.components, recipe.own_batches, recipe.method.components
    if components and len(components) != count:
        told = f"got {len(components)} entries for the {count} components of the method, expected one for each"
        raise BadSpec(f"Recipe.components: {told}")
    if any(c.subset < 1 for c in components):
        if own_batches is None:
            raise BadSpec(
                "Recipe.components: a subset below 1 needs own_batches: components with other examples cannot share batches"
            )
        if own_batches.sample is not None:
            raise BadSpec("Recipe.components: got a subset below 1 and own_batches with a sample, two draws; leave one out")
    if isinstance(recipe.network, SharedNetwork) and components:
        raise BadSpec("Recipe.components: the components of a shared network are identical; leave components out")


def _check_teacher(recipe: Recipe) -> None:
    """A teacher is there exactly where the method needs one."""
    teacher = recipe.teacher
    if "teacher" in recipe.method.needs and teacher is None:
        raise BadSpec("Recipe.teacher: the method learns from a teacher, and the recipe has none")
    if "teacher" not in recipe.method.needs and teacher is not None:
        raise BadSpec("Recipe.teacher: got a teacher, and no term of the method learns from it")
    if isinstance(teacher, Earlier) and teacher.recipe.method.keep == "gate":
        raise BadSpec("Recipe.teacher: a gated mixture cannot teach; let the teacher keep 'mean-prob' or 'mean-logit'")
    if teacher is not None and recipe.own_batches is not None:
        raise BadSpec("Recipe.own_batches: the components of a student share their batches; leave own_batches out")


def _check_views(recipe: Recipe) -> None:
    if recipe.views == "same":
        return
    if recipe.augmentation is None:
        raise BadSpec("Recipe.views: got 'own' without augmentation; set augmentation, or leave views out")
    if recipe.method.components == 1:
        raise BadSpec("Recipe.views: got 'own' for a method of one component; 'own' needs at least two components")
    if recipe.teacher is not None:
        raise BadSpec("Recipe.views: a teacher sees one view, so the components of a student share it; leave views out")
    if recipe.own_batches is not None and recipe.own_batches.size(recipe.batch_size) == 0:
        raise BadSpec("Recipe.views: with own batches and no shared part every view is a component's own; leave views out")


def _check_alike(recipe: Recipe) -> None:
    alike = recipe.alike
    if alike is None:
        return
    if not alike or not {"initialisation", "dropout"}.issuperset(alike):
        raise BadSpec(f"Recipe.alike: got {alike!r}, expected some of 'initialisation' and 'dropout', or None")
    if recipe.method.components == 1:
        raise BadSpec("Recipe.alike: got sources for a method of one component; sharing needs at least two components")
    own_losses = any(isinstance(term.loss, Only) for term in recipe.method.terms)
    differ = recipe.own_batches is not None or recipe.views == "own" or recipe.components or own_losses
    may_drop = isinstance(recipe.network, Factory) or getattr(recipe.network, "dropout", 0.0) > 0
    if "initialisation" in alike and not differ and not (may_drop and "dropout" not in alike):
        raise BadSpec(
            "Recipe.alike: components with the same initial weights and the same inputs stay identical; give them own batches, own "
            "views, dropout or settings of their own"
        )


def _check_shared_part(recipe: Recipe) -> None:
    """Losses that read shared examples need some."""
    own_batches, reads = recipe.own_batches, recipe.method.reads_shared
    if own_batches is not None and reads and own_batches.size(recipe.batch_size) == 0:
        raise BadSpec(
            f"Recipe.own_batches: a share of {own_batches.share:g} of {recipe.batch_size} rounds to 0 examples, but "
            f"{', '.join(reads)} {'reads' if len(reads) == 1 else 'read'} examples that all components see; give a larger share"
        )


def _check_progressive(recipe: Recipe) -> None:
    """A progressive training is one pass of new components."""
    if recipe.progressive is None:
        return
    if recipe.epochs != 1:
        raise BadSpec(
            f"Recipe.epochs: got {recipe.epochs}, expected 1: a progressive training predicts every example before it is seen"
        )
    if recipe.start is not None or recipe.teacher is not None:
        raise BadSpec("Recipe.progressive: an earlier model was trained on the same examples; leave start and teacher out")
    if recipe.own_batches is not None or recipe.averaging is not None or recipe.method.keep == "gate":
        raise BadSpec(
            "Recipe.progressive: predictions are those of the components in training, all on the same mini-batches; leave "
            "own_batches and averaging out, and keep another output than 'gate'"
        )


def _check_sparse(recipe: Recipe) -> None:
    """Sparse gradients work with AdaGrad and plain SGD only."""
    for component in range(recipe.method.components):
        if getattr(recipe.network_of(component), "sparse", False):
            optimizer = recipe.optimizer_of(component)
            plain = AdaGrad(optimizer.lr, optimizer.accumulator) if isinstance(optimizer, AdaGrad) else SGD(optimizer.lr)
            if optimizer != plain or recipe.clip_norm is not None or recipe.sharpness:
                raise BadSpec(
                    "Recipe.network: sparse gradients need AdaGrad, or SGD without momentum, and no weight_decay, clip_norm or "
                    "sharpness; set sparse = false"
                )


_CHECKS = (
    *(_check_ranges, _check_components, _check_teacher, _check_views, _check_alike),
    *(_check_shared_part, _check_progressive, _check_sparse),
)
"""Checks of settings, most of which depend on each other; each raises `BadSpec`."""
