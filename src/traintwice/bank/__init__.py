"""Banks: what every replica of a study predicts on every test row, to be measured again without training."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.bank._writing import NewRecipe, write_study
from traintwice.predictions._bank import BankRecipe, Banks, BankStudy, bank_study, banks

__all__ = ["BankRecipe", "BankStudy", "Banks", "NewRecipe", "bank_study", "banks", "write_study"]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
