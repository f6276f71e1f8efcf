"""Data, network, optimiser and schedule of each data set of the tables, at paper scale and at small scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from traintwice.augmentation import CropFlip, Shift
from traintwice.data import CIFAR10, CIFAR100, MNIST, SVHN, Criteo, Digits, FashionMNIST, ImageNet, INaturalist, MNIST5k, Source
from traintwice.nets import MLP, RESNET_20, RESNET_32, RESNET_56, LeNet5, ResNetV2, Towers
from traintwice.optimizers import SGD, AdaGrad
from traintwice.presets import flights
from traintwice.recipes import Recipe
from traintwice.schedules import StepDecay, WarmUp
from traintwice_reproduction.tables.artefact import Chosen, Part, Printed, Scale


@dataclass(frozen=True)
class Benchmark:
    """A data set with the recipe of its baseline.

    Args:
        name, heading: as of a `Part`.
        data: data set.
        base: recipe of the baseline.
        printed_for: data set and network of the paper's numbers.
        top_k: of the regularisers; None for all classes.
        temperature: of the ensemble distillation, as in CH Table 5.
        optional: as of a `Part`.
    """

    name: str
    heading: str
    data: Source
    base: Recipe
    printed_for: str
    top_k: int | None = None
    temperature: float = 3.0
    optional: bool = False

    def part(self, rows: dict[str, Recipe] | Callable[[Chosen], dict[str, Recipe]], printed: Printed, **settings: Any) -> Part:
        """The part of a table for this benchmark.

        Args:
            rows: as of a `Part`, or recipes where no weight is chosen.
            printed, settings: as of a `Part`.
        """
        make = rows if callable(rows) else lambda chosen: rows
        known = {"printed_for": self.printed_for, "optional": self.optional, **settings}
        return Part(self.name, self.heading, self.data, make, printed=printed, **known)


def _steps(warm: float, *moments: float) -> WarmUp:
    """Warm-up, then a tenth of the rate at each epoch of ``moments``."""
    return WarmUp(StepDecay(0.1, epochs=moments), epochs=warm)


CIFAR = Recipe(
    network=RESNET_56,
    optimizer=SGD(lr=1.0, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(15, 200, 300, 400),
    epochs=450,
    batch_size=1024,
    augmentation=CropFlip(4),
)
"""CH appendix A."""

IMAGENET = Recipe(
    network=ResNetV2(),
    optimizer=SGD(lr=0.8, momentum=0.9, weight_decay=1e-4),
    lr_schedule=_steps(5, 30, 60, 80),
    epochs=90,
    batch_size=1024,
    augmentation=CropFlip(28),
)
"""CH appendix A. Ours: crops extend an eighth of the side beyond the picture."""

LENET = Recipe(
    network=LeNet5(),
    optimizer=SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(5, 40, 60, 80),
    epochs=90,
    batch_size=1024,
    augmentation=CropFlip(4),
)
"""Ours: the paper gives no schedule for SVHN; this is CIFAR's with a fifth of the epochs and the tenth of the rate that LeNet5 needs."""

