"""The tables of CH, "On the Reproducibility of Neural Network Predictions"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from traintwice import metrics
from traintwice.controls import weight_decay
from traintwice.losses import Distillation
from traintwice.recipes import Fixable, Recipe
from traintwice_reproduction.tables import printed
from traintwice_reproduction.tables.artefact import Artefact, Chosen, Part, PartResults, Scale
from traintwice_reproduction.tables.benchmarks import Benchmark, of_churn, of_sources
from traintwice_reproduction.tables.churn_rows import (
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
from traintwice_reproduction.tables.layouts import SERVE, TRAIN, PaperColumn, cells, measured, notes, rows_table
from traintwice_reproduction.tables.side_by_side import Pair, PaperTable

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
    for benchmark in of_churn(scale):
        numbers = printed.read(printed.CH_TABLE_2[benchmark.printed_for], _keys(COLUMNS_2))
        rows = TABLE_2 if scale == "small" else tuple(row for row in TABLE_2 if row in numbers)
        parts.append(part_of(benchmark, rows, scale, numbers))
    return tuple(parts)


def _table_7_parts(scale: Scale) -> tuple[Part, ...]:
    parts = []
    for benchmark in of_churn(scale):
        if benchmark.printed_for not in printed.CH_TABLE_7:
            continue
        numbers = printed.read(printed.CH_TABLE_2[benchmark.printed_for], _keys(COLUMNS_2))
        numbers |= printed.read(printed.CH_TABLE_7[benchmark.printed_for], _keys(COLUMNS_7))
        parts.append(part_of(benchmark, TABLE_7, scale, {row: numbers[row] for row in TABLE_7}))
    return tuple(parts)


def _table_4_parts(scale: Scale) -> tuple[Part, ...]:
    parts = []
    for place, benchmark in enumerate(g for g in of_churn(scale) if g.printed_for in printed.CH_TABLE_7):
        numbers = {
            row: {ECE.key: list(values.values())[place]}
            for row, values in printed.read(printed.CH_TABLE_4, ("cifar10", "cifar100", "imagenet")).items()
        }
        parts.append(part_of(benchmark, TABLE_2, scale, numbers))
    return tuple(parts)


def _table_4(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    """One row for each method, one column of calibration error for each data set."""
    columns = [cells(p, (ECE,), TABLE_2) for p in parts]
    costs = cells(parts[0], (TRAIN,), TABLE_2)
    lines: list[tuple[str | Pair, ...]] = [
        (row, costs[i][0], *[column[i][0] for column in columns]) for i, row in enumerate(TABLE_2)
    ]
    header = ("Method", TRAIN.title, *[f"{p.part.heading}: ECE" for p in parts])
    return (PaperTable("CH Table 4: expected calibration error, 15 bins of equal width", header, tuple(lines), notes(parts)),)


def _table_3_parts(scale: Scale) -> tuple[Part, ...]:
    """Every row without and with weight decay of 1e-4, in one study each. Ours: the weights of CH Table 5; at small scale `TYPICAL`."""
    rows = (BASELINE, ENTROPY, SKL, CO)
    parts = []
    for benchmark in of_churn(scale):
        if benchmark.printed_for not in printed.CH_TABLE_3:
            continue
        numbers = printed.read(
            printed.CH_TABLE_3[benchmark.printed_for], ("accuracy 0", "accuracy 1e-4", "churn 0", "churn 1e-4")
        )
        benchmarks = {
            text: replace(benchmark, base=weight_decay(benchmark.base, amount)) for text, amount in (("0", 0.0), ("1e-4", 1e-4))
        }
        numbers_of_rows = {
            f"{row}, weight decay {text}": {"accuracy": numbers[row][f"accuracy {text}"], "churn": numbers[row][f"churn {text}"]}
            for text in benchmarks
            for row in rows
        }

        weights = {row: TYPICAL[row] if scale == "small" else _printed_weight(benchmark.printed_for, row) for row in rows[1:]}

        def made(chosen: object, benchmarks: dict[str, Benchmark] = benchmarks, weights: Chosen = weights) -> dict[str, Recipe]:
            return {
                f"{row}, weight decay {text}": recipe(benchmark, row, weights)
                for text, benchmark in benchmarks.items()
                for row in rows
            }

        parts.append(benchmark.part(made, numbers_of_rows, weights=weights))
    return tuple(parts)


def _printed_weight(printed_for: str, row: str) -> float:
    """The chosen weight in CH Table 5."""
    numbers = printed.weights_of(printed_for)[row]
    return float(numbers["beta" if row == CO else "alpha"])


def _table_3(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    lines: list[tuple[str | Pair, ...]] = []
    for p in parts:
        for place, row in enumerate((BASELINE, ENTROPY, SKL, CO)):
            without, with_decay = cells(p, (ACCURACY, CHURN), [f"{row}, weight decay {text}" for text in ("0", "1e-4")])
            lines.append((p.part.heading if place == 0 else "", row, without[0], with_decay[0], without[1], with_decay[1]))
    header = ("Data", "Method", *[f"{m}, weight decay {text}" for m in ("Accuracy", "Churn") for text in ("0", "1e-4")])
    return (PaperTable("CH Table 3: with and without weight decay", header, tuple(lines), notes(parts)),)


def _table_5(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    """Chosen weights."""

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
        numbers_of_rows = {row: {**part.printed.get(row, {}), **numbers.get(row, {})} for row in part.printed}
        parts.append(replace(part, printed=numbers_of_rows))
    return tuple(parts)


FACTORS: tuple[Fixable, ...] = ("order", "initialisation")


def _table_1_parts(scale: Scale) -> tuple[Part, ...]:
    """The 2³ factorial: augmentation on or off, order and initialisation free or fixed."""
    benchmark = of_sources(scale, table=1)
    numbers = printed.read(printed.CH_TABLE_1, ("accuracy", "churn", "surrogate_churn"))
    rows = {}
    for without, *is_fixed in product((False, True), repeat=3):
        fixed = tuple(source for source, there in zip(FACTORS, is_fixed, strict=True) if there)
        name = ", ".join([*(["no augmentation"] if without else []), *fixed]) or "none"
        rows[name] = benchmark.base.change(fixed=fixed, augmentation=None if without else benchmark.base.augmentation)
    replicas = 5 if scale == "paper" else 10
    return (benchmark.part(rows, numbers, replicas=replicas),)


def _table_6_parts(scale: Scale) -> tuple[Part, ...]:
    """Initialisation and input data (order and augmentation) fixed or free; hardware noise is emulated on a CPU."""
    benchmark = of_sources(scale, table=6)
    numbers = printed.read(printed.CH_TABLE_6, ("accuracy", "churn", "surrogate_churn"))
    data: tuple[Fixable, ...] = ("order", "augmentation")
    base = benchmark.base.change(hardware="emulated")
    rows = {
        "none": base,
        "initialisation": base.change(fixed=("initialisation",)),
        "input data": base.change(fixed=data),
        "initialisation, input data": base.change(fixed=("initialisation", *data)),
    }
    replicas = 5 if scale == "paper" else 10
    return (benchmark.part(rows, numbers, replicas=replicas),)


def _across(title: str, parts: tuple[PartResults, ...], extra: tuple[str, ...] = ()) -> tuple[PaperTable, ...]:
    """One row for each measure and one column for each cell, as in CH Tables 1 and 6."""
    (p,) = parts
    rows = list(p.results.rows)
    columns = (ACCURACY, CHURN, SCHURN)
    body = cells(p, columns, rows)
    lines: list[tuple[str | Pair, ...]] = [
        (column.title, *[body[i][place] for i in range(len(rows))]) for place, column in enumerate(columns)
    ]
    return (PaperTable(title, ("Fixed", *rows), tuple(lines), (*notes(parts), *extra)),)


TABLE_6_NOTE = (
    "Cells are labelled by what was fixed. The paper's numbers follow the marks in its header, by which identical input data lowers churn "
    "from 8.44 to 2.73; by its text identical initialisation does."
)

TABLES = (
    Artefact(
        "churn.table1",
        "CH Table 1: accuracy, churn and SChurn with sources of randomness fixed, 2³ cells",
        _table_1_parts,
        lambda parts: _across("CH Table 1: which source causes churn", parts),
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
        "CH Table 6: initialisation and input data fixed, hardware free",
        _table_6_parts,
        lambda parts: _across("CH Table 6: which source causes churn, hardware free", parts, (TABLE_6_NOTE,)),
    ),
    Artefact(
        "churn.table7",
        "CH Table 7: an ensemble of two and the methods that serve one network",
        _table_7_parts,
        lambda parts: (rows_table("CH Table 7: an ensemble of two and one network served", parts, COLUMNS_7),),
    ),
)
"""In the paper's order."""
