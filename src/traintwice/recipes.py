"""A recipe: all that is decided before a training starts, except the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, Literal

from traintwice.augmentation import Augmentation
from traintwice.averaging import Averaging
from traintwice.components import Component, OwnBatches
from traintwice.errors import BadSpec
from traintwice.losses import Only
from traintwice.methods import Method, baseline
from traintwice.nets import MLP, Factory, Network, SharedNetwork
from traintwice.optimizers import SGD, AdaGrad, Optimizer
from traintwice.progressive import Progressive
from traintwice.schedules import Schedule

ALGORITHM = 2
"""Raised when training code changes results, so that a store never mixes replicas of two algorithms."""

Fixable = Literal["initialisation", "order", "subset", "augmentation", "dropout"]
"""Sources of randomness that a recipe may fix: all replicas then share replica 0's stream."""


@dataclass(frozen=True)
class Cost:
    """Multiples of one base network trained for the base number of epochs, and of serving it."""

    train: float
    serve: float


@dataclass(frozen=True)
class Earlier:
    """A model trained before, whose weights this training starts from, or whose predictions it learns from.

    Args:
        recipe: how that model is trained; the study trains what is missing of it first.
        replica: "own": replica m uses replica m of it, so that its randomness counts as this recipe's; "first": all use replica 0, as a
            team does that has one deployed model.
    Source:
        Warm start: AD section 1 (the commonest practice of daily retraining). Teacher: Hinton et al. 2015; ours: each replica trains
        its own teacher unless told otherwise, since a shared teacher hides churn and is another recipe.
    """

    recipe: Recipe
    replica: Literal["own", "first"] = "own"

    def __post_init__(self) -> None:
        if self.replica not in ("own", "first"):
            raise BadSpec(f"Earlier.replica: got {self.replica!r}, expected 'own' or 'first'")

    def replica_for(self, replica: int) -> int:
        """Which of its replicas a replica uses."""
        return replica if self.replica == "own" else 0


