"""Which examples of a stream are reported: not the first, which an untrained model predicts, and not more than can be held."""

from __future__ import annotations

import numpy as np

from traintwice.errors import BadInput


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
