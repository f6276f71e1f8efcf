"""The tables of CH, "On the Reproducibility of Neural Network Predictions"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from traintwice import metrics
from traintwice.controls import weight_decay
from traintwice.losses import Distillation
from traintwice.papers import printed
from traintwice.papers.artefact import Artefact, Chosen, Part, PartResults, Scale
from traintwice.papers.beside import BesideTable, Pair
from traintwice.papers.churn_rows import (
    BASELINE,
    BOTH,
    CE,
    CO,
    DISTILLED,
    ENSEMBLE,
    ENTROPY,
    SKL,
    TABLE_2,
    TYPICAL,
    part_of,
    recipe,
)
from traintwice.papers.grounds import Ground, of_churn, of_sources
from traintwice.papers.layouts import SERVE, TRAIN, PaperColumn, cells, measured, notes, rows_table
from traintwice.recipes import Fixable, Recipe

ACCURACY = measured(metrics.accuracy, "Accuracy")
CHURN = measured(metrics.churn, "Churn")
SCHURN = measured(metrics.surrogate_churn, "SChurn₁")
CORRECT = measured(metrics.churn_correct, "Churn correct")
INCORRECT = measured(metrics.churn_incorrect, "Churn incorrect")
ECE = measured(metrics.calibration_error, "ECE")
COLUMNS_2 = (TRAIN, ACCURACY, CHURN, SCHURN, CORRECT, INCORRECT)
TABLE_7 = (BASELINE, ENSEMBLE, DISTILLED, CE, CO, BOTH)
COLUMNS_7 = (TRAIN, SERVE, ACCURACY, CHURN, SCHURN, CORRECT, INCORRECT)


def _keys(columns: Sequence[PaperColumn]) -> tuple[str, ...]:
    return tuple(column.key for column in columns)


def _table_2_parts(scale: Scale) -> tuple[Part, ...]:
    parts = []
    for ground in of_churn(scale):
        numbers = printed.read(printed.CH_TABLE_2[ground.printed_for], _keys(COLUMNS_2))
        rows = TABLE_2 if scale == "small" else tuple(row for row in TABLE_2 if row in numbers)
        parts.append(part_of(ground, rows, scale, numbers))
    return tuple(parts)


def _table_7_parts(scale: Scale) -> tuple[Part, ...]:
    parts = []
    for ground in of_churn(scale):
        if ground.printed_for not in printed.CH_TABLE_7:
            continue
        numbers = printed.read(printed.CH_TABLE_2[ground.printed_for], _keys(COLUMNS_2))
        numbers |= printed.read(printed.CH_TABLE_7[ground.printed_for], _keys(COLUMNS_7))
        parts.append(part_of(ground, TABLE_7, scale, {row: numbers[row] for row in TABLE_7}))
    return tuple(parts)


def _table_4_parts(scale: Scale) -> tuple[Part, ...]:
    parts = []
    for place, ground in enumerate(g for g in of_churn(scale) if g.printed_for in printed.CH_TABLE_7):
        numbers = {
            row: {ECE.key: list(values.values())[place]}
            for row, values in printed.read(printed.CH_TABLE_4, ("cifar10", "cifar100", "imagenet")).items()
        }
        parts.append(part_of(ground, TABLE_2, scale, numbers))
    return tuple(parts)


def _table_4(parts: tuple[PartResults, ...]) -> tuple[BesideTable, ...]:
    """One line for each method, a column of calibration error for each data set."""
    columns = [cells(p, (ECE,), TABLE_2) for p in parts]
    costs = cells(parts[0], (TRAIN,), TABLE_2)
    lines: list[tuple[str | Pair, ...]] = [
        (row, costs[i][0], *[column[i][0] for column in columns]) for i, row in enumerate(TABLE_2)
    ]
    header = ("Method", TRAIN.title, *[f"{p.part.heading}: ECE" for p in parts])
    return (BesideTable("CH Table 4: expected calibration error, 15 bins of equal width", header, tuple(lines), notes(parts)),)


def _table_3_parts(scale: Scale) -> tuple[Part, ...]:
    """Every row without and with weight decay of 1e-4, in one study each. Ours: the weights of CH Table 5; typical ones at small scale."""
    rows = (BASELINE, ENTROPY, SKL, CO)
    parts = []
    for ground in of_churn(scale):
        if ground.printed_for not in printed.CH_TABLE_3:
            continue
        numbers = printed.read(printed.CH_TABLE_3[ground.printed_for], ("accuracy 0", "accuracy 1e-4", "churn 0", "churn 1e-4"))
        grounds = {text: replace(ground, base=weight_decay(ground.base, amount)) for text, amount in (("0", 0.0), ("1e-4", 1e-4))}
        beside = {
            f"{row}, weight decay {text}": {"accuracy": numbers[row][f"accuracy {text}"], "churn": numbers[row][f"churn {text}"]}
            for text in grounds
            for row in rows
        }

        weights = {row: TYPICAL[row] if scale == "small" else _printed_weight(ground.printed_for, row) for row in rows[1:]}

        def made(chosen: object, grounds: dict[str, Ground] = grounds, weights: Chosen = weights) -> dict[str, Recipe]:
            return {
                f"{row}, weight decay {text}": recipe(ground, row, weights) for text, ground in grounds.items() for row in rows
            }

        parts.append(ground.part(made, beside, weights=weights))
    return tuple(parts)


def _printed_weight(printed_for: str, row: str) -> float:
    """What CH Table 5 says was chosen."""
    numbers = printed.weights_of(printed_for)[row]
    return float(numbers["beta" if row == CO else "alpha"])


def _table_3(parts: tuple[PartResults, ...]) -> tuple[BesideTable, ...]:
    lines: list[tuple[str | Pair, ...]] = []
    for p in parts:
        for place, row in enumerate((BASELINE, ENTROPY, SKL, CO)):
            without, with_decay = cells(p, (ACCURACY, CHURN), [f"{row}, weight decay {text}" for text in ("0", "1e-4")])
            lines.append((p.part.heading if place == 0 else "", row, without[0], with_decay[0], without[1], with_decay[1]))
    header = ("Data", "Method", *[f"{m}, weight decay {text}" for m in ("Accuracy", "Churn") for text in ("0", "1e-4")])
    return (BesideTable("CH Table 3: with and without weight decay", header, tuple(lines), notes(parts)),)


def _table_5(parts: tuple[PartResults, ...]) -> tuple[BesideTable, ...]:
    """The weights that were chosen."""

    def alpha(p: PartResults, row: str) -> str:
        return f"{p.chosen[row]:g}" if row in (ENTROPY, SKL, BOTH) and row in p.chosen else "–"

    def beta(p: PartResults, row: str) -> str:
        of = CO if row == BOTH else row
        return f"{p.chosen[of]:g}" if of in (CE, CO) and of in p.chosen else "–"

    def temperature(p: PartResults, row: str) -> str:
        losses = [term.loss for term in p.results[row].recipe.method.terms]
        return next((f"{loss.temperature:g}" for loss in losses if isinstance(loss, Distillation)), "–")

    columns = (
        PaperColumn("alpha", "α", "text", alpha),
        PaperColumn("beta", "β", "text", beta),
        PaperColumn("temperature", "Temperature", "text", temperature),
        ACCURACY,
        CHURN,
    )
    return (rows_table("CH Table 5: chosen weights", parts, columns),)


def _table_5_parts(scale: Scale) -> tuple[Part, ...]:
    parts = []
    for part in _table_2_parts(scale):
        numbers = printed.weights_of(part.printed_for)
        beside = {row: {**part.printed.get(row, {}), **numbers.get(row, {})} for row in part.printed}
        parts.append(replace(part, printed=beside))
    return tuple(parts)


FACTORS: tuple[Fixable, ...] = ("order", "initialisation")


def _table_1_parts(scale: Scale) -> tuple[Part, ...]:
    """The 2³ factorial: augmentation on or off, order and initialisation free or fixed."""
    ground = of_sources(scale, table=1)
    numbers = printed.read(printed.CH_TABLE_1, ("accuracy", "churn", "surrogate_churn"))
    rows = {}
    for without, *is_fixed in product((False, True), repeat=3):
        fixed = tuple(source for source, there in zip(FACTORS, is_fixed, strict=True) if there)
        name = ", ".join([*(["no augmentation"] if without else []), *fixed]) or "none"
        rows[name] = ground.base.change(fixed=fixed, augmentation=None if without else ground.base.augmentation)
    replicas = 5 if scale == "paper" else 10
    return (ground.part(rows, numbers, replicas=replicas),)


def _table_6_parts(scale: Scale) -> tuple[Part, ...]:
    """Initialisation and input data (order and augmentation) fixed or free; on a CPU the hardware of the last cell is emulated."""
    ground = of_sources(scale, table=6)
    numbers = printed.read(printed.CH_TABLE_6, ("accuracy", "churn", "surrogate_churn"))
    data: tuple[Fixable, ...] = ("order", "augmentation")
    base = ground.base.change(hardware="emulated")
    rows = {
        "none": base,
        "initialisation": base.change(fixed=("initialisation",)),
        "input data": base.change(fixed=data),
        "initialisation, input data": base.change(fixed=("initialisation", *data)),
    }
    replicas = 5 if scale == "paper" else 10
    return (ground.part(rows, numbers, replicas=replicas),)


def _across(title: str, parts: tuple[PartResults, ...], extra: tuple[str, ...] = ()) -> tuple[BesideTable, ...]:
    """Measures down, cells across, as CH Tables 1 and 6 are printed."""
    (p,) = parts
    rows = list(p.results.rows)
    columns = (ACCURACY, CHURN, SCHURN)
    body = cells(p, columns, rows)
    lines: list[tuple[str | Pair, ...]] = [
        (column.title, *[body[i][place] for i in range(len(rows))]) for place, column in enumerate(columns)
    ]
    return (BesideTable(title, ("Held alike", *rows), tuple(lines), (*notes(parts), *extra)),)


TABLE_6_NOTE = (
    "Cells are labelled by what was done. The paper's numbers stand by the position of the marks in its header, which say that identical "
    "input data lowers churn from 8.44 to 2.73; its text says that identical initialisation does."
)

TABLES = (
    Artefact(
        "churn.table1",
        "CH Table 1: accuracy, churn and SChurn with sources of randomness held alike, 2³ cells",
        _table_1_parts,
        lambda parts: _across("CH Table 1: which source makes the churn", parts),
    ),
    Artefact(
        "churn.table2",
        "CH Table 2: churn of the methods",
        _table_2_parts,
        lambda parts: (rows_table("CH Table 2: churn of the methods", parts, COLUMNS_2),),
    ),
    Artefact("churn.table3", "CH Table 3: with and without weight decay", _table_3_parts, _table_3),
    Artefact("churn.table4", "CH Table 4: expected calibration error", _table_4_parts, _table_4),
    Artefact("churn.table5", "CH Table 5: chosen weights", _table_5_parts, _table_5),
    Artefact(
        "churn.table6",
        "CH Table 6: initialisation and input data held alike, hardware free",
        _table_6_parts,
        lambda parts: _across("CH Table 6: which source makes the churn, hardware free", parts, (TABLE_6_NOTE,)),
    ),
    Artefact(
        "churn.table7",
        "CH Table 7: an ensemble of two beside the methods that keep one network",
        _table_7_parts,
        lambda parts: (rows_table("CH Table 7: an ensemble of two beside one network kept", parts, COLUMNS_7),),
    ),
)
"""In the paper's order."""
