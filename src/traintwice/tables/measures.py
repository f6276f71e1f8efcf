"""The measures of any number of replicas, as a person reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from traintwice.tables.diff import left_out
from traintwice.tables.sheet import Sheet
from traintwice.tables.width import visible

if TYPE_CHECKING:
    from traintwice.compare import Measures


def measures_sheet(measures: Measures) -> Sheet:
    """What was read, a line for each measure, and the churn in a sentence."""
    table = measures.table()
    read = [visible(line) for line in measures.read.describe().splitlines()] if measures.read is not None else [table.title]
    infinite = [note for note in table.notes if " is infinite: " in note]
    said = ""
    if "churn" in measures:
        percent = f"{100 * measures['churn'].value:.3g}"
        said = f"Two of these {measures.replicas} models give {percent} of 100 rows another label on average."
    notes = (*map(visible, infinite), *left_out(measures.left_out))
    return Sheet(" · ".join(read), said, tables=(replace(table, title="", notes=()),), notes=notes)
