"""Numbers of the cards and of the page "which method", made from the kept study `methods-digits` and from the code; see `site.marks`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from traintwice import controls
from traintwice._formatting import change, decimals_for, format_cell
from traintwice.methods import BUILDERS, ensemble
from traintwice.recipes import Earlier, Recipe
from traintwice.types import Estimate
from traintwice_reproduction.kept import KEPT, read
from traintwice_reproduction.studies import methods_digits
from traintwice_reproduction.studies.chosen import record_of

RESULTS = KEPT / "methods-digits.json"
RIVALS_OF_CLICKS = KEPT / "findings" / "rivals-flights.json"

SHOWN = {"accuracy": "accuracy", "churn": "churn", "surrogate_churn_matched": "SChurn₁ (T)"}

GROUPS: dict[str, Callable[[float, float], bool]] = {
    "1x/1x": lambda train, serve: train < 1.5 and serve < 1.5,
    "2x/1x": lambda train, serve: train >= 1.5 and serve < 1.5,
    "2x/2x": lambda train, serve: 1.5 <= serve < 2.5,
    "1x/3x": lambda train, serve: train < 1.5 and serve >= 2.5,
    "3x/3x": lambda train, serve: train >= 1.5 and serve >= 2.5,
}
"""Classes of cost, train/serve; the second also has rows that cost more than twice to train."""

REFERENCES = {"2x/1x": "twice the epochs", "2x/2x": "ensemble of 2", "3x/3x": "ensemble of 3"}
"""The simplest recipe of a class of cost; other classes are compared with the baseline."""

FINDINGS = (
    "Churn lower",
    "Churn lower, and accuracy too",
    "Churn higher",
    "Churn higher, and accuracy lower",
    "Churn inconclusive",
    "Churn inconclusive, and accuracy lower",
    "Accuracy higher",
    "SChurn₁ at matched temperature lower",
    "SChurn₁ at matched temperature higher",
)
"""Results of a row that a page can list, in order."""

BASE = next(iter(methods_digits().rows.values()))
"""The recipe whose cost is 1x."""

Study = Mapping[str, Any]


def rows_of_group(rows: Mapping[str, Any], group: str) -> list[str]:
    """Rows of a class of cost, in the order of the study."""
    return [name for name, row in rows.items() if GROUPS[group](row["train"], row["serve"])]


def recipe_of(name: str, **settings: Any) -> Recipe:
    """The base recipe of the study with a builder's method or a control, with these settings and defaults otherwise."""
    if name in controls.CONTROLS:
        needed: dict[str, dict[str, Any]] = {
            "wider": {"times": 2},
            "narrow_ensemble": {"components": 2},
            "with_activation": {"activation": "smelu"},
        }
        shaped: dict[str, Any] = {"shape": (64,), "classes": 10} if name in ("wider", "narrow_ensemble") else {}
        return controls.CONTROLS[name](BASE, **needed.get(name, {}), **shaped, **settings)
    method = BUILDERS[name](**settings)
    teacher = None
    if "teacher" in method.needs:
        own = {"ensemble_distillation": ensemble(2), "elodi": ensemble(2), "neighbour_smoothing": BASE.method}
        teacher = Earlier(BASE.change(method=own[name])) if name in own else Earlier(BASE, "first")
    return BASE.change(method=method, teacher=teacher)


