"""The page "What we found" from the kept numbers of the studies of claims."""

from __future__ import annotations

from typing import Any

from traintwice._formatting import change, number
from traintwice_reproduction.pages import chosen_settings
from traintwice_reproduction.pages.claims import (
    AD,
    CLAIMS,
    CONTRADICTIONS,
    ELSEWHERE,
    FIVE,
    NEAR,
    NOT_RUN,
    PAIR,
    TABLED,
    UNTESTED,
    Claim,
    is_near,
    outcome,
    verdict,
)
from traintwice_reproduction.pages.comparing import COMPONENTS, experiment_of, family_of, stage_of
from traintwice_reproduction.pages.explained import top_k_entropy
from traintwice_reproduction.pages.methods import estimate_of
from traintwice_reproduction.pages.order import section

UNITS = {"prediction_entropy": "number", "log_loss": "number", "confidence": "number"}
"""Units of metrics of claims that are not fractions."""
NEAR_MARK = "°"
"""Marks a comparison near the line."""


def page(studies: dict[str, dict[str, Any]]) -> str:
    """The whole page."""
    lines = [HEAD]
    for family, claims in CLAIMS.items():
        named = {name: s for name, s in studies.items() if family_of(name) == family}
        own = {stage_of(name): s for name, s in named.items()}
        if own:
            lines += [f"## {TITLES[family]}", "", _studies(named), "", _claims(claims, own), ""]
            lines += [_component_table(own), ""] if any(s.get("components") for s in own.values()) else []
            lines += [_table(own, TABLED[family]), ""] if family in TABLED else []
            lines += [top_k_entropy(), ""] if family == "claims.churn" else []
    lines += [text, ""] if (text := section(studies)) else []
    lines += [chosen_settings.section(), ""]
    lines += ["## What could not be tested here", "", "| source | claim | what would test it |", "| --- | --- | --- |"]
    lines += [f"| {source} | {claim} | {how} |" for source, claim, how in UNTESTED]
    lines += ["", "Tested by another command:", "", *[f"- {source}: {claim}. {how}." for source, claim, how in ELSEWHERE]]
    lines += ["", "## Where the papers contradict themselves", "", *[f"- {text}" for text in CONTRADICTIONS], ""]
    return "\n".join(lines)


def five(studies: dict[str, dict[str, Any]]) -> str:
    """Five lines of the overview: change of churn against the reference, by data set."""
    lines = []
    for family, title, row, reference in FIVE:
        parts = []
        for name, study in studies.items():
            found = study["claims"].get(f"{row} | {reference} | churn") if family_of(name) == family else None
            if found is not None:
                text = change(estimate_of(found["difference"]), "fraction")
                parts.append(f"{stage_of(name)} {f'**{text}**' if found['significant'] else text}")
        lines.append(f"- {title}: {'; '.join(parts)}.")
    return "\n".join(lines)


def _studies(named: dict[str, dict[str, Any]]) -> str:
    lines = [
        f"- {stage_of(name)}: `{s['command']}`, {s['network']}, {s['train_examples']:,} training and {s['test_examples']:,} test examples, "
        f"M = {s['replicas']}, {s['date']}, {' and '.join(s.get('processors', ())) or 'processor not recorded'}{_lost(s)}"
        for name, s in named.items()
    ]
    if old := [stage_of(name) for name, s in named.items() if is_old(name, s)]:
        lines += ["", f"The study has changed since the runs on {', '.join(old)}: what they lack is {NOT_RUN}."]
    return "\n".join(lines)


def is_old(name: str, study: dict[str, Any]) -> bool:
    """Whether a kept run lacks rows or comparisons of the study as it is now."""
    claims = {claim.key for claim in CLAIMS[family_of(name)]}
    return not (claims <= set(study["claims"]) and set(experiment_of(name).rows) <= set(study["rows"]))


def _lost(study: dict[str, Any]) -> str:
    """Diverged replicas, and rows whose churn says nothing; a comparison uses the replicas that both rows have."""
    return "".join(
        f"; of {row} {count} of {study['replicas']} replicas diverged and are left out"
        for row, count in study["diverged"].items()
    ) + "".join(f"; {row}: {reason}" for row, reason in study.get("flagged", {}).items())


def _claims(claims: tuple[Claim, ...], own: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| source | claim | measure: row against reference | " + " | ".join(own) + " | verdict |",
        "|" + " --- |" * (4 + len(own)),
    ]
    for claim in claims:
        found = {stage: s["claims"][claim.key] for stage, s in own.items() if claim.key in s["claims"]}
        cells = [_cell(claim.metric, found[stage]) if stage in found else NOT_RUN if len(found) else "–" for stage in own]
        what = f"{_title(claim.metric)}: {claim.row} − {claim.reference}"
        word = verdict(claim, {stage: outcome(claim, f) for stage, f in found.items()}) if found else NOT_RUN
        lines.append(f"| {claim.source} | {claim.text} | {what} | {' | '.join(cells)} | {word} |")
    return "\n".join(lines)


