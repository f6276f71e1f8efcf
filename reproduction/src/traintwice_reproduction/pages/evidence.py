"""Tables of studies of methods on real data, from their kept results."""

from __future__ import annotations

from traintwice_reproduction.kept import KEPT, read


def table(name: str) -> str:
    """Every row of a study: cost, accuracy, churn, and both differences from the first row, Holm-adjusted over the rows.

    Args:
        name: of the study, as in `python -m traintwice_reproduction evidence NAME`.
    """
    kept = read(KEPT / "evidence" / f"{name}.json")
    first = next(iter(kept["rows"]))
    lines = [
        f"| recipe | train / serve | accuracy | churn | churn − ({first}) | accuracy − ({first}) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row, found in kept["rows"].items():
        cost = " / ".join(f"{found[key]:.3g}x" for key in ("train", "serve"))
        values = [_percent(*found[key]) for key in ("accuracy", "churn")]
        changes = [_change(*found[f"{key} - {first}"]) if row != first else "" for key in ("churn", "accuracy")]
        lines.append("| " + " | ".join([row, cost, *values, *changes]) + " |")
    return "\n".join(lines)


def _percent(value: float, low: float, high: float) -> str:
    digits = 1 if value >= 0.1 else 2
    return f"{100 * value:.{digits}f} % ({100 * low:.{digits}f} to {100 * high:.{digits}f})"


def _change(value: float, low: float, high: float, adjusted: float) -> str:
    digits = 1 if high - low >= 0.005 else 2
    shown = f"{100 * value:+.{digits}f} pp ({100 * low:+.{digits}f} to {100 * high:+.{digits}f})".replace("-", "−")
    significant = adjusted <= 0.05 and (low > 0 or high < 0)
    return shown if significant else f"{shown}, inconclusive"
