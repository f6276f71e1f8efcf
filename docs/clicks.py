"""Put the numbers of `traintwice run flights` into docs/clicks.md.

python docs/clicks.py            # runs `flights` (or reads its store), rewrites docs/results/flights.json and the page
python docs/clicks.py --pages    # trains and measures nothing: rewrites the page from docs/results/flights.json
"""

from __future__ import annotations

import datetime
import json
import re
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from traintwice.presets import flights
from traintwice.study import Results, progressive_findings, run

REPLICAS = 10
"""Of the page; by itself the study has fewer."""

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS / "results" / "flights.json"
PAGE = DOCS / "clicks.md"
MARKED = re.compile(r"(<!-- flights: -->\n).*?(<!-- /flights -->)", re.DOTALL)


def summary(results: Results, date: str) -> dict[str, Any]:
    """What the page shows, as plain values: no predictions, and nothing of the machine."""
    found = progressive_findings(results)
    if found is None:
        raise SystemExit(f"{results.experiment.name}: no study on a stream")
    return {
        "schema": 1,
        "command": f"traintwice run {results.experiment.name} --replicas {REPLICAS}",
        "date": date,
        "seconds": round(results.environment()["training_seconds"]),
        "tables": [part.to_markdown().splitlines() for part in (found.table, found.baseline_over_time) if part is not None],
        "findings": list(found.sentences),
        "experiment": results.experiment.to_dict(),
    }


def filled(text: str, study: dict[str, Any]) -> str:
    """The page with its marked part made anew."""
    experiment = study["experiment"]
    head = (
        f"`{study['command']}` on {study['date']}: {experiment['replicas']} replicas of {len(experiment['rows'])} recipes, "
        f"{study['seconds']:,} seconds of training in all. Intervals are 95 %, for new replicas and new examples."
    )
    tables = "\n".join("\n".join(lines) + "\n" for lines in study["tables"])
    said = "\n".join(f"- {sentence}" for sentence in study["findings"])
    return MARKED.sub(lambda mark: f"{mark[1]}{head}\n\n{tables}\n{said}\n{mark[2]}", text)


def main() -> None:
    """Rewrite results and page."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", action="store_true", help="from docs/results/flights.json alone")
    parser.add_argument("--store", type=Path, default=DOCS.parent / "traintwice-runs")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="on which the study was run")
    options = parser.parse_args()
    if not options.pages:
        study = summary(run(replace(flights(), replicas=REPLICAS), store=options.store), options.date)
        RESULTS.write_text(json.dumps(study, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    PAGE.write_text(filled(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
