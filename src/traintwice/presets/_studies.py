"""The ready experiments of this package, and studies of other packages by the entry point group `traintwice.studies`.

docs/guides/plugins.md shows how to write one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from traintwice._installed import added
from traintwice.errors import BadSpec, TraintwiceError

if TYPE_CHECKING:
    from traintwice.study import Experiment, Results


FIRST_LOOK = 3
"""Replicas of `flights`: a few minutes on two cores. Relative PD averages over so many flights that three give a narrow interval."""


def digits() -> Experiment:
    """Seven recipes on scikit-learn's digits, ten replicas each: 797 training, 200 validation, 800 test examples.

    Network and optimiser are those of the anti-distillation paper at a tenth of the width. The weights of the methods are typical, not
    tuned. The study shows how a study works and how wide intervals with ten replicas are. It is not evidence about large networks.
    """
    from traintwice.data import Digits
    from traintwice.methods import anti_distillation, co_distillation, ensemble, entropy_regulariser
    from traintwice.nets import MLP
    from traintwice.optimizers import AdaGrad
    from traintwice.recipes import Recipe
    from traintwice.schedules import LinearDecay
    from traintwice.study import Experiment

    base = Recipe(network=MLP((128, 128)), optimizer=AdaGrad(lr=0.02), epochs=25, batch_size=64)
    return Experiment(
        "digits",
        Digits(),
        {
            "baseline": base,
            "learning-rate decay": base.change(lr_schedule=LinearDecay()),
            "twice the epochs": base.change(epochs=50),
            "ensemble of 2": base.change(method=ensemble(2)),
            "anti-distillation of 2": base.change(method=anti_distillation(2, weight=0.05)),
            "co-distillation": base.change(method=co_distillation(weight=1.0, ramp_epochs=5)),
            "entropy regulariser": base.change(method=entropy_regulariser(alpha=0.1)),
        },
    )


def flights() -> Experiment:
    """Recipes for click-through rates on 327,346 flights, three replicas each: how much do two trainings on one stream disagree?

    Three components with embeddings and narrowing towers, AdaGrad, one pass in the order of departure. Every mini-batch is predicted
    before it is trained on. Replicas share their initial weights. They differ in the order of the rows inside a moving window of 10,000,
    which models the asynchronous updates of a training system. The weights λ are below the 0.5 to 5 of the anti-distillation paper: the
    loss scales with the fourth power of the logits, and the logits of the paper's data are unknown. The difference loss is on logits, as in
    the paper; it is unbounded below, and a weight a few times larger makes the training diverge. "logit L2" is a control that only shrinks
    logits.
    """
    from traintwice.data import Flights
    from traintwice.methods import anti_distillation, anti_distillation_difference, baseline, co_distillation, ensemble, logit_l2
    from traintwice.nets import Towers
    from traintwice.optimizers import AdaGrad
    from traintwice.progressive import Progressive
    from traintwice.recipes import Recipe
    from traintwice.study import Experiment

    single = Recipe(
        network=Towers(),
        method=baseline(),
        optimizer=AdaGrad(lr=0.05),
        epochs=1,
        batch_size=512,
        fixed=("initialisation",),
        progressive=Progressive(),
    )
    base = single.change(method=ensemble(3))
    rows = {"no AD": base}
    for weight, s in ((0.001, 1.0), (0.01, 1.0), (0.1, 1.0), (0.01, 5.0), (0.01, 10.0)):
        method = anti_distillation(3, weight)
        rows[f"AD {weight:g}, s = {s:g}"] = base.change(method=method, network=Towers(embedding_scale=s))
    rows |= {
        "no AD, s = 10": base.change(network=Towers(embedding_scale=10.0)),
        "AD covariance 0.1": base.change(method=anti_distillation(3, 0.1, matrix="covariance")),
        "AD difference 0.01": base.change(method=anti_distillation_difference(3, 0.01, signal="logits")),
        "logit L2": base.change(method=logit_l2(0.01, components=3)),
        "single network": single,
        "co-distillation": base.change(method=co_distillation(1.0)),
        "no AD, free initialisation": base.change(fixed=()),
    }
    return Experiment("flights", Flights(), rows, replicas=FIRST_LOOK)


GROUP = "traintwice.studies"
"""Entry point group."""

OWN_PACKAGE = "traintwice"


@dataclass(frozen=True)
class RunOptions:
    """Options of `traintwice run` that a `CompositeStudy` receives.

    Attributes:
        train: trains the missing replicas of an experiment, with the engine, store and progress that the user chose, and returns its
            results.
        report: directory for files; None for none.
        as_json: print JSON on standard output and nothing else there.
        quiet: print no progress.
        jobs: worker processes; None for one for each core.
        scale: value of ``--scale``; None where the user gave none.
        parts: values of ``--part``.
        replicas, seed: None where the user gave none.
        settings: values of ``--set``, ``KEY=VALUE``; empty unless the study is a `StudyOfExperiments`.
        device: value of ``--device``.
    """

    train: Callable[[Experiment], Results]
    report: Path | None = None
    as_json: bool = False
    quiet: bool = False
    jobs: int | None = None
    scale: str | None = None
    parts: tuple[str, ...] = ()
    replicas: int | None = None
    seed: int | None = None
    settings: tuple[str, ...] = ()
    device: str = "cpu"


@runtime_checkable
class CompositeStudy(Protocol):
    """A study of several experiments, with an output of its own.

    Example:
        >>> class Pair:
        ...     title = "One study with two seeds."
        ...
        ...     def run(self, options): ...
        ...
        ...     def text(self):
        ...         return "seeds 0 and 1"
        ...
        ...     def describe(self):
        ...         return {"seeds": [0, 1]}
        >>> isinstance(Pair(), CompositeStudy)
        True
    """

    @property
    def title(self) -> str:
        """One line for `traintwice list`."""

    def run(self, options: RunOptions) -> None:
        """Train with ``options.train``, print and write what comes out."""

    def text(self) -> str:
        """Text that `traintwice show` prints."""

    def describe(self) -> dict[str, Any]:
        """Plain values that `traintwice show --json` prints."""


@runtime_checkable
class StudyOfExperiments(CompositeStudy, Protocol):
    """A composite study whose experiments can be written as study files and changed with ``--set``."""

    def experiments(self, scale: str | None, parts: tuple[str, ...], settings: tuple[str, ...]) -> list[Experiment]:
        """The experiments that ``--scale``, ``--part`` and ``--set`` describe."""


Maker: TypeAlias = "Callable[[], Experiment | CompositeStudy] | CompositeStudy"
"""What a plug-in gives for a name: a function without arguments, or a `CompositeStudy` itself."""


@dataclass(frozen=True)
class NamedStudy:
    """A study that can be run by name, and the distribution that has it, such as "traintwice"."""

    name: str
    package: str
    maker: Maker

    @property
    def doc(self) -> str:
        """Title of a composite study, docstring of a function; "" without one."""
        if isinstance(self.maker, CompositeStudy):
            return self.maker.title
        return inspect.getdoc(self.maker.func if isinstance(self.maker, partial) else self.maker) or ""

    def make(self) -> Experiment | CompositeStudy:
        """The study; a plug-in that raises or returns something else is named in the message."""
        from traintwice.study import Experiment

        if isinstance(self.maker, CompositeStudy):
            return self.maker
        try:
            made = self.maker()
        except TraintwiceError:
            raise
        except Exception as error:
            raise BadSpec(f"study {self.name} of package {self.package}: {type(error).__name__}: {error}") from error
        if not isinstance(made, Experiment | CompositeStudy):
            raise BadSpec(
                f"study {self.name} of package {self.package}: its function returned {made!r}, "
                "expected an Experiment or a CompositeStudy"
            )
        return made


@dataclass(frozen=True)
class Studies:
    """Every study that can be run by name; why a name is refused; a message for each entry point that cannot be used."""

    by_name: dict[str, NamedStudy]
    refused: dict[str, str]
    broken: tuple[str, ...]


def installed_studies(own: Mapping[str, Maker]) -> Studies:
    """The studies of this package and of all plug-ins. A plug-in that fails only adds a message to ``broken``.

    A name belongs to one package: a plug-in's study with the name of one of ours is ignored, and a name of two plug-ins is refused.

    Args:
        own: studies of this package.
    """
    by_name = {name: NamedStudy(name, OWN_PACKAGE, maker) for name, maker in own.items()}
    refused: dict[str, str] = {}
    broken: list[str] = []
    for package, makers, message in added(GROUP, lambda point: list(_makers(point)), trouble="studies cannot be loaded"):
        if makers is None:
            broken.append(message)
            continue
        for study in (NamedStudy(name, package, maker) for name, maker in makers):
            other = by_name.get(study.name)
            if other is None:
                by_name[study.name] = study
            elif other.package == OWN_PACKAGE:
                broken.append(f"package {package}: study {study.name} is ignored, because {OWN_PACKAGE} has a study of that name")
            else:
                refused[study.name] = (
                    f"study {study.name} is in two packages, {other.package} and {package}; uninstall one of them or rename the study"
                )
    return Studies({name: study for name, study in by_name.items() if name not in refused}, refused, tuple(broken))


def _makers(point: EntryPoint) -> Iterator[tuple[str, Maker]]:
    """Names and makers of one entry point: of a mapping its items, of a function the name of the entry point."""
    loaded = point.load()
    for name, maker in loaded.items() if isinstance(loaded, Mapping) else [(point.name, loaded)]:
        if not isinstance(name, str) or not (callable(maker) or isinstance(maker, CompositeStudy)):
            raise BadSpec(f"got {maker!r} for study {name!r}, expected a function without arguments or a CompositeStudy")
        yield name, maker