def _component_table(own: dict[str, dict[str, Any]]) -> str:
    """Variance and covariance of the components of each row, across replicas."""
    rows = dict.fromkeys(row for s in own.values() for row in s.get("components", {}))
    changes = []
    for stage, s in own.items():
        first, second = (s["components"][row] for row in (PAIR, AD))
        ends = [f"{first[key]:.2g} to {second[key]:.2g}" for key in ("covariance_between", "logit_scale")]
        changes.append(f"on {stage} c goes from {ends[0]} and the scale of the logits from {ends[1]}")
    titles = [f"{stage}: {title}" for stage in own for title in COMPONENTS.values()]
    lines = [
        "Diversity or shrinking? The mean of J components varies across replicas by (v + (J − 1)·c) / J, where v is the variance of one",
        f"component's probabilities and c the covariance of two components' (without intervals). From {PAIR} to {AD} both change:",
        f"{'; '.join(changes)}. The rows above show what remains at matched temperature, with the gauge fixed, and against a plain penalty",
        "on the logits.",
        "",
        f"| recipe | {' | '.join(titles)} |",
        "|" + " --- |" * (1 + len(titles)),
    ]
    for row in rows:
        values = [s.get("components", {}).get(row, {}).get(key) for s in own.values() for key in COMPONENTS]
        lines.append(f"| {row} | {' | '.join('–' if value is None else f'{value:.3g}' for value in values)} |")
    return "\n".join(lines)


def _table(own: dict[str, dict[str, Any]], names: tuple[str, ...]) -> str:
    """Every row against the first row of its study, in the order of cost to serve and to train."""
    columns = [(f"{stage}, {_title(metric)}", s, metric) for stage, s in own.items() for metric in names]
    first, *others = next(iter(own.values()))["rows"].items()
    lines = [
        f"Every recipe against {first[0]}, each measure Holm-adjusted over the recipes:",
        "",
        "| recipe | train | serve | " + " | ".join(t for t, _, _ in columns) + " |",
    ]
    lines.append("|" + " --- |" * (3 + len(columns)))
    for row, values in sorted(others, key=lambda item: (item[1]["serve"], item[1]["train"])):
        found = [(metric, s["against_baseline"][metric].get(row)) for _, s, metric in columns]
        cells = ["–" if one is None else _cell(metric, one) for metric, one in found]
        lines.append(f"| {row} | {values['train']:.3g}x | {values['serve']:.3g}x | {' | '.join(cells)} |")
    return "\n".join(lines)


def _title(metric: str) -> str:
    return metric.replace("relative_pairwise", "relative PD").replace("_", " ")


def _cell(metric: str, found: dict[str, Any]) -> str:
    unit = UNITS.get(metric, "fraction")
    estimate = estimate_of(found["difference"])
    text = f"{number(found['reference'], unit, 2)} {change(estimate, unit)}{NEAR_MARK if is_near(found) else ''}"
    return f"**{text}**" if found["significant"] else text


TITLES = {
    "claims.ad": "Anti-distillation",
    "flights": "Anti-distillation of clicks",
    "claims.churn": "Minimum entropy and co-distillation",
    "rivals": "Least churn at equal cost",
    "rivals-flights": "Least churn of clicks at equal cost",
}

HEAD = f"""# What we found

Every claim of both papers that small data can test, and questions that the papers do not have. These are small networks on small data
and no evidence about large ones.

- **A cell** is the value of the reference row, then the difference with its 95 % confidence interval for new replicas and new examples,
  paired by replica. Fractions are in percent and percentage points (pp).
- **Bold** is significant: p < 0.05, Holm-adjusted over all comparisons of one study, and the interval excludes zero. {NEAR_MARK} marks
  an adjusted p between {NEAR[0]:g} and {NEAR[1]:g}, near that line.
  The last digits of a training depend on the processor, so another processor can move such
  a cell across it.
- **"Holds"** means significant in the claimed direction on every data set, **"holds in part"** on more data sets than have the
  opposite, and **"contradicted on 2 of 3"** that the opposite is significant on at least as many. p-values are not adjusted over data
  sets: "holds" needs every one of them, which is stricter than one test at 5 %, but among three data sets one alone can be significant
  by chance up to three times as often as 5 %, so "holds in part" on one data set is weak evidence.
- **"The same"** holds where the difference is not significant and its whole interval is within a tenth of the reference (of accuracy, a
  tenth of the error). "Not lower" holds where the interval is at most that far below 0.
- Rows marked **"ours"** are questions without a claimed direction, so they have no verdict.

[Clicks](../guides/clicks.md) shows anti-distillation (decorrelated ensembles) on a stream of flights by method, month and slice.
Relative PD is the difference of two trainings' probabilities over their mean; (T) is at matched temperature.

`python -m traintwice_reproduction findings NAME` runs a study and keeps its numbers; `make docs` makes this page from them.
"""
