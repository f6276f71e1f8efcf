"""What became of every claim: docs/findings.md from docs/results/findings, and those from the studies.

python docs/findings.py --study claims.ad-digits --date 2026-11-22   # runs it (or reads its store), writes docs/results/findings/…json
python docs/findings.py --pages                                      # rewrites docs/findings.md from the JSON alone
"""

from __future__ import annotations

import datetime
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from claims import CLAIMS, CONTRADICTIONS, FIVE, MARGIN, UNTESTED, Claim
from pages import estimate_of
from refresh import into_readme, rounded, written

from traintwice import metrics
from traintwice.compare import compare_with_baseline
from traintwice.presets import PRESETS
from traintwice.study import Results, run
from traintwice.tables.format import change, number

DOCS = Path(__file__).resolve().parent
FOLDER = DOCS / "results" / "findings"
PAGE = DOCS / "findings.md"
UNITS = {"prediction_entropy": "number"}
"""Of the metrics of claims; the others are fractions."""
SHOWN = ("accuracy", "churn", "churn_to_error", "surrogate_churn", "delta_1")
DIGITS = 5
"""Of the numbers that are kept."""

RETRAINED = 2
"""Of so many replicas of the baseline the predicted classes are kept, so that a test can train them again and compare."""


def summary(results: Results, claims: tuple[Claim, ...], date: str) -> dict[str, Any]:
    """A study as plain values: its rows, and for each claim the difference, Holm-adjusted over the claims of the study."""
    asked = [c for c in claims if {c.row, c.reference} <= set(results.rows)]
    pairs = [(_measured(results, c, c.row), _measured(results, c, c.reference)) for c in asked]
    found = {}
    for claim, difference in zip(asked, compare_with_baseline(pairs), strict=True):
        e = difference.estimate
        found[key(claim)] = {
            "difference": [e.value, e.low, e.high],
            "reference": float(_measured(results, claim, claim.reference).value),
            "p_holm": difference.adjusted,
            "settled": difference.settled,
        }
    rows = {}
    for row, result in results.rows.items():
        estimates = {name: results.estimate(getattr(metrics, name), row) for name in SHOWN}
        rows[row] = {name: [e.value, e.low, e.high] for name, e in estimates.items() if e is not None}
        rows[row] |= {"train": result.cost.train, "serve": result.cost.serve}
    first = results.baseline
    return {
        "schema": 1,
        "command": f"traintwice run {results.experiment.name}",
        "date": date,
        "replicas": results.experiment.replicas,
        "data": results.data.name,
        "network": first.recipe.network.describe(results.data.shape, results.data.classes),
        "train_examples": len(results.data.train),
        "test_examples": len(results.data.test),
        "rows": rounded(rows, DIGITS),
        "claims": rounded(found, DIGITS),
        "diverged": {row: len(lost) for row, lost in results.diverged.items()},
        "votes": ["".join(map(str, v)) for v in first.test.probs.argmax(-1)[:RETRAINED].tolist()]
        if results.data.classes < 11
        else [],
        "data_digest": results.data.digest,
        "versions": results.environment()["versions"],
        "engine": sorted({str(n.get("engine", "loop")) for n in results.environment()["numerics"]}),
    }


def _measured(results: Results, claim: Claim, row: str) -> metrics.Measurement:
    name, _, matched = claim.metric.partition(" ")
    return results.measure(getattr(metrics, name), row, matched=bool(matched))


def key(claim: Claim) -> str:
    """What a claim is called in the JSON."""
    return f"{claim.row} | {claim.reference} | {claim.metric}"


def outcome(claim: Claim, found: dict[str, Any]) -> str:
    """What one study says of a claim: yes, no, or not settled."""
    value, low, high = found["difference"]
    if claim.direction == "same":
        return "yes" if low >= -MARGIN and high <= MARGIN else "no" if found["settled"] and abs(value) > MARGIN else "open"
    if claim.direction == "not lower":
        return "no" if found["settled"] and value < 0 else "yes"
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
        own = {name.removeprefix(f"{family}-"): s for name, s in studies.items() if name.startswith(f"{family}-")}
        if own:
            lines += [f"## {TITLES[family]}", "", _studies(own), "", _claims(claims, own), ""]
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
            found = study["claims"].get(f"{row} | {reference} | churn") if name.startswith(f"{family}-") else None
            if found is not None:
                text = change(estimate_of(found["difference"]), "fraction")
                parts.append(f"{name.removeprefix(f'{family}-')} {f'**{text}**' if found['settled'] else text}")
        lines.append(f"- {says}: {'; '.join(parts)}.")
    return "\n".join(lines)


def _studies(own: dict[str, dict[str, Any]]) -> str:
    said = [
        f"- {stage}: `{s['command']}`, {s['network']}, {s['train_examples']:,} training and {s['test_examples']:,} test examples, "
        f"M = {s['replicas']}, {s['date']}"
        for stage, s in own.items()
    ]
    return "\n".join(said)


def _claims(claims: tuple[Claim, ...], own: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| source | what it says | measure: row against reference | " + " | ".join(own) + " | verdict |",
        "|" + " --- |" * (4 + len(own)),
    ]
    for claim in claims:
        cells, outcomes = [], []
        for s in own.values():
            found = s["claims"].get(key(claim))
            if found is None:
                cells.append("–")
                continue
            cells.append(_cell(claim, found))
            outcomes.append(outcome(claim, found))
        what = f"{claim.metric.replace('_', ' ')}: {claim.row} − {claim.reference}"
        lines.append(f"| {claim.source} | {claim.says} | {what} | {' | '.join(cells)} | {verdict(claim, outcomes)} |")
    return "\n".join(lines)


def _cell(claim: Claim, found: dict[str, Any]) -> str:
    unit = UNITS.get(claim.metric, "fraction")
    estimate = estimate_of(found["difference"])
    text = f"{number(found['reference'], unit, 2)} {change(estimate, unit)}"
    return f"**{text}**" if found["settled"] else text


TITLES = {
    "claims.ad": "Anti-distillation",
    "claims.churn": "Minimum entropy and co-distillation",
    "rivals": "What buys least churn at equal cost",
}

HEAD = """# What we found

Every claim of both papers that small data can test, and the questions that neither paper asks. A cell is the reference row's
value, then the difference with its 95 % interval over new replicas and new examples, paired by replica; fractions in percent
and percent points. **Bold** is settled: p < 0.05 after Holm's adjustment over all comparisons of that study. "Holds" is settled
in the claimed direction on every data set, "holds in part" on some; a claim of sameness holds where the whole interval lies
within a point. Rows marked "ours" are questions without a claimed direction, so they have no verdict. These are small networks
on small data: nothing here says what large ones do.

What anti-distillation does on a stream of flights, in a single pass, is on a page of its own: [clicks](clicks.md).

`python docs/findings.py --study NAME` runs a study and writes its numbers, `python docs/findings.py --pages` makes this page
from them.
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
        family = next(f for f in CLAIMS if name.startswith(f"{f}-"))
        results = run(PRESETS[name](), store=options.store)
        (FOLDER / f"{name}.json").write_text(written(summary(results, CLAIMS[family], options.date)) + "\n")
    studies = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    PAGE.write_text(page(studies))
    into_readme("findings", five(studies))


if __name__ == "__main__":
    main()
