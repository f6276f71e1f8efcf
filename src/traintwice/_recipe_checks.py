"""Checks of settings of a recipe that depend on each other; each raises `BadSpec`."""

from __future__ import annotations

from traintwice.augmentation import Augmentation
from traintwice.components import Component, OwnBatches
from traintwice.errors import BadSpec
from traintwice.losses import Only
from traintwice.methods import Method
from traintwice.nets import Factory, Network, SharedNetwork
from traintwice.optimizers import SGD, AdaGrad, Optimizer


def check_components(components: tuple[Component, ...], method: Method, network: Network, own_batches: OwnBatches | None) -> None:
    """Settings of single components."""
    if components and len(components) != method.components:
        raise BadSpec(
            f"Recipe.components: got {len(components)} entries for the {method.components} components of the method, "
            "expected one for each"
        )
    if any(c.subset < 1 for c in components) and own_batches is None:
        raise BadSpec(
            "Recipe.components: a subset below 1 needs own_batches: components with other examples cannot share batches"
        )
    if any(c.subset < 1 for c in components) and own_batches is not None and own_batches.sample is not None:
        raise BadSpec("Recipe.components: got a subset below 1 and own_batches with a sample, two draws; leave one out")
    if isinstance(network, SharedNetwork) and components:
        raise BadSpec("Recipe.components: the components of a shared network are identical; leave components out")


def check_teacher(method: Method, taught: bool, own_batches: OwnBatches | None, *, gated: bool) -> None:
    """A teacher is there exactly where the method needs one; ``gated`` says whether it keeps a gated mixture."""
    needs_teacher = "teacher" in method.needs
    if needs_teacher != taught:
        raise BadSpec(
            "Recipe.teacher: the method learns from a teacher, and the recipe has none"
            if needs_teacher
            else "Recipe.teacher: got a teacher, and no term of the method learns from it"
        )
    if gated:
        raise BadSpec("Recipe.teacher: a gated mixture cannot teach; let the teacher keep 'mean-prob' or 'mean-logit'")
    if taught and own_batches is not None:
        raise BadSpec("Recipe.own_batches: the components of a student share their batches; leave own_batches out")


def check_views(
    views: str, augmentation: Augmentation | None, components: int, teaches: bool, shared_examples: int | None
) -> None:
    """Views of an augmented example; ``shared_examples`` is the shared part of a batch where components have own batches."""
    if views not in ("same", "own"):
        raise BadSpec(f"Recipe.views: got {views!r}, expected 'same' or 'own'")
    if views == "same":
        return
    if augmentation is None:
        raise BadSpec("Recipe.views: got 'own' without augmentation; set augmentation, or leave views out")
    if components == 1:
        raise BadSpec("Recipe.views: got 'own' for a method of one component; 'own' needs at least two components")
    if teaches:
        raise BadSpec("Recipe.views: a teacher sees one view, so the components of a student share it; leave views out")
    if shared_examples == 0:
        raise BadSpec("Recipe.views: with own batches and no shared part every view is a component's own; leave views out")


def check_alike(alike: tuple[str, ...] | None, components: int, network: Network, differ: bool) -> None:
    """Randomness that components share; ``differ`` says whether other settings make the components differ."""
    if alike is None:
        return
    if not alike or not {"initialisation", "dropout"}.issuperset(alike):
        raise BadSpec(f"Recipe.alike: got {alike!r}, expected some of 'initialisation' and 'dropout', or None")
    if components == 1:
        raise BadSpec("Recipe.alike: got sources for a method of one component; sharing needs at least two components")
    may_drop = isinstance(network, Factory) or getattr(network, "dropout", 0.0) > 0
    if "initialisation" in alike and not differ and not (may_drop and "dropout" not in alike):
        raise BadSpec(
            "Recipe.alike: components with the same initial weights and the same inputs stay identical; give them own batches, own "
            "views, dropout or settings of their own"
        )


def has_own_losses(method: Method) -> bool:
    """Whether a term of the method reads some of the components only."""
    return any(isinstance(term.loss, Only) for term in method.terms)


def check_shared_part(own_batches: OwnBatches | None, batch_size: int, method: Method) -> None:
    """Losses that read shared examples need some."""
    if own_batches is not None and method.reads_shared and own_batches.size(batch_size) == 0:
        verb = "reads" if len(method.reads_shared) == 1 else "read"
        raise BadSpec(
            f"Recipe.own_batches: a share of {own_batches.share:g} of {batch_size} rounds to 0 examples, but "
            f"{', '.join(method.reads_shared)} {verb} examples that all components see; give a larger share"
        )


def check_progressive(epochs: int, has_earlier: bool, plain_batches_and_weights: bool, method: Method) -> None:
    """A progressive training is one pass of new components."""
    if epochs != 1:
        raise BadSpec(f"Recipe.epochs: got {epochs}, expected 1: a progressive training predicts every example before it is seen")
    if has_earlier:
        raise BadSpec("Recipe.progressive: an earlier model was trained on the same examples; leave start and teacher out")
    if not plain_batches_and_weights or method.keep == "gate":
        raise BadSpec(
            "Recipe.progressive: predictions are those of the components in training, all on the same mini-batches; leave "
            "own_batches and averaging out, and keep another output than 'gate'"
        )


def check_sparse(network: Network, optimizer: Optimizer, clip_norm: float | None, sharpness: float) -> None:
    """Sparse gradients work with AdaGrad and plain SGD only."""
    if not getattr(network, "sparse", False):
        return
    plain = AdaGrad(optimizer.lr, optimizer.accumulator) if isinstance(optimizer, AdaGrad) else SGD(optimizer.lr)
    if optimizer != plain or clip_norm is not None or sharpness:
        raise BadSpec(
            "Recipe.network: sparse gradients need AdaGrad, or SGD without momentum, and no weight_decay, clip_norm or sharpness; "
            "set sparse = false"
        )
