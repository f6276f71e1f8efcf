"""What the tables stand on: data, network, optimiser and schedule of each data set, in the papers and at small scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from traintwice.augmentation import CropFlip, Shift
from traintwice.data import CIFAR10, CIFAR100, MNIST, SVHN, Criteo, Digits, FashionMNIST, ImageNet, INaturalist, MNIST5k, Source
from traintwice.nets import MLP, RESNET_20, RESNET_32, RESNET_56, LeNet5, ResNetV2, Towers
from traintwice.optimizers import SGD, AdaGrad
from traintwice.papers.artefact import Chosen, Part, Printed, Scale
from traintwice.presets import flights
from traintwice.recipes import Recipe
from traintwice.schedules import StepDecay, WarmUp


@dataclass(frozen=True)
class Ground:
    """A data set with the recipe of its baseline.

    Args:
        name, heading: as of a `Part`.
        data, base: what is trained on what.
        printed_for: the paper's data set and network whose numbers stand beside.
        top_k: of the regularisers; None reads all predictions.
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
        """The part of a table that stands on it.

        Args:
            rows: as of a `Part`, or the recipes themselves where nothing is chosen.
            printed, settings: as of a `Part`.
        """
        make = rows if callable(rows) else lambda chosen: rows
        known = {"printed_for": self.printed_for, "optional": self.optional, **settings}
        return Part(self.name, self.heading, self.data, make, printed=printed, **known)


def _steps(warm: float, *moments: float) -> WarmUp:
    """A warm-up, then a tenth of the rate at each moment."""
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
"""CH appendix A. Ours: crops reach an eighth of the side beyond the picture."""

LENET = Recipe(
    network=LeNet5(),
    optimizer=SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(5, 40, 60, 80),
    epochs=90,
    batch_size=1024,
    augmentation=CropFlip(4),
)
"""Ours: the paper gives no schedule for SVHN; this is CIFAR's at a fifth of the length and a tenth of the rate, which LeNet5 needs."""

SMALL_MLP = Recipe(
    network=MLP((128, 128)),
    optimizer=SGD(lr=0.03, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(2, 15, 22, 27),
    epochs=30,
    batch_size=64,
    augmentation=Shift(1),
)
"""The shape of CIFAR's settings at a fifteenth of the length; pictures are shifted by up to a pixel, as digits have no mirror image."""

SMALL_LENET = replace(
    SMALL_MLP,
    network=LeNet5(),
    optimizer=SGD(lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(1, 7, 11, 14),
    epochs=16,
    batch_size=128,
)
"""The same at half that length: a convolution takes its time."""

SMALL_RESNET = replace(
    SMALL_MLP,
    network=RESNET_20,
    optimizer=SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4),
    lr_schedule=_steps(0.5, 2, 3, 3.5),
    epochs=4,
)
"""As `SMALL_MLP`, for 52 steps: to see that all of it runs, more than to be believed."""


def of_churn(scale: Scale) -> tuple[Ground, ...]:
    """The data sets of CH Table 2, in its order.

    Source:
        CH appendix A. The schedules of iNaturalist and SVHN are not given there: ours are ImageNet's, and `LENET`. Ours too: validation
        examples are dealt from the training set. At small scale digits stand for CIFAR-10, MNIST-5k for CIFAR-100, and a residual
        network that is trained for a few steps for ImageNet.
    """
    if scale == "small":
        return (
            Ground("digits", "digits, MLP", Digits(), SMALL_MLP, "CIFAR-10, ResNet-56", top_k=None),
            Ground("mnist-5k", "MNIST-5k, LeNet5", MNIST5k(), SMALL_LENET, "CIFAR-100, ResNet-56", temperature=4.0),
            Ground(
                "resnet",
                "digits, ResNet-20, 52 steps",
                Digits(pictures=True),
                SMALL_RESNET,
                "ImageNet, ResNet-v2-50",
                temperature=1.0,
            ),
        )
    return (
        Ground("cifar10", "CIFAR-10, ResNet-56", CIFAR10(), CIFAR, "CIFAR-10, ResNet-56"),
        Ground("cifar100", "CIFAR-100, ResNet-56", CIFAR100(), CIFAR, "CIFAR-100, ResNet-56", temperature=4.0),
        Ground(
            "imagenet",
            "ImageNet, ResNet-v2-50",
            ImageNet(),
            IMAGENET,
            "ImageNet, ResNet-v2-50",
            top_k=10,
            temperature=1.0,
        ),
        Ground(
            "inaturalist",
            "iNaturalist, ResNet-v2-50",
            INaturalist(),
            IMAGENET,
            "iNaturalist, ResNet-v2-50",
            top_k=10,
            temperature=1.0,
        ),
        Ground("svhn", "SVHN, LeNet5", SVHN(), LENET, "SVHN, LeNet5"),
    )


def of_sources(scale: Scale, *, table: int) -> Ground:
    """The data set of CH Tables 1 (ResNet-56) and 6 (ResNet-32)."""
    ground = of_churn(scale)[0]
    printed_for = f"CIFAR-10, ResNet-{56 if table == 1 else 32}"
    if scale == "paper" and table == 6:
        ground = replace(ground, heading=printed_for, base=ground.base.change(network=RESNET_32))
    return replace(ground, printed_for=printed_for)


def of_anti_distillation(scale: Scale) -> tuple[Ground, ...]:
    """The data of AD Tables 1 and 2; at small scale Fashion-MNIST too, where it is on the machine.

    Source:
        AD section 5. Not given there: batch size, range of the uniform, input scaling; ours are 128, Glorot's range and [0, 1]. Ours too:
        1,000 of the 60,000 training images are kept for validation.
    """
    optimizer = AdaGrad(lr=0.02, accumulator=0.1)
    if scale == "paper":
        base = Recipe(network=MLP((1200, 1200)), optimizer=optimizer, epochs=150, batch_size=128)
        return (Ground("mnist", "MNIST", MNIST(train=59_000, validation=1_000), base, "MNIST"),)
    base = Recipe(network=MLP((256, 256)), optimizer=optimizer, epochs=20, batch_size=64)
    clothes = FashionMNIST(train=10_000)
    return (
        Ground("mnist-5k", "MNIST-5k", MNIST5k(), base, "MNIST, all 60,000 images"),
        Ground("fashion", "Fashion-MNIST", clothes, replace(base, epochs=10), "MNIST, all 60,000 images", optional=True),
    )


def of_clicks(scale: Scale) -> Ground:
    """The stream of AD Table 3; the baseline is an ensemble of three without coupling.

    Source:
        AD section 5: a private log of advertisements, "hundreds of billions of examples". Not given there: widths, size of the embeddings,
        batch size, learning rate. Ours at small scale: the flights and the recipe of `traintwice run flights`, so that one store serves
        both; at paper scale the 45,840,617 lines of Criteo's challenge, wider towers and larger mini-batches.
    """
    study, log = flights(), "a private log of advertisements"
    base = study.rows[study.baseline]
    if scale == "small":
        return Ground("flights", "flights", study.data, base, log)
    wide = base.change(network=Towers((256, 128, 64), embedding=16, sparse=True), batch_size=1024)
    return Ground("criteo", "Criteo's display advertisements", Criteo(), wide, log)
