"""How examples are dealt into training, validation and test splits."""

from __future__ import annotations

import numpy as np

from traintwice.data.dataset import Dataset, Scaling, Split
from traintwice.errors import BadInput
from traintwice.randomness import stream


def split(
    inputs: np.ndarray, labels: np.ndarray, sizes: tuple[int, int, int], *, seed: int, scaling: Scaling | None = None
) -> tuple[Split, Split, Split]:
    """Deal the examples into train, validation and test by one fixed shuffle.

    Args:
        inputs, labels: ``N *shape`` and ``N``.
        sizes: how many go to each; together at most N.
        seed: of the shuffle, part of the data set's settings and not of the experiment.
        scaling: of bytes.
    Raises:
        BadInput: more examples asked for than there are, or an empty split.
    """
    if min(sizes) < 1 or sum(sizes) > len(labels):
        raise BadInput(f"split: got sizes {sizes}, expected three positive numbers of sum at most {len(labels)}")
    order = stream(seed, "split").permutation(len(labels))
    ends = np.cumsum(sizes)
    parts = [order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] : ends[2]]]
    train, validation, test = (Split(inputs[part], labels[part], scaling) for part in parts)
    return train, validation, test


def deal(examples: int, tests: int, sizes: tuple[int | None, int, int | None], *, seed: int) -> tuple[np.ndarray, ...]:
    """Which examples go to train, validation and test.

    Training and validation examples come from the official training set, in one fixed shuffle: training from its beginning, validation from
    its end, so that a smaller training set is part of a larger one and is validated on the same examples. Test examples are
    the official ones in their order, or some of them.

    Args:
        examples, tests: how many there are in the official sets.
        sizes: train, validation and test; None takes all that are left.
        seed: of the shuffle.
    Raises:
        BadInput: more asked for than there are, or an empty split.
    """
    train, validation, test = sizes
    train = examples - validation if train is None else train
    test = tests if test is None else test
    if min(train, validation, test) < 1 or train + validation > examples or test > tests:
        raise BadInput(
            f"split: got train {train}, validation {validation} and test {test}, expected positive numbers, the first two of sum at most "
            f"{examples:,} and the last at most {tests:,}"
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
        sizes, seed: see `deal`.
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
    return Dataset(
        name,
        classes,
        Split(chosen, labels[train].astype(np.int64), scaling),
        Split(pictures[validation], labels[validation].astype(np.int64), scaling),
        Split(tests[test], test_labels[test].astype(np.int64), scaling),
        pixels=(rows, columns, 3) if pictures.shape[1] == 3 else (rows, columns),
        class_names=class_names,
    )


def reported(examples: int, *, warm_up: float, validation: float, most: int) -> dict[str, np.ndarray]:
    """Where the validation and test examples of a stream are.

        | warm-up: trained on, not reported | validation | test |

    Args:
        examples: N of the stream.
        warm_up: share of the stream at its beginning that is left out of every number, in [0, 1).
        validation: share that comes next; temperatures are fitted to it.
        most: test examples at most, >= 1; of a longer test part every k-th is taken. Of the other parts as many at most.
    Returns:
        Ascending places by name of the split, "warm_up" (where there is one), "validation" and "test".
    Raises:
        BadInput: a part without examples.
    Source:
        Ours: a temperature may only be fitted to other examples than those reported, and to earlier ones, as it would be in service.
    Example:
        >>> {name: at.tolist() for name, at in reported(20, warm_up=0.2, validation=0.1, most=7).items()}
        {'warm_up': [0, 1, 2, 3], 'validation': [4, 5], 'test': [6, 8, 10, 12, 14, 16, 18]}
    """
    if warm_up < 0 or validation <= 0 or warm_up + validation >= 1:
        raise BadInput(
            f"stream: got warm_up={warm_up} and validation={validation}, expected shares of the stream whose sum is below 1, the second "
            "above 0"
        )
    first, second = round(warm_up * examples), round((warm_up + validation) * examples)
    if not first < second < examples or most < 1:
        raise BadInput(f"stream: got {examples:,} examples and most={most}; too few to have a warm-up, validation and test part")
    parts = {"warm_up": (0, first), "validation": (first, second), "test": (second, examples)}
    return {name: np.arange(start, stop, -(-(stop - start) // most)) for name, (start, stop) in parts.items() if start < stop}