@dataclass(frozen=True)
class Recipe:
    """Networks, what they minimise, and how.

    Args:
        network: of every component.
        method: loss, number of components, what is kept.
        optimizer: over the weights of all components.
        lr_schedule: multiplies the optimiser's learning rate; None keeps it constant.
        epochs: passes over the training examples, >= 1.
        batch_size: examples in a mini-batch, >= 1; the last one of an epoch may be smaller, and none is left out.
        averaging: which weights predict, those of a gate too; None takes the last.
        components: what each component has of its own, one entry for each; empty makes them alike.
        own_batches: an order of mini-batches for each component; None lets all see the same.
        clip_norm: gradients of each component, and of a gate, are scaled down to this norm, each by its own; None does not. Parts that
            components share count to the first.
        sharpness: ρ of sharpness-aware minimisation, >= 0; 0 is plain training.
        start: an earlier model to start from, its gate included where both have one; None draws new weights.
        teacher: an earlier model to learn from; methods with a distillation term need one.
        fixed: sources of randomness that all replicas share.
        alike: sources of randomness that the components of a replica share, of "initialisation" and "dropout"; None gives each its own.
            (`own_batches` and `views` say it of order and augmentation.)
        augmentation: random changes to training pictures, drawn anew in every epoch; None takes them as they are. A teacher sees
            the student's view; the batch statistics of averaged weights are of the pictures as they are.
        views: with augmentation, whether the components of a replica see the "same" change of an example or each its "own". With own
            batches, examples outside their shared part are changed for each component anyway. A gate sees the first component's view.
        hardware: "fixed", or "emulated": each replica begins with one of its weights off by one unit in the last place, as if the
            hardware rounded each time differently; or "free": on a GPU kernels are not deterministic and cuDNN searches for the fastest,
            and on a CPU, which is deterministic, hardware is emulated.
        progressive: for a stream, and only for one: a single pass that predicts every mini-batch before it is trained on.
    Raises:
        BadSpec: a setting outside its range, or two that contradict each other.
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
    start: Earlier | None = None
    teacher: Earlier | None = None
    fixed: tuple[Fixable, ...] = field(default=())
    augmentation: Augmentation | None = None
    views: Literal["same", "own"] = "same"
    hardware: Literal["fixed", "emulated", "free"] = "fixed"
    progressive: Progressive | None = None
    alike: tuple[Literal["initialisation", "dropout"], ...] | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise BadSpec(f"Recipe.{name}: got {getattr(self, name)}, expected at least 1")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise BadSpec(f"Recipe.clip_norm: got {self.clip_norm}, expected a number greater than 0")
        if not self.sharpness >= 0:
            raise BadSpec(f"Recipe.sharpness: got {self.sharpness}, expected a number of at least 0")
        if self.hardware not in ("fixed", "emulated", "free"):
            raise BadSpec(f"Recipe.hardware: got {self.hardware!r}, expected 'fixed', 'emulated' or 'free'")
        if self.components and len(self.components) != self.method.components:
            raise BadSpec(
                f"Recipe.components: got {len(self.components)} entries for the {self.method.components} components of the method, "
                "expected one for each"
            )
        if any(c.subset < 1 for c in self.components) and self.own_batches is None:
            raise BadSpec(
                "Recipe.components: a subset below 1 needs own_batches: components with other examples cannot share batches"
            )
        if isinstance(self.network, SharedNetwork) and self.components:
            raise BadSpec("Recipe.components: components of a shared network are alike; leave components out")
        needs_teacher = "teacher" in self.method.needs
        if needs_teacher != (self.teacher is not None):
            raise BadSpec(
                "Recipe.teacher: the method learns from a teacher and none is given"
                if needs_teacher
                else "Recipe.teacher: given, but no term of the method learns from it"
            )
        if self.teacher is not None and self.teacher.recipe.method.keep == "gate":
            raise BadSpec("Recipe.teacher: a gated mixture cannot teach here; let the teacher keep 'mean-prob' or 'mean-logit'")
        if self.teacher is not None and self.own_batches is not None:
            raise BadSpec("Recipe.own_batches: a student's components see the same batches as each other; leave own_batches out")
        self._check_views()
        self._check_alike()
        if self.own_batches is not None and self.method.reads_shared and self.own_batches.size(self.batch_size) == 0:
            raise BadSpec(
                f"Recipe.own_batches: a share of {self.own_batches.share:g} of {self.batch_size} is no example, but "
                f"{', '.join(self.method.reads_shared)} {'reads' if len(self.method.reads_shared) == 1 else 'read'} examples that all "
                "components see; give a larger share"
            )
        if self.progressive is not None:
            self._check_progressive()
        for component in range(self.method.components):
            self._check_sparse(component)

    def _check_views(self) -> None:
        if self.views not in ("same", "own"):
            raise BadSpec(f"Recipe.views: got {self.views!r}, expected 'same' or 'own'")
        if self.views == "same":
            return
        if self.augmentation is None:
            raise BadSpec(
                "Recipe.views: got 'own' without augmentation, so that there are no views to differ; give one or leave it out"
            )
        if self.method.components == 1:
            raise BadSpec(
                "Recipe.views: got 'own' for a method of one component, which has nobody to share a view with; leave it out"
            )
        if self.teacher is not None:
            raise BadSpec(
                "Recipe.views: a teacher sees one view, that of the student, so its components share it; leave views out"
            )
        if self.own_batches is not None and self.own_batches.size(self.batch_size) == 0:
            raise BadSpec(
                "Recipe.views: with own batches and no shared part every view is a component's own already; leave views out"
            )

    def _check_alike(self) -> None:
        if self.alike is None:
            return
        if not self.alike or not {"initialisation", "dropout"}.issuperset(self.alike):
            raise BadSpec(f"Recipe.alike: got {self.alike!r}, expected some of 'initialisation' and 'dropout', or None")
        if self.method.components == 1:
            raise BadSpec(
                "Recipe.alike: got sources for a method of one component, which has nobody to share them with; leave it out"
            )
        may_drop = isinstance(self.network, Factory) or getattr(self.network, "dropout", 0.0) > 0
        own_losses = any(isinstance(term.loss, Only) for term in self.method.terms)
        told_apart = (
            self.own_batches is not None
            or self.views == "own"
            or self.components
            or own_losses
            or (may_drop and "dropout" not in self.alike)
        )
        if "initialisation" in self.alike and not told_apart:
            raise BadSpec(
                "Recipe.alike: components that begin alike and see the same would stay one network; give them own batches, own views, "
                "dropout or settings of their own"
            )

    def _check_progressive(self) -> None:
        if self.epochs != 1:
            raise BadSpec(
                f"Recipe.epochs: got {self.epochs}, expected 1: of an example seen before, no prediction is made before it is trained on"
            )
        if self.earlier():
            raise BadSpec(
                "Recipe.progressive: an earlier model has been trained on the whole stream; leave start and teacher out"
            )
        if self.own_batches is not None or self.averaging is not None or self.method.keep == "gate":
            raise BadSpec(
                "Recipe.progressive: predictions are those of the components as they are trained, all on the same mini-batches; leave "
                "own_batches and averaging out, and keep another output than 'gate'"
            )

    def _check_sparse(self, component: int) -> None:
        if not getattr(self.network_of(component), "sparse", False):
            return
        optimizer = self.optimizer_of(component)
        plain = AdaGrad(optimizer.lr, optimizer.accumulator) if isinstance(optimizer, AdaGrad) else SGD(optimizer.lr)
        if optimizer != plain or self.clip_norm is not None or self.sharpness:
            raise BadSpec(
                "Recipe.network: sparse gradients need AdaGrad, or SGD without momentum, and no weight_decay, clip_norm or sharpness; "
                "set sparse = false"
            )

    def change(self, **settings: Any) -> Recipe:
        """The same recipe with other settings: a row of a study is a change to its base recipe."""
        return replace(self, **settings)

    def network_of(self, component: int) -> Network:
        """The structure of a component."""
        own = self.components[component].network if self.components else None
        return own or self.network

    def optimizer_of(self, component: int) -> Optimizer:
        """The optimiser settings of a component."""
        own = self.components[component].optimizer if self.components else None
        return own or self.optimizer

    def emulates_hardware(self, *, on_gpu: bool) -> bool:
        """Whether the randomness of hardware is emulated: where it is asked for, and where it is free on a CPU.

        >>> Recipe(hardware="free").emulates_hardware(on_gpu=False), Recipe(hardware="free").emulates_hardware(on_gpu=True)
        (True, False)
        """
        return self.hardware == "emulated" or (self.hardware == "free" and not on_gpu)

    def free(self) -> tuple[str, ...]:
        """What differs between replicas: sources of randomness that are not fixed, and earlier models that have such.

        >>> Recipe(fixed=("order",)).free()
        ('initialisation',)
        """
        networks = [self.network_of(j) for j in range(self.method.components)]
        present = {
            "initialisation": self.start is None,
            "order": self.progressive is None or self.progressive.window > 1,
            "subset": any(component.subset < 1 for component in self.components),
            "augmentation": self.augmentation is not None,
            "dropout": any(getattr(network, "dropout", 0.0) > 0 for network in networks),
            "hardware": self.hardware != "fixed",
        }
        earlier = {"start": self.start, "teacher": self.teacher}
        own = [name for name, e in earlier.items() if e is not None and e.replica == "own" and e.recipe.free()]
        return (*(source for source, there in present.items() if there and source not in self.fixed), *own)

    def steps_per_epoch(self, examples: int) -> int:
        """Mini-batches in a pass over so many examples."""
        return ceil(examples / self.batch_size)

    def resolve(self, examples: int) -> Recipe:
        """The same recipe with every schedule in steps, for a training set of so many examples."""
        per_epoch = self.steps_per_epoch(examples)
        total = per_epoch * self.epochs
        schedule = self.lr_schedule.resolve(per_epoch, total) if self.lr_schedule is not None else None
        return replace(self, method=self.method.resolve(per_epoch, total), lr_schedule=schedule)

    def earlier(self) -> tuple[Earlier, ...]:
        """The models that must be trained before this one."""
        return tuple(e for e in (self.start, self.teacher) if e is not None)

    def cost(self, base: Recipe, shape: tuple[int, ...], classes: int) -> Cost:
        """What this recipe costs against a base recipe, for inputs of a shape.

            train = Σ_j passes_j · multiply-adds_j · epochs / (base multiply-adds · base epochs) + train cost of the teacher
            serve = Σ over kept networks of multiply-adds / base multiply-adds

        A step's forward and backward pass are three units of work, a forward pass one. Sharpness-aware minimisation doubles the steps, a
        stale peer adds a forward pass, a shared part of the batch adds its share.

        Source: the cost column of CH Table 2, computed. Ours: the base network, one component of the base recipe, is the unit; an earlier
        model to start from, or one that all replicas learn from, is there anyway and is not counted.

        Example:
            >>> Recipe(epochs=50).cost(Recipe(epochs=25), (64,), 10)
            Cost(train=2.0, serve=1.0)
        """
        unit = base.network.multiply_adds(shape, classes)
        networks = [self.network_of(j).multiply_adds(shape, classes) / unit for j in range(self.method.components)]
        kept = networks[:1] if self.method.kept_components == 1 else list(networks)
        if isinstance(self.network, SharedNetwork):  # further components do not compute the trunk again
            trunk = self.network.shared_multiply_adds(shape) / unit
            networks, kept = ([nets[0], *[n - trunk for n in nets[1:]]] for nets in (networks, kept))
        share = self.own_batches.share if self.own_batches is not None else 0.0
        passes = (2.0 if self.sharpness else 1.0) * (1.0 + share) + (1.0 / 3.0 if self.method.peer_lag else 0.0)
        train = sum(networks) * passes * self.epochs / base.epochs
        if self.teacher is not None and self.teacher.replica == "own":
            train += self.teacher.recipe.cost(base, shape, classes).train
        return Cost(train, sum(kept) * (self.averaging.models if self.averaging is not None else 1))
