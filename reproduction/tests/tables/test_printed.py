"""The papers' numbers, as printed."""

from itertools import product

from traintwice_reproduction.tables import printed

CHURN = ("accuracy", "churn", "surrogate_churn")


def columns_of(factors):
    """Names of the cells of a factorial header, the factor listed last varying fastest."""
    cells = product((False, True), repeat=len(factors))
    return [", ".join(f for f, there in zip(factors, cell, strict=True) if there) or "none" for cell in cells]


def test_table_1_varies_the_factor_listed_last_fastest():
    table = printed.read(printed.CH_TABLE_1, CHURN)
    assert list(table) == columns_of(("no augmentation", "order", "initialisation"))
    section_4 = ("5.81 ± 0.08", "5.56 ± 0.12")  # "fixing the initialisation of five runs … lowers churn"
    assert (table["none"]["churn"], table["initialisation"]["churn"]) == section_4


def test_table_6_has_the_order_of_table_1():
    table = printed.read(printed.CH_TABLE_6, CHURN)
    as_printed = ["8.44 ± 0.27", "8.25 ± 0.11", "2.73 ± 0.07", "1.33 ± 0.10"]
    by_column = dict(zip(columns_of(("initialisation", "input data")), as_printed, strict=True))
    assert {row: numbers["churn"] for row, numbers in table.items()} == by_column
    # its caption: initialisation "decreases churn significantly", identical input data "lowers churn further"
    churn = {row: float(numbers["churn"].split()[0]) for row, numbers in table.items()}
    assert churn["initialisation, input data"] < churn["initialisation"] < churn["input data"] < churn["none"]


def test_signs_that_cannot_be_read_are_in_parentheses():
    """A dash precedes these numbers in the text of the paper; the rows of a larger s have the first one without."""
    table = printed.read(printed.AD_TABLE_3, ("log_loss", "rank_loss", "relative_pd"))
    unread = [row for row, numbers in table.items() if numbers["log_loss"].startswith("(−)")]
    assert unread == ["second moment, 0.5, 1", "covariance, 1, 1", "difference, 1, 1"]
    assert not any("(−)" in numbers["rank_loss"] for numbers in table.values())
