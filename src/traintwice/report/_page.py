"""The report of a study as one HTML page."""

from __future__ import annotations

from traintwice import metrics
from traintwice._formatting import decimals_for, with_interval
from traintwice._versions import made_by
from traintwice.compare import Against, interval
from traintwice.compare._parts import Concern
from traintwice.report import _facts as facts
from traintwice.report._accuracy_churn import accuracy_churn, accuracy_churn_of_many
from traintwice.report._cards import Card
from traintwice.report._curves import training_loss
from traintwice.report._document import render
from traintwice.report._findings import Choice, FindingKind, choose, in_points, in_words, percent
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

CARD_CONCERNS: dict[FindingKind, Concern] = {
    "lower": "fine",
    "price": "problem",
    "higher": "problem",
    "inconclusive": "inconclusive",
}

HEADLINES = (metrics.churn, metrics.accuracy)
"""Measures of the baseline that have a card."""

MOST_ON_CARD = 3
"""Recipes that a card names."""

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
        cards=_cards(results, found),
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


def _cards(results: Results, found: Verdict) -> list[Card]:
    """The churn and the accuracy of the baseline; then one card for each kind of finding, with its first recipes."""
    alone = [(m, with_interval(interval(results.measure(m, found.baseline), level=found.level), "fraction")) for m in HEADLINES]
    cards = [Card(f"{m.definition.title.capitalize()} of {found.baseline}", value=value) for m, value in alone]
    groups = list(zip(KINDS, (found.lower, found.lower_at_a_price, found.higher, found.inconclusive), strict=True))
    every = [f.churn.estimate for _, findings in groups for f in findings]
    digits = decimals_for(every, "fraction")
    for (kind, title, mark), findings in groups:
        if findings:
            named = [f"{f.row}: {in_points(f.churn, digits)} pp" for f in findings[:MOST_ON_CARD]]
            more = [f"{len(findings) - MOST_ON_CARD:,} more"] if len(findings) > MOST_ON_CARD else []
            answer = f"{len(findings):,} of {found.comparisons:,} recipes"
            cards.append(Card(title, answer, CARD_CONCERNS[kind], parts=(*named, *more), sign=mark))
    return cards


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
