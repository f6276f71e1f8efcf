"""Results of every claim: kept numbers from the studies, and docs/findings.md from the kept numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from traintwice import metrics
from traintwice.compare import compare_with_baseline
from traintwice.formatting import change, number
from traintwice.presets import PRESETS
from traintwice.study import Experiment, Results, component_table
from traintwice_reproduction.kept import DOCS, KEPT, read, rounded
from traintwice_reproduction.pages.claims import AD, CLAIMS, CONTRADICTIONS, FIVE, MARGIN, PAIR, TABLED, UNTESTED, Claim
from traintwice_reproduction.pages.methods import estimate_of
from traintwice_reproduction.pages.order import section
from traintwice_reproduction.studies import STUDIES

FOLDER = KEPT / "findings"
PAGE = DOCS / "findings.md"
REPLICAS = 20
"""M of every study of the page."""
UNITS = {"prediction_entropy": "number", "log_loss": "number"}
"""Units of metrics of claims that are not fractions."""
SHOWN = ("accuracy", "churn", "churn_to_error", "surrogate_churn", "delta_1")
SHOWN_OF_STREAMS = ("relative_pairwise", "log_loss")
DIGITS = 5
"""Significant digits of kept numbers."""
COMPONENTS = {"variance_within": "v", "covariance_between": "c", "correlation": "correlation", "logit_scale": "logit scale"}
"""Measures of the components of a row to their titles."""

RETRAINED = 2
"""Replicas of the baseline whose predicted classes are kept: a test retrains them and compares."""


NAMES = tuple(name for name in (*STUDIES, *PRESETS) if name.startswith(tuple(CLAIMS)))
"""Every study of claims."""


def study_of(name: str) -> Experiment:
    """A study with the replicas of the page."""
    return replace(experiment_of(name), replicas=REPLICAS)


def experiment_of(name: str) -> Experiment:
    """The study of a name, of traintwice or of this package."""
    made = {**STUDIES, **PRESETS}[name]()  # type: ignore[operator]  # no composite study has claims
    assert isinstance(made, Experiment)  # noqa: S101
    return made


def family_of(name: str) -> str:
    """Key in `CLAIMS` of a study."""
    return name if name in CLAIMS else next(f for f in CLAIMS if name.startswith(f"{f}-"))


def stage_of(name: str) -> str:
    """Name of a study's data set or network on the page."""
    family = family_of(name)
    return name.rpartition("-")[2] if name == family else name.removeprefix(f"{family}-")


