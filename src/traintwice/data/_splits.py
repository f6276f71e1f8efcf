"""How examples are dealt into training, validation and test splits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from traintwice.data._dataset import LazyInputs, Scaling, Split
from traintwice.errors import BadInput
from traintwice.randomness import stream

Read = Callable[[np.ndarray], np.ndarray | LazyInputs]
"""From places to inputs."""


def split(
    inputs: np.ndarray, labels: np.ndarray, sizes: tuple[int, int, int], *, seed: int, scaling: Scaling | None = None
) -> tuple[Split, Split, Split]:
    """Split the examples into train, validation and test by one fixed shuffle, whose seed is a setting of the data set."""
    if min(sizes) < 1 or sum(sizes) > len(labels):
        raise BadInput(f"split: got sizes {sizes}, expected three positive numbers of sum at most {len(labels)}")
    order = stream(seed, "split").permutation(len(labels))
    ends = np.cumsum(sizes)
    parts = [order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] : ends[2]]]
    train, validation, test = (Split(inputs[part], labels[part], scaling, part) for part in parts)
    return train, validation, test


def deal(examples: int, tests: int, sizes: tuple[int | None, int, int | None], *, seed: int) -> tuple[np.ndarray, ...]:
    """Places of the examples of train, validation and test, for data with an official test set; a size of None takes all that remain.

    Training and validation examples come from the official training set in one fixed shuffle: training from its beginning, validation from
    its end. A smaller training set is so a part of a larger one, with the same validation examples. Test examples are the official
    test examples in their order, or a subset of them. The validation places may be empty, see `official_splits`.
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
    """Like `deal`, without an official test set: test examples come from the same shuffle, right before the validation examples."""
    train, validation, test = sizes
    train = examples - validation - test if train is None else train
    if min(train, validation, test) < 1 or train + validation + test > examples:
        raise BadInput(
            f"split: got train {train}, validation {validation} and test {test}, expected positive numbers of sum at most {examples:,}"
        )
    order, end = stream(seed, "split").permutation(examples), examples - validation
    return order[:train], order[end:], order[end - test : end]


def measured(pictures: np.ndarray) -> Scaling:
    """Mean and standard deviation of byte / 255 in each channel of pictures ``N channels rows columns``, over all pixels."""
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
        raise BadInput(
            "normalise: a channel of the training pictures is constant, and its standard deviation is 0; set normalise to false"
        )
    return Scaling(tuple(mean), tuple(std))


def official_splits(
    training: tuple[Read, np.ndarray], testing: tuple[Read, np.ndarray], parts: tuple[np.ndarray, ...], scaling: Scaling | None
) -> tuple[Split, Split, Split]:
    """The splits of two official sets at the places that `deal` gives; without validation places, validation is the test split."""
    (read, labels), (read_test, test_labels) = training, testing
    test = Split(read_test(parts[2]), test_labels[parts[2]], scaling, parts[2] + len(labels))
    train, validation = (Split(read(part), labels[part], scaling, part) if len(part) else test for part in parts[:2])
    return train, validation, test


def reported(examples: int, *, warm_up: float, validation: float, most: int) -> dict[str, np.ndarray]:
    """Places of the validation and test examples of progressive training, at most ``most`` of each part: every k-th of a longer one.

        | warm-up: trained on, not reported | validation | test |

    Ours: temperatures are fitted to examples that are earlier than the reported examples, as in service.

        >>> {name: at.tolist() for name, at in reported(20, warm_up=0.2, validation=0.1, most=7).items()}
        {'warm_up': [0, 1, 2, 3], 'validation': [4, 5], 'test': [6, 8, 10, 12, 14, 16, 18]}
    """
    if warm_up < 0 or validation <= 0 or warm_up + validation >= 1:
        raise BadInput(
            f"places: got warm_up={warm_up} and validation={validation}, expected shares with a sum below 1, and a validation share above 0"
        )
    first, second = round(warm_up * examples), round((warm_up + validation) * examples)
    if not first < second < examples or most < 1:
        raise BadInput(
            f"places: got {examples:,} examples and at most {most} of each part, expected enough for a validation and a test part"
        )
    parts = {"warm_up": (0, first), "validation": (first, second), "test": (second, examples)}
    return {name: np.arange(start, stop, -(-(stop - start) // most)) for name, (start, stop) in parts.items() if start < stop}
