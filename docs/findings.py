"""What became of every claim: docs/findings.md from docs/results/findings, and those from the studies.

python docs/findings.py --study claims.ad-digits --date 2026-11-22   # runs it (or reads its store), writes docs/results/findings/…json
python docs/findings.py --pages                                      # rewrites docs/findings.md from the JSON alone
"""

from __future__ import annotations

import datetime
import json
import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from claims import AD, CLAIMS, CONTRADICTIONS, FIVE, MARGIN, PAIR, TABLED, UNTESTED, Claim
from order import section
from pages import estimate_of
from refresh import into_readme, rounded, written

from traintwice import metrics
from traintwice.compare import compare_with_baseline
from traintwice.formatting import change, number
from traintwice.presets import PRESETS
from traintwice.study import Experiment, Results, component_table, run

DOCS = Path(__file__).resolve().parent
FOLDER = DOCS / "results" / "findings"
PAGE = DOCS / "findings.md"
REPLICAS = 20
"""Of every study of the page."""
UNITS = {"prediction_entropy": "number", "log_loss": "number"}
"""Of the metrics of claims; the others are fractions."""
SHOWN = ("accuracy", "churn", "churn_to_error", "surrogate_churn", "delta_1")
SHOWN_OF_STREAMS = ("relative_pairwise", "log_loss")
DIGITS = 5
"""Of the numbers that are kept."""
ALIKE = {"variance_within": "v", "covariance_between": "c", "correlation": "correlation", "logit_scale": "logit scale"}
"""Of the components of a row, with their titles."""

RETRAINED = 2
"""Of so many replicas of the baseline the predicted classes are kept, so that a test can train them again and compare."""


def study_of(name: str) -> Experiment:
    """A preset with as many replicas as the page wants."""
    return replace(PRESETS[name](), replicas=REPLICAS)


def family_of(name: str) -> str:
    """Which claims are asked of a study."""
    return name if name in CLAIMS else next(f for f in CLAIMS if name.startswith(f"{f}-"))


def stage_of(name: str) -> str:
    """The data set of a study, or its network, as the page calls it."""
    family = family_of(name)
    return name.rpartition("-")[2] if name == family else name.removeprefix(f"{family}-")


def summary(results: Results, family: str, date: str) -> dict[str, Any]:
    """A study as plain values: its rows, and for each claim the difference, Holm-adjusted over the claims of the study."""
    name, replicas = results.experiment.name, results.experiment.replicas
    asked = [c for c in CLAIMS[family] if {c.row, c.reference} <= set(results.rows)]
    found = _differences(results, [(c.row, c.reference, c.metric) for c in asked])
    of_stream = results.data.places is not None
    rows = {}
    for row, result in results.rows.items():
        shown = (*SHOWN, *SHOWN_OF_STREAMS) if of_stream else SHOWN
        estimates = {name: results.estimate(getattr(metrics, name), row) for name in shown}
        rows[row] = {name: [e.value, e.low, e.high] for name, e in estimates.items() if e is not None}
        rows[row] |= {"train": result.cost.train, "serve": result.cost.serve}
    first = results.baseline
    return {
        "schema": 1,
        "command": f"traintwice run {name}{'' if PRESETS[name]().replicas == replicas else f' --replicas {replicas}'}",
        "date": date,
        "replicas": replicas,
        "data": results.data.name,
        "network": first.recipe.network.describe(results.data.shape, results.data.classes),
        "train_examples": len(results.data.train),
        "test_examples": len(results.data.test),
        "rows": rounded(rows, DIGITS),
        "claims": rounded(dict(zip(map(key, asked), found, strict=True)), DIGITS),
        **({"against_baseline": rounded(_against_baseline(results, TABLED[family]), DIGITS)} if family in TABLED else {}),
        "components": rounded(_components(results), DIGITS) if family == "claims.ad" else {},
        "diverged": {row: len(lost) for row, lost in results.diverged.items()},
        "votes": ["".join(map(str, v)) for v in first.test.probs.argmax(-1)[:RETRAINED].tolist()]
        if results.data.classes < 11 and not of_stream
        else [],
        "data_digest": results.data.digest,
        "versions": results.environment()["versions"],
        "engine": sorted({str(n.get("engine", "loop")) for n in results.environment()["numerics"]}),
    }


def _components(results: Results) -> dict[str, dict[str, float]]:
    """How much of the rows' variance their components share."""
    table = component_table(results)
    return {} if table is None else {row.name: {key: row.cells[key] for key in ALIKE} for row in table.rows if row.cells}


