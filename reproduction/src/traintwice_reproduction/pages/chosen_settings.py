"""Record of the chosen settings for docs/evidence/findings.md."""

from __future__ import annotations

from typing import Any

from traintwice_reproduction.pages.claims import NOT_RUN
from traintwice_reproduction.studies.choices import CHOICES
from traintwice_reproduction.studies.chosen import record_of

TEXT = """## How settings were chosen

Candidates are trained on other replicas than the reported ones and compared on the validation split, each setting changed alone
(`python -m traintwice_reproduction choices NAME`). A candidate is "value: churn at accuracy" on pictures and "value: relative PD at log
loss" on clicks, without intervals: five replicas and a small validation split order only what differs much. λ of the rows "chosen λ"
are the chosen values. Other settings are fixed for all data sets, and the table shows what the validation split of each would choose.

| choice | setting | candidates | chosen |
| --- | --- | --- | --- |"""


def section() -> str:
    """The section of the page: every choice, also those that have not been run."""
    lines = [TEXT]
    for name in CHOICES:
        record = record_of(name)
        if record is None:
            lines.append(f"| {name} | – | {NOT_RUN} | – |")
            continue
        for setting, value in record["chosen"].items():
            lines.append(f"| {name} | {setting} | {_candidates(record, setting)} | {value:g} |")
    return "\n".join(lines)


def _candidates(record: dict[str, Any], setting: str) -> str:
    """Measures of each value of a setting."""
    found = []
    for row, of in record["rows"].items():
        name, _, value = row.rpartition(" ")
        if name == setting:
            first, second = (
                (f"{100 * of['relative_pairwise']:.3g} %", f"{of['log_loss']:.4g}")
                if "relative_pairwise" in of
                else (f"{100 * of['churn']:.3g} %", f"{100 * of['accuracy']:.3g} %")
            )
            found.append(f"{value}: {first} at {second}")
    return "; ".join(found)
