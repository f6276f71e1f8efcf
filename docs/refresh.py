"""Put the numbers of the studies into README.md and the pages, from the commands that print them.

python docs/refresh.py            # runs `digits` and `methods-digits` (or reads their store), rewrites docs/results and all marked parts
python docs/refresh.py --pages    # trains and measures nothing: rewrites the pages from docs/results
"""

from __future__ import annotations

import datetime
import json
import re
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pages import MEASURES, PAGES, REFERENCES, RESULTS, filled, rows_of_group

from traintwice import metrics
from traintwice.compare import Difference, compare_with_baseline
from traintwice.presets import digits, methods_digits
from traintwice.report import sentences
from traintwice.study import Results, run, verdict

ROOT = Path(__file__).resolve().parent.parent
SHOWN = (metrics.accuracy, metrics.churn, metrics.churn_to_error, metrics.surrogate_churn)
METRICS = {
    "accuracy": (metrics.accuracy, False),
    "churn": (metrics.churn, False),
    "surrogate_churn_matched": (metrics.surrogate_churn, True),
}
VOTERS = 2
"""Of so many replicas of the baseline the predicted classes are kept, so that a test can train them again and compare."""


def readme(store: Path) -> None:
    """Rewrite the part of README.md between the markers."""
    results = run(digits(), store=store)
    table = results.table(SHOWN).to_markdown().partition("\n\n")[2].strip()
    said = "\n".join(f"- {sentence}" for sentence in sentences(verdict(results), results))
    into_readme("digits", f"{table}\n\n{said}")


def into_readme(part: str, text: str) -> None:
    """Put a text between the markers of a part of README.md."""
    path = ROOT / "README.md"
    marked = rf"(<!-- {part}:begin -->\n).*?(<!-- {part}:end -->)"
    path.write_text(re.sub(marked, lambda m: f"{m[1]}{text}\n{m[2]}", path.read_text(), flags=re.DOTALL))


def summary(results: Results, date: str) -> dict[str, Any]:
    """What the pages show of a study, as plain values: no logits, and nothing of the machine but the versions of its software."""
    whole = results.to_dict()
    rows = {}
    for row in whole["table"]["rows"]:
        estimates = {m: [row[m][k] for k in ("value", "low", "high")] for m in MEASURES if row[m] is not None}
        rows[row["name"]] = {**estimates, **{k: row[k] for k in ("temperature", "train", "serve")}}
    plain = {
        "schema": 1,
        "command": f"traintwice run {results.experiment.name}",
        "date": date,
        "intervals": "[value, low, high], 95 %, for new replicas of the recipe and new examples",
        "test_examples": len(results.data.test),
        "rows": rows,
        "against_baseline": _against(results, results.baseline.name, [r for r in results.rows if r != results.baseline.name]),
        "against_equal_cost": {
            reference: _against(results, reference, [r for r in rows_of_group(rows, group) if r != reference])
            for group, reference in REFERENCES.items()
        },
        "components": whole["components"],
        "diverged": whole["diverged"],
        "identical": [list(pair) for pair in results.identical()],
        "accuracy_of_replicas": {
            row: metrics.accuracy.values(*_test(results, row)).mean(axis=1).tolist() for row in results.rows
        },
        "votes": {
            results.baseline.name: ["".join(map(str, v)) for v in _test(results, results.baseline.name)[0].argmax(-1)[:VOTERS]]
        },
        "data_digest": whole["data_digest"],
        "environment": {
            "versions": whole["environment"]["versions"],
            "numerics": [{k: v for k, v in n.items() if k != "processor"} for n in whole["environment"]["numerics"]],
        },
    }
    return {**rounded(plain), "experiment": whole["experiment"]}


def _test(results: Results, row: str) -> tuple[np.ndarray, np.ndarray]:
    test = results[row].test
    return np.asarray(test.probs), np.asarray(test.labels)


def _against(results: Results, reference: str, rows: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Rows minus a reference, paired by replica; each measure Holm-adjusted over the rows."""
    rows = [row for row in rows if results[row].numbers == results[reference].numbers]
    found: dict[str, dict[str, Any]] = {row: {} for row in rows}
    for name, (metric, matched) in METRICS.items():
        pairs = [tuple(results.measure(metric, r, matched=matched) for r in (row, reference)) for row in rows]
        for row, difference in zip(rows, compare_with_baseline(pairs), strict=True):
            found[row][name] = _plain(difference)
    return found


def _plain(difference: Difference) -> dict[str, Any]:
    e = difference.estimate
    return {"difference": [e.value, e.low, e.high], "p_holm": difference.adjusted, "settled": difference.significant}


def rounded(value: Any, digits: int = 6) -> Any:
    """Plain values with so many significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def written(value: Any, depth: int = 0) -> str:
    """JSON with a line for each entry of the first levels, so that a change of one number is a change of one line."""
    if not isinstance(value, dict) or depth == 3 or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    pad = " " * (depth + 1)
    lines = [f"{pad}{json.dumps(key, ensure_ascii=False)}: {written(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def _undated(text: str) -> dict[str, Any]:
    return {**json.loads(text), "date": None}


def main() -> None:
    """Rewrite results and pages."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", action="store_true", help="from docs/results alone")
    parser.add_argument("--no-readme", action="store_true", help="leave README.md as it is")
    parser.add_argument("--store", type=Path, default=ROOT / "traintwice-runs")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="on which the study was run")
    options = parser.parse_args()
    if not options.pages:
        if not options.no_readme:
            readme(options.store)
        RESULTS.parent.mkdir(exist_ok=True)
        text = written(summary(run(methods_digits(), store=options.store), options.date)) + "\n"
        if not RESULTS.exists() or _undated(text) != _undated(RESULTS.read_text()):  # the same numbers keep their date
            RESULTS.write_text(text)
    study = json.loads(RESULTS.read_text())
    for page in PAGES:
        page.write_text(filled(page.read_text(), study))


if __name__ == "__main__":
    main()