def _table(head: list[str], body: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def estimate_of(values: list[float]) -> Estimate:
    """An estimate from value and ends of its interval."""
    value, low, high = values
    return Estimate(value, low, high, standard_error=0.0, replicas=0, examples=0)


def _cells(study: Study, name: str) -> list[str]:
    found = []
    for measure in SHOWN:
        column = [estimate_of(row[measure]) for row in study["rows"].values() if measure in row]
        values = study["rows"][name].get(measure)
        found.append(format_cell(values and estimate_of(values), "fraction", decimals_for(column, "fraction")))
    return found


def _cost(row: Mapping[str, Any]) -> list[str]:
    return [format_cell(row[k], "cost", 0) for k in ("train", "serve")]


def _difference(against: Mapping[str, Any], measure: str) -> str:
    """Percentage points with their interval, and whether the difference is significant."""
    value, low, high = (f"{100 * x:+.2f}".replace("-", "−") for x in against[measure]["difference"])
    return f"{value} ({low} to {high}), {'**significant**' if against[measure]['significant'] else 'inconclusive'}"


NO_NUMBERS = "No numbers yet"
"""In the place of rows that are newer than the kept results."""


def _compared(study: Study, reference: str, rows: list[str], against: Mapping[str, Any]) -> str:
    missing = [row for row in rows if row not in study["rows"]]
    rows = [row for row in rows if row not in missing]
    note = f"\n{NO_NUMBERS}: {'; '.join(missing)}.\n" if missing else ""
    if missing and not rows:
        return note
    head = ["", *SHOWN.values(), *[f"{title} − {reference}" for title in SHOWN.values()], "train", "serve"]
    body = []
    for name in [reference, *[row for row in rows if row != reference]]:
        differences = [_difference(against[name], m) if name in against else "" for m in SHOWN]
        body.append([name, *_cells(study, name), *differences, *_cost(study["rows"][name])])
    return _table(head, body) + note


def seen(study: Study, *rows: str) -> str:
    """Rows and the baseline."""
    return _compared(study, next(iter(study["rows"])), list(rows), study["against_baseline"])


def group(study: Study, cost: str) -> str:
    """Rows of a class of cost against its simplest recipe."""
    rows, baseline = rows_of_group(study["rows"], cost), next(iter(study["rows"]))
    if cost not in REFERENCES:
        return _compared(study, baseline, rows, study["against_baseline"])
    reference = REFERENCES[cost]
    return _compared(study, reference, rows, study["against_equal_cost"][reference])


def components(study: Study, *rows: str) -> str:
    """Variance within, covariance between, and correlation of components."""
    columns = {
        "variance_within": "v",
        "covariance_between": "c",
        "variance_of_mean": "variance of mean",
        "correlation": "cosine",
        "correlation_gauge_fixed": "gauge-fixed",
        "correlation_pearson": "Pearson",
        "confidence": "confidence",
        "logit_scale": "logit scale",
    }
    kept = [row for row in rows if row in study["components"]]
    if not kept:
        return f"\n{NO_NUMBERS}: {'; '.join(rows)}.\n"
    return _table(["", *columns.values()], [[row, *[f"{study['components'][row][c]:.3g}" for c in columns]] for row in kept])


def found(study: Study, *groups: str) -> str:
    """Significant changes against the baseline, in lists of names."""
    against = study["against_baseline"]
    chosen = [row for g in groups for row in rows_of_group(study["rows"], g)] if groups else list(against)
    lists: dict[str, list[str]] = {finding: [] for finding in FINDINGS}
    for row in (row for row in chosen if row in against):
        churn, accuracy, soft = (_direction(against[row][m]) for m in ("churn", "accuracy", "surrogate_churn_matched"))
        worse = ", and accuracy too" if churn == accuracy == "lower" else ", and accuracy lower" if accuracy == "lower" else ""
        lists[f"Churn {churn or 'inconclusive'}{worse}"].append(row)
        if accuracy == "higher":
            lists["Accuracy higher"].append(row)
        if soft:
            lists[f"SChurn₁ at matched temperature {soft}"].append(row)
    return "\n" + "".join(f"- {finding}: {'; '.join(rows)}.\n" for finding, rows in lists.items() if rows)


def _direction(against: Mapping[str, Any]) -> str:
    return ("lower" if against["difference"][0] < 0 else "higher") if against["significant"] else ""


def within(study: Study, margin: str) -> str:
    """Rows whose accuracy is at most ``margin`` percentage points below the baseline's (low end of the interval), and the others."""
    low = {row: 100 * against["accuracy"]["difference"][1] for row, against in study["against_baseline"].items()}
    kept = [row for row in low if low[row] >= -float(margin)]
    rest = [row for row in low if row not in kept]
    return f"\n- Kept: {'; '.join(kept)}.\n- Lower or inconclusive: {'; '.join(rest)}.\n"


def cost(study: Study, what: str) -> str:
    """Cost of a builder or control, such as ``co_distillation kind="ce" lag_steps=4``."""
    name, settings = _named(what)
    train, serve = _cost(vars(recipe_of(name, **settings).cost(BASE, (64,), 10)))
    return f"{train} to train, {serve} to serve"


def warnings(study: Study, *builders: str) -> str:
    """Warnings of the methods of some builders, each sentence once."""
    first: dict[str, str] = {}
    for what in builders:
        name, settings = _named(what)
        for sentence in BUILDERS[name](**settings).warnings(classes=10):
            first.setdefault(sentence, what)
    return "\n" + "".join(f"- `{what}`: {sentence}.\n" for sentence, what in first.items())


def clicks(study: Study, row: str, reference: str, metric: str) -> str:
    """Difference of two rows of `rivals-flights`, bold where it is significant."""
    found = read(RIVALS_OF_CLICKS)["claims"].get(f"{row} | {reference} | {metric}")
    if found is None:
        found = read(RIVALS_OF_CLICKS)["against_baseline"][metric][row]
    text = change(estimate_of(found["difference"]), "number" if metric == "log_loss" else "fraction")
    return f"**{text}**" if found["significant"] else text


def chosen(study: Study, *names: str) -> str:
    """Values that `choices` kept for some settings, by data set."""
    texts = []
    for name in names:
        record = record_of(name)
        values = "not run yet" if record is None else ", ".join(f"{k} {v:g}" for k, v in record["chosen"].items())
        texts.append(f"{name.partition('-')[2]}: {values}")
    return "; ".join(texts)


def _named(what: str) -> tuple[str, dict[str, Any]]:
    name, *settings = what.split()
    return name, tomllib.loads("\n".join(settings))


KINDS: dict[str, Callable[..., str]] = {
    "seen": seen,
    "group": group,
    "components": components,
    "found": found,
    "within": within,
    "cost": cost,
    "warnings": warnings,
    "clicks": clicks,
    "chosen": chosen,
    "date": lambda study: study["date"],
    "replicas": lambda study: str(study["experiment"]["replicas"]),
    "examples": lambda study: str(study["test_examples"]),
    "rows": lambda study: str(len(study["rows"])),
    "compared": lambda study: str(len(study["against_baseline"])),
}
"""Kind of mark to the function that makes its content."""
