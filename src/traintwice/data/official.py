"""Data sets of pictures with an official test set: how they are dealt and scaled."""

from __future__ import annotations

import numpy as np

from traintwice.data.dataset import Dataset, Scaling, Split
from traintwice.errors import BadInput
from traintwice.randomness import stream


def deal(examples: int, tests: int, sizes: tuple[int | None, int, int | None], *, seed: int) -> tuple[np.ndarray, ...]:
    """Which examples go to train, validation and test.

    Training and validation examples come from the official training set, in one fixed shuffle: training from its beginning, validation from
    its end, so that a smaller training set is part of a larger one and is validated on the same examples. Test examples are
    the official ones in their order, or some of them.

    Args:
        examples, tests: how many there are in the official sets.
        sizes: train, validation and test; None takes all that are left. With validation 0 none are returned for it, and the caller
            takes the test examples in its place.
        seed: of the shuffle.
    Raises:
        BadInput: more asked for than there are, or an empty split of train or test.
    """
    train, validation, test = sizes
    train = examples - validation if train is None else train
    test = tests if test is None else test
    if min(train, test, validation + 1) < 1 or train + validation > examples or test > tests:
        raise BadInput(
            f"split: got train {train}, validation {validation} and test {test}, expected positive numbers (validation may be 0), the "
            f"first two of sum at most {examples:,} and the last at most {tests:,}"
        )
    order = stream(seed, "split").permutation(examples)
    chosen = np.arange(tests) if test == tests else np.sort(stream(seed, "split", component=1).permutation(tests)[:test])
    return order[:train], order[examples - validation :], chosen


def deal_one(examples: int, sizes: tuple[int | None, int, int], *, seed: int) -> tuple[np.ndarray, ...]:
    """As `deal` where there is no official test set: test examples come from the same shuffle, right before those of validation.

    Raises:
        BadInput: more asked for than there are, or an empty split.
    """
    train, validation, test = sizes
    train = examples - validation - test if train is None else train
    if min(train, validation, test) < 1 or train + validation + test > examples:
        raise BadInput(
            f"split: got train {train}, validation {validation} and test {test}, expected positive numbers of sum at most {examples:,}"
        )
    order, end = stream(seed, "split").permutation(examples), examples - validation
    return order[:train], order[end:], order[end - test : end]


def measured(pictures: np.ndarray) -> Scaling:
    """Mean and standard deviation of each channel of bytes ``N channels rows columns``, of byte / 255, over all pixels."""
    mean, std = [], []
    for channel in range(pictures.shape[1]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(pictures), 4096):  # bincount makes a copy of eight times the size
            counts += np.bincount(pictures[start : start + 4096, channel].reshape(-1), minlength=256)
        total, values = int(counts.sum()), np.arange(256)
        first = int((counts * values).sum()) / total
        second = int((counts * values**2).sum()) / total
        mean.append(first / 255)
        std.append(max(second - first**2, 0.0) ** 0.5 / 255)
    if min(std) == 0:
        raise BadInput("normalise: a channel of the training pictures has one value only, and no standard deviation to divide by")
    return Scaling(tuple(mean), tuple(std))


def dataset_of_pictures(
    name: str,
    classes: int,
    training: tuple[np.ndarray, np.ndarray],
    testing: tuple[np.ndarray, np.ndarray],
    sizes: tuple[int | None, int, int | None],
    *,
    seed: int,
    normalise: bool,
    class_names: tuple[str, ...] = (),
) -> Dataset:
    """Official training and test pictures as a data set, kept as bytes.

    Args:
        name, classes, class_names: of the data set.
        training, testing: pictures ``N channels rows columns`` (uint8) and labels ``N``.
        sizes, seed: see `deal`; with validation 0 all official training examples train, and the test examples are the validation split.
        normalise: whether each channel gets mean 0 and standard deviation 1 on the training split; else bytes are divided by 255.
    """
    (pictures, labels), (tests, test_labels) = training, testing
    for shown, found in ((pictures, labels), (tests, test_labels)):
        if len(shown) != len(found):
            raise BadInput(f"{name}: got {len(shown):,} pictures and {len(found):,} labels, expected as many of each")
        if len(found) and not (int(found.min()) >= 0 and int(found.max()) < classes):
            raise BadInput(f"{name}: got labels from {found.min()} to {found.max()}, expected 0 to {classes - 1}")
    train, validation, test = deal(len(labels), len(test_labels), sizes, seed=seed)
    chosen = pictures[train]
    scaling = measured(chosen) if normalise else Scaling()
    rows, columns = pictures.shape[2:]
    tested = Split(tests[test], test_labels[test].astype(np.int64), scaling)
    return Dataset(
        name,
        classes,
        Split(chosen, labels[train].astype(np.int64), scaling),
        Split(pictures[validation], labels[validation].astype(np.int64), scaling) if len(validation) else tested,
        tested,
        pixels=(rows, columns, 3) if pictures.shape[1] == 3 else (rows, columns),
        class_names=class_names,
    )
