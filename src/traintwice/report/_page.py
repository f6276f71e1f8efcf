"""The report of a study as one HTML page."""

from __future__ import annotations

from traintwice._versions import made_by
from traintwice.compare import Against
from traintwice.report import _facts as facts
from traintwice.report._accuracy_churn import accuracy_churn, accuracy_churn_of_many
from traintwice.report._curves import training_loss
from traintwice.report._document import render
from traintwice.report._findings import Choice, FindingKind, choose, in_words, percent
from traintwice.report._flips import most_flipping
from traintwice.report._forest import forest
from traintwice.report._panels import MOST_REPLICAS, churn_by_confidence, churn_matrix, drift
from traintwice.report._style import Figure
from traintwice.study import MATCHED, Results, Verdict, component_table, progressive_findings, source_shares, verdict

KINDS: tuple[tuple[FindingKind, str, str], ...] = (
    ("lower", "Churn significantly lower", "▼"),
    ("price", "Churn and accuracy significantly lower", "▽"),
    ("higher", "Churn significantly higher", "▲"),
    ("inconclusive", "Inconclusive", "?"),
)
"""Findings in the order of the page: kind, heading, mark."""

PICTURE_WIDTH = 112


def page(results: Results, *, level: float = 0.95, against: Against | None = None) -> str:
    """The whole report.

    Args:
        results: of a study.
        level: of all intervals, and of the Holm-adjusted comparisons.
        against: the comparison with the model in service; None without.
    Returns:
        An HTML document. Its content security policy forbids every connection and all scripts but its own two.
    """
    found = verdict(results, level=level)
    choice = choose(found, tuple(results.rows))
    stream = progressive_findings(results, level=level)
    figures = _figures(results, found, choice) + ([] if stream is None else [drift(stream)]) + _curves(results, choice)
    best = found.lower[0].row if found.lower else ""
    table = results.table(matched=MATCHED, level=level)
    return render(
        "page.html.j2",
        figures,
        name=results.experiment.name,
        facts=facts.headline(results),
        made=made_by(),
        sentences=in_words(found, results),
        kinds=KINDS,
        choice=choice,
        brief=[b.row for b in choice.briefly],
        level=percent(level),
        concentration=facts.concentration(results),
        examples=len(results.data.test),
        shown_replicas=MOST_REPLICAS if results.experiment.replicas > MOST_REPLICAS else 0,
        flips=most_flipping(results, [found.baseline, *([best] if best else [])]),
        replicas=results.experiment.replicas,
        recipes=len(results.rows),
        baseline=found.baseline,
        best=best,
        picture=_picture_size(results.data.pixels),
        stream=stream,
        drawn=[figure.name for figure in figures],
        against=None if against is None else against.sheet(),
        table=table,
        groups=facts.groups(table),
        reading=facts.reading(table),
        shares=source_shares(results, level=level),
        components=(components := component_table(results)),
        reading_components=[(c.title, facts.COMPONENT_READING[c.key]) for c in components.columns] if components else [],
        warnings=results.warnings(),
        commands=facts.commands(results),
        toml=results.experiment.to_toml(),
        environment=facts.environment(results),
    )


def _figures(results: Results, found: Verdict, choice: Choice) -> list[Figure]:
    """All charts of the page; with many recipes a forest plot, and folded panels."""
    if not choice.many:
        return [accuracy_churn(results, level=found.level), churn_by_confidence(results), churn_matrix(results)]
    figures = [forest(found), accuracy_churn_of_many(results, found)]
    for draw, name in ((churn_by_confidence, "confidence"), (churn_matrix, "matrix")):
        figures += [draw(results, choice.panels, name=name), draw(results, choice.folded, name=f"{name}-rest")]
    return figures


def _curves(results: Results, choice: Choice) -> list[Figure]:
    """Charts of the training loss; none for replicas without curves."""
    if not choice.many:
        drawn = [training_loss(results)]
    else:
        drawn = [training_loss(results, choice.panels), training_loss(results, choice.folded, name="curves-rest")]
    return [figure for figure in drawn if figure is not None]


def _picture_size(pixels: tuple[int, ...] | None) -> tuple[int, int]:
    """Width and height of a picture on the page."""
    rows, columns = (pixels or (1, 1))[:2]
    return PICTURE_WIDTH, round(PICTURE_WIDTH * rows / columns)
