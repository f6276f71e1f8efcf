"""Marks in the pages of docs/, such as ``{{ seen: ensemble of 2; baseline }}``, filled from the kept results and from the code.

The part before the colon is a kind, the rest its arguments, separated by semicolons. Kinds of `pages.methods`:

    seen        numbers of some rows of the study of methods and of the baseline
    components  how alike the components of some rows are
    group       rows of a class of cost, against the simplest recipe of that cost
    found       significant changes against the baseline, of all rows or of some classes of cost
    within      rows whose accuracy keeps a margin
    cost        computed cost of a builder or control to train and to serve
    warnings    `Method.warnings` of a builder
    clicks      a difference of the study `rivals-flights`
    chosen      values that were chosen for some settings
    date, replicas, examples, rows, compared   of the study of methods

`evidence: NAME` is the table of a study of `studies.evidence`. Whole tables are `digits`, `five`, `flights`, `speed`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from traintwice_reproduction.kept import read
from traintwice_reproduction.pages import clicks, comparing, evidence, findings, methods, methods_results, speed

MARK = re.compile(r"\{\{ (\w+)(?:: (.*?))? \}\}")

TABLES: dict[str, Callable[[], str]] = {
    "digits": lambda: methods_results.digits(read(methods_results.DIGITS)),
    "five": lambda: findings.five(comparing.kept_studies()),
    "flights": lambda: clicks.section(read(clicks.RESULTS)),
    "speed": lambda: speed.table(read(speed.RESULTS)),
}


def filled(text: str, study: Mapping[str, Any] | None = None) -> str:
    """A page with its marks filled.

    Args:
        text: Markdown.
        study: kept results of the study of methods; those of the package by default.

    Raises:
        KeyError: an unknown kind of mark, or a row that the study does not have.
    """
    if not MARK.search(text):
        return text
    study = read(methods.RESULTS) if study is None else study

    def content(mark: re.Match[str]) -> str:
        arguments = [part.strip() for part in (mark[2] or "").split(";") if part.strip()]
        if mark[1] == "evidence":
            return evidence.table(*arguments)
        if mark[1] in TABLES:
            return TABLES[mark[1]]()
        return methods.KINDS[mark[1]](study, *arguments)

    return MARK.sub(content, text)