def summary(results: Results, family: str, date: str) -> dict[str, Any]:
    """A study as plain values: its rows, and the difference of each claim, Holm-adjusted over the claims of the study."""
    name, replicas = results.experiment.name, results.experiment.replicas
    claims = [c for c in CLAIMS[family] if {c.row, c.reference} <= set(results.rows)]
    found = _differences(results, [(c.row, c.reference, c.metric) for c in claims])
    of_stream = results.data.places is not None
    rows: dict[str, dict[str, Any]] = {}
    for row, result in results.rows.items():
        shown = (*SHOWN, *SHOWN_OF_STREAMS) if of_stream else SHOWN
        estimates = {name: results.estimate(getattr(metrics, name), row) for name in shown}
        rows[row] = {name: [e.value, e.low, e.high] for name, e in estimates.items() if e is not None}
        rows[row] |= {"train": result.cost.train, "serve": result.cost.serve}
    first = results.baseline
    return {
        "schema": 1,
        "command": f"traintwice run {name}{'' if experiment_of(name).replicas == replicas else f' --replicas {replicas}'}",
        "date": date,
        "replicas": replicas,
        "data": results.data.name,
        "network": first.recipe.network.describe(results.data.shape, results.data.classes),
        "train_examples": len(results.data.train),
        "test_examples": len(results.data.test),
        "rows": rounded(rows, DIGITS),
        "claims": rounded(dict(zip(map(key, claims), found, strict=True)), DIGITS),
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


def _components(results: Results) -> dict[str, dict[str, Any]]:
    """Variance and covariance of the components of each row."""
    table = component_table(results)
    return {} if table is None else {row.name: {key: row.cells[key] for key in COMPONENTS} for row in table.rows if row.cells}


def _differences(results: Results, comparisons: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Differences of rows against references, Holm-adjusted over all of them."""
    pairs = [_pair(results, metric, row, reference) for row, reference, metric in comparisons]
    return [
        {
            "difference": [d.estimate.value, d.estimate.low, d.estimate.high],
            "reference": float(reference.value),
            "p_holm": d.adjusted,
            "significant": d.significant,
        }
        for d, (_, reference) in zip(compare_with_baseline(pairs), pairs, strict=True)
    ]


def _against_baseline(results: Results, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Every row minus the first; each metric Holm-adjusted over the rows."""
    first = results.baseline.name
    others = [row for row in results.rows if row != first]
    by_metric = {metric: _differences(results, [(row, first, metric) for row in others]) for metric in names}
    return {metric: dict(zip(others, found, strict=True)) for metric, found in by_metric.items()}


def _pair(results: Results, metric: str, row: str, reference: str) -> tuple[metrics.Measurement, metrics.Measurement]:
    name, _, matched = metric.partition(" ")
    return results.pair(getattr(metrics, name), row, reference, matched=bool(matched))


def key(claim: Claim) -> str:
    """Key of a claim in the JSON."""
    return f"{claim.row} | {claim.reference} | {claim.metric}"


def outcome(claim: Claim, found: dict[str, Any]) -> str:
    """Result of one study for a claim: yes, no or open (inconclusive)."""
    value, low, high = found["difference"]
    if claim.direction == "same":
        return "yes" if low >= -MARGIN and high <= MARGIN else "no" if found["significant"] and abs(value) > MARGIN else "open"
    if claim.direction == "not lower":
        return "no" if found["significant"] and value < 0 else "yes" if low >= -MARGIN else "open"
    wanted = -1 if claim.direction == "lower" else 1
    return ("yes" if value * wanted > 0 else "no") if found["significant"] else "open"


def verdict(claim: Claim, outcomes: list[str]) -> str:
    """Verdict over all data sets."""
    if claim.direction == "open":
        return ""
    if not outcomes:
        return "cannot be tested here"
    if all(o == "yes" for o in outcomes):
        return "holds"
    if "yes" in outcomes:
        return "holds in part"
    return "does not hold here" if "no" in outcomes else "inconclusive"


def page(studies: dict[str, dict[str, Any]]) -> str:
    """The whole page."""
    lines = [HEAD]
    for family, claims in CLAIMS.items():
        own = {stage_of(name): s for name, s in studies.items() if family_of(name) == family}
        if own:
            lines += [f"## {TITLES[family]}", "", _studies(own), "", _claims(claims, own), ""]
            lines += [_component_table(own), ""] if any(s.get("components") for s in own.values()) else []
            lines += [_table(own, TABLED[family]), ""] if family in TABLED else []
    lines += [text, ""] if (text := section(studies)) else []
    lines += ["## What could not be tested here", "", "| source | claim | what would test it |", "| --- | --- | --- |"]
    lines += [f"| {source} | {claim} | {how} |" for source, claim, how in UNTESTED]
    lines += ["", "## Where the papers contradict themselves", "", *[f"- {text}" for text in CONTRADICTIONS], ""]
    return "\n".join(lines)


def five(studies: dict[str, dict[str, Any]]) -> str:
    """Five lines for the README: change of churn against the reference, by data set."""
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


def _studies(own: dict[str, dict[str, Any]]) -> str:
    lines = [
        f"- {stage}: `{s['command']}`, {s['network']}, {s['train_examples']:,} training and {s['test_examples']:,} test examples, "
        f"M = {s['replicas']}, {s['date']}{_lost(s)}"
        for stage, s in own.items()
    ]
    return "\n".join(lines)


def _lost(study: dict[str, Any]) -> str:
    """Diverged replicas; a comparison uses the replicas that both rows have."""
    return "".join(
        f"; of {row} {count} of {study['replicas']} replicas diverged and are left out"
        for row, count in study["diverged"].items()
    )


def _claims(claims: tuple[Claim, ...], own: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| source | claim | measure: row against reference | " + " | ".join(own) + " | verdict |",
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
        lines.append(f"| {claim.source} | {claim.text} | {what} | {' | '.join(cells)} | {in_words(claim, outcomes)} |")
    return "\n".join(lines)


def in_words(claim: Claim, outcomes: dict[str, str]) -> str:
    """The verdict, and the data sets with the opposite result where others hold."""
    word, against = verdict(claim, list(outcomes.values())), [stage for stage, o in outcomes.items() if o == "no"]
    return f"{word}; does not on {', '.join(against)}" if word == "holds in part" and against else word


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
    text = f"{number(found['reference'], unit, 2)} {change(estimate, unit)}"
    return f"**{text}**" if found["significant"] else text


TITLES = {
    "claims.ad": "Anti-distillation",
    "flights": "Anti-distillation of clicks",
    "claims.churn": "Minimum entropy and co-distillation",
    "rivals": "Least churn at equal cost",
    "rivals-flights": "Least churn of clicks at equal cost",
}

HEAD = """# What we found

Every claim of both papers that small data can test, and questions that the papers do not have. A cell is the value of the reference
row, then the difference with its 95 % confidence interval for new replicas and new examples, paired by replica; fractions are in percent
and percentage points (pp). **Bold** is significant: p < 0.05 (Holm-adjusted over all comparisons of the study). "Holds" means significant
in the claimed direction on every data set, "holds in part" on some; a claim of sameness holds where the whole interval is
within one percentage point (log loss: within 0.01), and "not lower" where it is at most that far below 0. Rows marked "ours" are
questions without a claimed direction, so they have no verdict. These are small networks on small data and no evidence about
large ones.

[Clicks](clicks.md) shows anti-distillation (decorrelated ensembles) on a stream of flights by method, month and slice.
Relative PD is the difference of two trainings' probabilities over their mean; (T) is at matched temperature.

`python -m traintwice_reproduction findings NAME` runs a study and keeps its numbers;
`python -m traintwice_reproduction pages` makes this page from them.
"""


def kept_studies() -> dict[str, dict[str, Any]]:
    """Name to kept numbers of every study of the page."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.json"))}
