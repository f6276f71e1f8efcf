"""The measures of any number of replicas, as a person reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from traintwice.tables.diff import left_out
from traintwice.tables.sheet import Sheet
from traintwice.tables.width import visible
from traintwice.types import TARGET_IN_WORDS

if TYPE_CHECKING:
    from traintwice.compare import Measures


def measures_sheet(measures: Measures) -> Sheet:
    """What was read, a line for each measure, and the churn in a sentence."""
    table = measures.table()
    read = [table.title]
    if measures.read is not None:  # that every row has a label goes without saying
        lines = measures.read.describe().splitlines()
        read = [visible(line) for line in lines if not line.startswith("labels in") or "have none" in line]
    infinite = [note for note in table.notes if " is infinite: " in note or note.startswith("temperature: ")]
    said = ""
    if "churn" in measures:
        percent = f"{100 * measures['churn'].value:.3g}"
        said = f"Two of these {measures.replicas} models give {percent} of 100 rows another label on average."
    targets = {estimate.target for estimate in measures.values()}
    about = []
    if len(targets) == 1:
        table = replace(table, columns=tuple(c for c in table.columns if c.key != "target"))
        about = [f"± is half a {100 * next(iter(measures.values())).level:g} % interval for {TARGET_IN_WORDS[targets.pop()]}"]
    notes = (*about, *map(visible, infinite), *left_out(measures.left_out))
    return Sheet(" · ".join(read), said, tables=(replace(table, title="", notes=()),), notes=notes)
