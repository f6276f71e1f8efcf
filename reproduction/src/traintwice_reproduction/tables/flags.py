"""Rows whose churn says nothing: replicas that are copies or constant, or whose labels never differ."""

from __future__ import annotations

import numpy as np

from traintwice.study import Results
from traintwice.study._rows import RowResult
from traintwice_reproduction.tables.artefact import PartResults

MARK = "†"


def flags(p: PartResults) -> dict[str, str]:
    """Row to the reason why its churn is not comparable; rows without a reason are left out."""
    return flags_of(p.results)


def flags_of(results: Results) -> dict[str, str]:
    """`flags` of a study."""
    return {row: reason for row, result in results.rows.items() if (reason := _reason(result))}


def _reason(result: RowResult) -> str:
    distinct, count = result.distinct, len(result.numbers)
    probs = np.asarray(result.test.probs)
    votes = probs.argmax(-1)
    found = []
    if distinct < count:
        found.append(f"its {count} replicas are {distinct} distinct model{'s' * (distinct > 1)}, bit for bit")
    if (votes == votes[:, :1]).all():
        found.append("every replica predicts one class for all examples")
    elif distinct > 1 and (votes == votes[:1]).all():
        largest = np.ptp(probs, axis=0).max()
        found.append(f"no label differs between its replicas; the largest difference of a probability is {largest:.1g}")
    return "; ".join(found)


def marked(p: PartResults, row: str) -> str:
    """Name of a row, marked where it is flagged."""
    return f"{row} {MARK}" if row in flags(p) else row


def flag_notes(p: PartResults) -> list[str]:
    """A sentence for each flagged row."""
    return [f"{MARK} {p.part.heading}, {row}: {reason}." for row, reason in flags(p).items()]


def hardware(p: PartResults) -> str:
    """Where the randomness of the hardware comes from."""
    found = p.results.environment()["numerics"]
    processors = " and ".join(sorted({str(n["processor"]) for n in found}))
    if {n["device"] for n in found} == {"cuda"}:
        return f"Hardware is free: kernels of {processors} are not deterministic and cuDNN searches for the fastest."
    return (
        f"Hardware is emulated on {processors}: each replica starts with one weight changed by one unit in the last place. This shows what "
        "rounding grows to, not how much a GPU rounds."
    )