SMALL_MLP = Recipe(
    network=MLP((128, 128)),
    optimizer=SGD(lr=0.03, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(2, 15, 22, 27),
    epochs=30,
    batch_size=64,
    augmentation=Shift(1),
)
"""CIFAR's settings with a fifteenth of the epochs; pictures are shifted by up to a pixel, because a mirrored digit is not a digit."""

SMALL_LENET = replace(
    SMALL_MLP,
    network=LeNet5(),
    optimizer=SGD(lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(1, 7, 11, 14),
    epochs=16,
    batch_size=128,
)
"""The same with half the epochs, because convolutions are slow."""

SMALL_RESNET = replace(
    SMALL_MLP,
    network=RESNET_20,
    optimizer=SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(0.5, 2, 3, 3.5),
    epochs=4,
)
"""As `SMALL_MLP`, for 52 steps: it shows that the code runs; its numbers are not evidence."""


def of_churn(scale: Scale) -> tuple[Benchmark, ...]:
    """The data sets of CH Table 2, in its order.

    Source:
        CH appendix A. The paper gives no schedules for iNaturalist and SVHN: ours are ImageNet's, and `LENET`. Ours: validation
        examples are taken from the training set. At small scale digits replace CIFAR-10, MNIST-5k replaces CIFAR-100, and a residual
        network trained for a few steps replaces ImageNet.
    """
    if scale == "small":
        return (
            Benchmark("digits", "digits, MLP", Digits(), SMALL_MLP, "CIFAR-10, ResNet-56", top_k=None),
            Benchmark("mnist-5k", "MNIST-5k, LeNet5", MNIST5k(), SMALL_LENET, "CIFAR-100, ResNet-56", temperature=4.0),
            Benchmark(
                "resnet",
                "digits, ResNet-20, 52 steps",
                Digits(pictures=True),
                SMALL_RESNET,
                "ImageNet, ResNet-v2-50",
                temperature=1.0,
            ),
        )
    return (
        Benchmark("cifar10", "CIFAR-10, ResNet-56", CIFAR10(), CIFAR, "CIFAR-10, ResNet-56"),
        Benchmark("cifar100", "CIFAR-100, ResNet-56", CIFAR100(), CIFAR, "CIFAR-100, ResNet-56", temperature=4.0),
        Benchmark(
            "imagenet",
            "ImageNet, ResNet-v2-50",
            ImageNet(),
            IMAGENET,
            "ImageNet, ResNet-v2-50",
            top_k=10,
            temperature=1.0,
        ),
        Benchmark(
            "inaturalist",
            "iNaturalist, ResNet-v2-50",
            INaturalist(),
            IMAGENET,
            "iNaturalist, ResNet-v2-50",
            top_k=10,
            temperature=1.0,
        ),
        Benchmark("svhn", "SVHN, LeNet5", SVHN(), LENET, "SVHN, LeNet5"),
    )


def of_sources(scale: Scale, *, table: int) -> Benchmark:
    """The data set of CH Tables 1 (ResNet-56) and 6 (ResNet-32)."""
    benchmark = of_churn(scale)[0]
    printed_for = f"CIFAR-10, ResNet-{56 if table == 1 else 32}"
    if scale == "paper" and table == 6:
        benchmark = replace(benchmark, heading=printed_for, base=benchmark.base.change(network=RESNET_32))
    return replace(benchmark, printed_for=printed_for)


def of_anti_distillation(scale: Scale) -> tuple[Benchmark, ...]:
    """The data of AD Tables 1 and 2; at small scale also Fashion-MNIST where its files are on the machine.

    Source:
        AD section 5, which does not give batch size, range of the uniform initialisation and input scaling. Ours: 128, Glorot's range
        and [0, 1]; 1,000 of the 60,000 training images for validation.
    """
    optimizer = AdaGrad(lr=0.02, accumulator=0.1)
    if scale == "paper":
        base = Recipe(network=MLP((1200, 1200)), optimizer=optimizer, epochs=150, batch_size=128)
        return (Benchmark("mnist", "MNIST", MNIST(train=59_000, validation=1_000), base, "MNIST"),)
    base = Recipe(network=MLP((256, 256)), optimizer=optimizer, epochs=20, batch_size=64)
    clothes = FashionMNIST(train=10_000)
    return (
        Benchmark("mnist-5k", "MNIST-5k", MNIST5k(), base, "MNIST, all 60,000 images"),
        Benchmark("fashion", "Fashion-MNIST", clothes, replace(base, epochs=10), "MNIST, all 60,000 images", optional=True),
    )


def of_clicks(scale: Scale) -> Benchmark:
    """The stream of AD Table 3; the baseline is an ensemble of three without coupling.

    Source:
        AD section 5: a private log of advertisements, "hundreds of billions of examples", without widths, size of the embeddings, batch
        size and learning rate. Ours: at small scale data and recipe of `traintwice run flights`, so that both share replicas; at paper
        scale the 45,840,617 lines of Criteo's challenge, wider towers and larger mini-batches.
    """
    study, log = flights(), "a private log of advertisements"
    base = study.rows[study.baseline]
    if scale == "small":
        return Benchmark("flights", "flights", study.data, base, log)
    wide = base.change(network=Towers((256, 128, 64), embedding=16, sparse=True), batch_size=1024)
    return Benchmark("criteo", "Criteo's display advertisements", Criteo(), wide, log)