def _differences(results: Results, asked: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Of rows against references in metrics, Holm-adjusted over all of them."""
    pairs = [_pair(results, metric, row, reference) for row, reference, metric in asked]
    return [
        {
            "difference": [d.estimate.value, d.estimate.low, d.estimate.high],
            "reference": float(reference.value),
            "p_holm": d.adjusted,
            "settled": d.significant,
        }
        for d, (_, reference) in zip(compare_with_baseline(pairs), pairs, strict=True)
    ]


def _against_baseline(results: Results, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Every row minus the first by metric, each metric Holm-adjusted over the rows by itself."""
    first = results.baseline.name
    others = [row for row in results.rows if row != first]
    by_metric = {metric: _differences(results, [(row, first, metric) for row in others]) for metric in names}
    return {metric: dict(zip(others, found, strict=True)) for metric, found in by_metric.items()}


def _pair(results: Results, metric: str, row: str, reference: str) -> tuple[metrics.Measurement, metrics.Measurement]:
    name, _, matched = metric.partition(" ")
    return results.pair(getattr(metrics, name), row, reference, matched=bool(matched))


def key(claim: Claim) -> str:
    """What a claim is called in the JSON."""
    return f"{claim.row} | {claim.reference} | {claim.metric}"


def outcome(claim: Claim, found: dict[str, Any]) -> str:
    """What one study says of a claim: yes, no, or not settled."""
    value, low, high = found["difference"]
    if claim.direction == "same":
        return "yes" if low >= -MARGIN and high <= MARGIN else "no" if found["settled"] and abs(value) > MARGIN else "open"
    if claim.direction == "not lower":
        return "no" if found["settled"] and value < 0 else "yes" if low >= -MARGIN else "open"
    wanted = -1 if claim.direction == "lower" else 1
    return ("yes" if value * wanted > 0 else "no") if found["settled"] else "open"


def verdict(claim: Claim, outcomes: list[str]) -> str:
    """One word or two for all data sets together."""
    if claim.direction == "open":
        return ""
    if not outcomes:
        return "cannot be tested here"
    if all(o == "yes" for o in outcomes):
        return "holds"
    if "yes" in outcomes:
        return "holds in part"
    return "does not hold here" if "no" in outcomes else "not settled"


def page(studies: dict[str, dict[str, Any]]) -> str:
    """The whole page."""
    lines = [HEAD]
    for family, claims in CLAIMS.items():
        own = {stage_of(name): s for name, s in studies.items() if family_of(name) == family}
        if own:
            lines += [f"## {TITLES[family]}", "", _studies(own), "", _claims(claims, own), ""]
            lines += [_alike(own), ""] if any(s.get("components") for s in own.values()) else []
            lines += [_table(own, TABLED[family]), ""] if family in TABLED else []
    lines += [text, ""] if (text := section(studies)) else []
    lines += ["## What could not be tested here", "", "| source | claim | what would test it |", "| --- | --- | --- |"]
    lines += [f"| {source} | {says} | {how} |" for source, says, how in UNTESTED]
    lines += ["", "## Where the papers contradict themselves", "", *[f"- {text}" for text in CONTRADICTIONS], ""]
    return "\n".join(lines)


def five(studies: dict[str, dict[str, Any]]) -> str:
    """Five lines for the README: churn of a row against its reference, data set by data set."""
    lines = []
    for family, says, row, reference in FIVE:
        parts = []
        for name, study in studies.items():
            found = study["claims"].get(f"{row} | {reference} | churn") if family_of(name) == family else None
            if found is not None:
                text = change(estimate_of(found["difference"]), "fraction")
                parts.append(f"{stage_of(name)} {f'**{text}**' if found['settled'] else text}")
        lines.append(f"- {says}: {'; '.join(parts)}.")
    return "\n".join(lines)


def _studies(own: dict[str, dict[str, Any]]) -> str:
    said = [
        f"- {stage}: `{s['command']}`, {s['network']}, {s['train_examples']:,} training and {s['test_examples']:,} test examples, "
        f"M = {s['replicas']}, {s['date']}{_lost(s)}"
        for stage, s in own.items()
    ]
    return "\n".join(said)


def _lost(study: dict[str, Any]) -> str:
    """What diverged; comparisons are of the replicas that both rows have."""
    return "".join(
        f"; of {row} {count} of {study['replicas']} replicas diverged and are left out"
        for row, count in study["diverged"].items()
    )


def _claims(claims: tuple[Claim, ...], own: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| source | what it says | measure: row against reference | " + " | ".join(own) + " | verdict |",
        "|" + " --- |" * (4 + len(own)),
    ]
    for claim in claims:
        cells: list[str] = []
        outcomes: dict[str, str] = {}
        for stage, s in own.items():
            found = s["claims"].get(key(claim))
            if found is None:
                cells.append("–")
                continue
            cells.append(_cell(claim.metric, found))
            outcomes[stage] = outcome(claim, found)
        what = f"{_title(claim.metric)}: {claim.row} − {claim.reference}"
        lines.append(f"| {claim.source} | {claim.says} | {what} | {' | '.join(cells)} | {in_words(claim, outcomes)} |")
    return "\n".join(lines)


def in_words(claim: Claim, outcomes: dict[str, str]) -> str:
    """The verdict, and where the opposite was found of what holds elsewhere."""
    word, against = verdict(claim, list(outcomes.values())), [stage for stage, o in outcomes.items() if o == "no"]
    return f"{word}; does not on {', '.join(against)}" if word == "holds in part" and against else word


def _alike(own: dict[str, dict[str, Any]]) -> str:
    """Variance and covariance of the components of each row, across replicas."""
    rows = dict.fromkeys(row for s in own.values() for row in s.get("components", {}))
    moved = []
    for stage, s in own.items():
        first, second = (s["components"][row] for row in (PAIR, AD))
        ends = [f"{first[key]:.2g} to {second[key]:.2g}" for key in ("covariance_between", "logit_scale")]
        moved.append(f"on {stage} c goes from {ends[0]} and the scale of the logits from {ends[1]}")
    titles = [f"{stage}: {title}" for stage in own for title in ALIKE.values()]
    lines = [
        "Diversity or shrinking? The mean of J components varies across replicas by (v + (J − 1)·c) / J, where v is the variance of one",
        f"component's probabilities and c the covariance of two components' (without intervals). From {PAIR} to {AD} both happen:",
        f"{'; '.join(moved)}. The rows above say what is left at matched temperature, with the gauge fixed, and beyond a plain penalty",
        "on the logits.",
        "",
        f"| recipe | {' | '.join(titles)} |",
        "|" + " --- |" * (1 + len(titles)),
    ]
    for row in rows:
        told = [s.get("components", {}).get(row, {}).get(key) for s in own.values() for key in ALIKE]
        lines.append(f"| {row} | {' | '.join('–' if value is None else f'{value:.3g}' for value in told)} |")
    return "\n".join(lines)


def _table(own: dict[str, dict[str, Any]], names: tuple[str, ...]) -> str:
    """Every row against the first of its study, in the order of what it costs to serve and to train."""
    asked = [(f"{stage}, {_title(metric)}", s, metric) for stage, s in own.items() for metric in names]
    first, *others = next(iter(own.values()))["rows"].items()
    lines = [
        f"Every recipe against {first[0]}, each measure adjusted over the recipes by itself:",
        "",
        "| recipe | train | serve | " + " | ".join(t for t, _, _ in asked) + " |",
    ]
    lines.append("|" + " --- |" * (3 + len(asked)))
    for row, told in sorted(others, key=lambda item: (item[1]["serve"], item[1]["train"])):
        found = [(metric, s["against_baseline"][metric].get(row)) for _, s, metric in asked]
        cells = ["–" if one is None else _cell(metric, one) for metric, one in found]
        lines.append(f"| {row} | {told['train']:.3g}x | {told['serve']:.3g}x | {' | '.join(cells)} |")
    return "\n".join(lines)


def _title(metric: str) -> str:
    return metric.replace("relative_pairwise", "relative PD").replace("_", " ")


def _cell(metric: str, found: dict[str, Any]) -> str:
    unit = UNITS.get(metric, "fraction")
    estimate = estimate_of(found["difference"])
    text = f"{number(found['reference'], unit, 2)} {change(estimate, unit)}"
    return f"**{text}**" if found["settled"] else text


TITLES = {
    "claims.ad": "Anti-distillation",
    "flights": "Anti-distillation of clicks",
    "claims.churn": "Minimum entropy and co-distillation",
    "rivals": "What buys least churn at equal cost",
    "rivals-flights": "What buys least churn of clicks at equal cost",
}

HEAD = """# What we found

Every claim of both papers that small data can test, and the questions that neither paper asks. A cell is the reference row's
value, then the difference with its 95 % interval over new replicas and new examples, paired by replica; fractions in percent
and percentage points. **Bold** is significant: p < 0.05 after Holm's adjustment over all comparisons of that study. "Holds" is significant
in the claimed direction on every data set, "holds in part" on some; a claim of sameness holds where the whole interval lies
within a point (of log loss: within 0.01), and "not lower" where it lies no more than that below 0. Rows marked "ours" are
questions without a claimed direction, so they have no verdict. These are small networks on small data: nothing here says what
large ones do.

What anti-distillation does on a stream of flights, in a single pass, by method, month and slice, is on a page of its own:
[clicks](clicks.md). Relative PD is the difference of two trainings' probabilities over their mean; (T) is at matched temperature.

`python docs/findings.py --study NAME` runs a study, prints its column of the table and writes its numbers;
`python docs/findings.py --pages` makes this page from them.
"""


def main() -> None:
    """Run studies, write their numbers, make the page."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--study", action="append", default=[], help="a study of the claims; may be repeated")
    parser.add_argument("--pages", action="store_true", help="from docs/results/findings alone")
    parser.add_argument("--store", type=Path, default=DOCS.parent / "traintwice-runs")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="on which the study was run")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in options.study:
        results = run(study_of(name), store=options.store)
        found = summary(results, family_of(name), options.date)
        sys.stdout.write(_claims(CLAIMS[family_of(name)], {stage_of(name): found}) + "\n")
        (FOLDER / f"{name}.json").write_text(written(found) + "\n")
    studies = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    PAGE.write_text(page(studies))
    into_readme("findings", five(studies))


if __name__ == "__main__":
    main()
