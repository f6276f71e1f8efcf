"""Evaluation logs of language models as plain tables of outcomes: one row for each answer, right or wrong.

`read_log` reads a log or a folder of logs, `recognise` names its layout, `pair_check` checks that two logs are of the same items, and
`normalise` removes differences between answers that do not matter. `compare_tokens` reads what two models predict token by token: files
of llama.cpp, or log probabilities as servers return them.
"""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.logs._outcomes import Outcomes
from traintwice.logs._pairing import STEPS, Pairing, normalise, pair_check
from traintwice.logs._reading import FORMATS, LogFormat, is_log, read_columns, read_log, recognise
from traintwice.logs._tokens import TokenComparison, compare_tokens

__all__ = [
    "FORMATS",
    "STEPS",
    "LogFormat",
    "Outcomes",
    "Pairing",
    "TokenComparison",
    "compare_tokens",
    "is_log",
    "normalise",
    "pair_check",
    "read_columns",
    "read_log",
    "recognise",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
