"""Whether the order of the rivals on networks of linear layers is that of a convolutional network, and of clicks."""

from __future__ import annotations

from typing import Any, Literal

from claims import CLAIMS, PD_T, Claim

Word = Literal["lower", "higher", "not settled", "both", "–"]
"""What the settled intervals of a comparison say; "both" where two data sets contradict each other, "–" where it was not asked."""

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
"""Row and reference on pictures to those that ask the same of clicks, where their names differ."""


def section(studies: dict[str, dict[str, Any]]) -> str:
    """The part of the page; "" without the studies that it compares."""
    layers = [s for name, s in studies.items() if name.startswith("rivals-") and name not in (CONVOLUTIONAL, STREAM)]
    asked = {
        "LeNet5, churn": (CONVOLUTIONAL, "churn"),
        "clicks, churn": (STREAM, "churn"),
        "clicks, relative PD (T)": (STREAM, PD_T),
    }
    columns = {title: (studies[name], metric) for title, (name, metric) in asked.items() if name in studies}
    if not layers or not columns:
        return ""
    first = {claim: both([word(s, claim.row, claim.reference, "churn") for s in layers]) for claim in CLAIMS["rivals"]}
    found = {title: {claim: elsewhere(s, claim, metric) for claim in first} for title, (s, metric) in columns.items()}
    lines = [TEXT, "| comparison | row against reference | networks of linear layers, churn | " + " | ".join(found) + " |"]
    lines.append("|" + " --- |" * (3 + len(found)))
    for claim, said in first.items():
        cells = " | ".join(words[claim] for words in found.values())
        lines.append(
            f"| {claim.source.removeprefix('ours, ')}: {claim.says} | {claim.row} − {claim.reference} | {said} | {cells} |"
        )
    lines += [
        "",
        "| does the order hold? | settled there and asked here | the same | the opposite | not settled here | verdict |",
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
    """What one study says of a row against a reference."""
    found = study["claims"].get(f"{row} | {reference} | {metric}")
    if found is None:
        return "–"
    if not found["settled"]:
        return "not settled"
    return "lower" if found["difference"][0] < 0 else "higher"


def both(words: list[Word]) -> Word:
    """What several studies say together: settled on one is settled, unless another says the opposite."""
    told = {w for w in words if w in ("lower", "higher")}
    if len(told) == 2:
        return "both"
    return told.pop() if told else "not settled" if "not settled" in words else "–"


def elsewhere(study: dict[str, Any], claim: Claim, metric: str) -> Word:
    """What a study says of the same comparison, by whatever name."""
    found = word(study, claim.row, claim.reference, metric)
    return found if found != "–" else word(study, *OF_CLICKS.get((claim.row, claim.reference), ("", "")), metric)


def verdict(asked: int, same: int, opposite: int) -> str:
    """Of all comparisons together."""
    if not asked:
        return "no order to hold"
    if same == asked:
        return "holds"
    return "holds in part" if same else "does not hold here" if opposite else "not settled"


TEXT = """## Does the order hold for a convolutional network, and for clicks?

Lower and higher are settled after Holm's adjustment over the comparisons of a study. Of networks of linear layers one data set is
enough, unless another settles the opposite ("both"). "–": that comparison was not asked there. On clicks an ensemble has three
components, and the well-fitted baseline stands for strong weight decay.
"""
