"""Whether a convolutional network, and clicks, give the same order of the rivals as networks of linear layers."""

from __future__ import annotations

from typing import Any, Literal

from traintwice_reproduction.pages.claims import CLAIMS, PD_T, Claim

Word = Literal["lower", "higher", "inconclusive", "both", "–"]
"""Significant direction of a comparison; "both" where two data sets contradict each other, "–" where there is no such comparison."""

CONVOLUTIONAL, STREAM = "rivals-lenet", "rivals-flights"

OF_CLICKS: dict[tuple[str, str], tuple[str, str]] = {
    ("plain", "constant rate"): ("rate decay", "plain"),
    ("steady", "plain"): ("steady, last weights", "plain"),
    ("steady", "strong weight decay"): ("steady, last weights", "well fitted"),
    ("steady", "ensemble of 2"): ("steady, last weights", "ensemble of 3"),
    ("ensemble of 2", "plain"): ("ensemble of 3", "plain"),
    ("anti-distillation", "ensemble of 2"): ("anti-distillation, λ = 0.01", "ensemble of 3"),
    ("co-distillation, strong weight decay", "strong weight decay"): ("co-distillation, well fitted", "well fitted"),
    ("anti-distillation, strong weight decay", "ensemble of 2, strong weight decay"): (
        "anti-distillation, well fitted",
        "ensemble of 3, well fitted",
    ),
}
"""Row and reference on pictures to row and reference of the same comparison on clicks, where the names differ."""


def section(studies: dict[str, dict[str, Any]]) -> str:
    """The section of the page; "" without the studies that it compares."""
    layers = [s for name, s in studies.items() if name.startswith("rivals-") and name not in (CONVOLUTIONAL, STREAM)]
    targets = {
        "LeNet5, churn": (CONVOLUTIONAL, "churn"),
        "clicks, churn": (STREAM, "churn"),
        "clicks, relative PD (T)": (STREAM, PD_T),
    }
    columns = {title: (studies[name], metric) for title, (name, metric) in targets.items() if name in studies}
    if not layers or not columns:
        return ""
    first = {claim: both([word(s, claim.row, claim.reference, "churn") for s in layers]) for claim in CLAIMS["rivals"]}
    found = {title: {claim: elsewhere(s, claim, metric) for claim in first} for title, (s, metric) in columns.items()}
    lines = [TEXT, "| comparison | row against reference | networks of linear layers, churn | " + " | ".join(found) + " |"]
    lines.append("|" + " --- |" * (3 + len(found)))
    for claim, result in first.items():
        cells = " | ".join(words[claim] for words in found.values())
        lines.append(
            f"| {claim.source.removeprefix('ours, ')}: {claim.text} | {claim.row} − {claim.reference} | {result} | {cells} |"
        )
    lines += [
        "",
        "| does the order hold? | significant there and tested here | the same | the opposite | inconclusive here | verdict |",
    ]
    lines.append("|" + " --- |" * 6)
    for title, words in found.items():
        pairs = [(first[c], words[c]) for c in first if first[c] in ("lower", "higher") and words[c] != "–"]
        same, opposite = sum(a == b for a, b in pairs), sum({a, b} == {"lower", "higher"} for a, b in pairs)
        lines.append(
            f"| {title} | {len(pairs)} | {same} | {opposite} | {len(pairs) - same - opposite} | {verdict(len(pairs), same, opposite)} |"
        )
    return "\n".join(lines)


def word(study: dict[str, Any], row: str, reference: str, metric: str) -> Word:
    """Result of one study for a row against a reference."""
    found = study["claims"].get(f"{row} | {reference} | {metric}")
    if found is None:
        return "–"
    if not found["significant"]:
        return "inconclusive"
    return "lower" if found["difference"][0] < 0 else "higher"


def both(words: list[Word]) -> Word:
    """Result of several studies: significant in one study is enough, unless another has the opposite."""
    directions = {w for w in words if w in ("lower", "higher")}
    if len(directions) == 2:
        return "both"
    return directions.pop() if directions else "inconclusive" if "inconclusive" in words else "–"


def elsewhere(study: dict[str, Any], claim: Claim, metric: str) -> Word:
    """Result of a study for the same comparison, also under its name on clicks."""
    found = word(study, claim.row, claim.reference, metric)
    return found if found != "–" else word(study, *OF_CLICKS.get((claim.row, claim.reference), ("", "")), metric)


def verdict(tested: int, same: int, opposite: int) -> str:
    """Verdict on all comparisons."""
    if not tested:
        return "no order to hold"
    if same == tested:
        return "holds"
    return "holds in part" if same else "does not hold here" if opposite else "inconclusive"


TEXT = """## Does the order hold for a convolutional network, and for clicks?

Lower and higher are significant (Holm-adjusted over the comparisons of a study). For networks of linear layers one data set is
enough, unless another is significant in the opposite direction ("both"). "–": there is no such comparison. On clicks an ensemble has three
components, and the well-fitted baseline replaces strong weight decay.
"""
