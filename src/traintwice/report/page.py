"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import altair
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from traintwice.report import facts
from traintwice.report.charts import (
    Figure,
    accuracy_churn,
    accuracy_churn_of_many,
    churn_by_confidence,
    churn_matrix,
    forest,
)
from traintwice.report.charts.matrix import MOST_REPLICAS
from traintwice.report.choice import Choice, choose
from traintwice.report.flips import most_flipping
from traintwice.report.measures import groups, reading
from traintwice.report.words import Kind, in_words, percent
from traintwice.study import MATCHED, Results, Verdict, verdict
from traintwice.versions import versions

TEMPLATE = Path(__file__).parent / "template"

KINDS: tuple[tuple[Kind, str, str], ...] = (
    ("lower", "Churn lower beyond doubt", "▼"),
    ("price", "Churn lower, but accuracy too", "▽"),
    ("higher", "Churn higher beyond doubt", "▲"),
    ("unsettled", "Not settled", "?"),
)
"""Findings in the order of the page: kind, heading, mark."""

PICTURE_WIDTH = 112


def page(results: Results, *, level: float = 0.95) -> str:
    """The whole report.

    Args:
        results: of a study.
        level: of all intervals, and of the Holm-adjusted comparisons.
    Returns:
        An HTML document. Its content security policy forbids every connection and every script but its own two.
    """
    found = verdict(results, level=level)
    choice = choose(found, tuple(results.rows))
    figures = {f.name: f for f in _figures(results, found, choice)}
    best = found.lower[0].row if found.lower else ""
    table = results.table(matched=MATCHED, level=level)
    scripts = {"vega": vega(), "drawing": (TEMPLATE / "page.js").read_text(encoding="utf-8")}
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def figure(name: str) -> Markup:
        return Markup(environment.get_template("figure.html.j2").render(figure=figures[name]))  # noqa: S704  (escaped in there)

    return environment.get_template("page.html.j2").render(
        name=results.experiment.name,
        facts=facts.headline(results),
        version=versions()["traintwice"],
        policy=_policy(scripts.values()),
        said=in_words(found, results),
        kinds=KINDS,
        choice=choice,
        brief=[b.row for b in choice.briefly],
        level=percent(level),
        figure=figure,
        concentration=facts.concentration(results),
        examples=len(results.data.test),
        shown_replicas=MOST_REPLICAS if results.experiment.replicas > MOST_REPLICAS else 0,
        flips=most_flipping(results, [found.baseline, *([best] if best else [])]),
        replicas=results.experiment.replicas,
        recipes=len(results.rows),
        baseline=found.baseline,
        best=best,
        picture=_picture_size(results.data.pixels),
        table=table,
        groups=groups(table),
        reading=reading(table),
        commands=facts.commands(results),
        toml=results.experiment.to_toml(),
        environment=facts.environment(results),
        data=[(f"chart-{f.name}", _inline_json(_specs(f))) for f in figures.values()],
        **{name: Markup(text) for name, text in scripts.items()},  # noqa: S704  (no user's text in them)
    )


def _figures(results: Results, found: Verdict, choice: Choice) -> list[Figure]:
    """All charts of the page: of few rows everything, of many a forest plot and the rest folded away."""
    if not choice.many:
        return [accuracy_churn(results, level=found.level), churn_by_confidence(results), churn_matrix(results)]
    figures = [forest(found), accuracy_churn_of_many(results, found)]
    for draw, name in ((churn_by_confidence, "confidence"), (churn_matrix, "matrix")):
        figures += [draw(results, choice.panels, name=name), draw(results, choice.folded, name=f"{name}-rest")]
    return figures


@lru_cache(maxsize=1)
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that can stand inside a page, of the version that Altair writes for."""
    version = ".".join(altair.SCHEMA_VERSION.split(".")[:2])
    script: str = vl_convert.javascript_bundle(vl_version=version)  # type: ignore[call-arg]  # its stub demands what it can do without
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(scripts: Iterable[str]) -> str:
    """A content security policy that lets the page run these very scripts and load nothing at all."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _specs(figure: Figure) -> dict[str, Any]:
    """Both widths of a chart, with the data sets that they share written once."""
    wide, narrow = figure.wide["datasets"], figure.narrow["datasets"]
    shared = {name: records for name, records in wide.items() if narrow[name] == records}
    own = [
        {**spec, "datasets": {name: records for name, records in spec["datasets"].items() if name not in shared}}
        for spec in (figure.wide, figure.narrow)
    ]
    return {"wide": own[0], "narrow": own[1], "shared": shared}


def _inline_json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  (nothing in it can be read as HTML now)


def _picture_size(pixels: tuple[int, ...] | None) -> tuple[int, int]:
    """Width and height at which a picture of so many rows and columns is shown."""
    rows, columns = (pixels or (1, 1))[:2]
    return PICTURE_WIDTH, round(PICTURE_WIDTH * rows / columns)
