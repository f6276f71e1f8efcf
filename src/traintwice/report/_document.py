"""Self-contained HTML pages: template, cards, script of the charts, content security policy, embedded data."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from traintwice._formatting import with_units
from traintwice._installed import made_by
from traintwice.report._style import Figure

TEMPLATE = Path(__file__).parent / "template"

MARKS = {"problem": "✕", "inconclusive": "?", "unknown": "–", "fine": "✓"}
"""Marks of concerns, so that no meaning rests on colour alone."""


@dataclass(frozen=True)
class Card:
    """A card of a page: a title, the answer in a few words, the number as printed ("1.42 % (1.0 to 1.9)") and further lines.

    The concern is its colour; ``sign`` is the mark before the answer, "" for that of the concern.
    """

    title: str
    answer: str = ""
    concern: str = ""
    value: str = ""
    parts: tuple[str, ...] = ()
    sign: str = ""

    @property
    def mark(self) -> str:
        """The mark before the answer."""
        return self.sign or MARKS.get(self.concern, "")

    @property
    def number(self) -> str:
        """The number without its interval."""
        return self.value.partition(" (")[0]

    @property
    def interval(self) -> str:
        """The interval in brackets; "" without one."""
        return "".join(self.value.partition(" (")[1:]).strip()


def render(template: str, figures: Iterable[Figure], **values: Any) -> str:
    """An HTML page from a template in ``template/``, which calls ``figure(name)`` to place a chart; all text is escaped."""
    drawn, scripts = {f.name: f for f in figures}, _scripts()
    return (
        _environment()
        .get_template(template)
        .render(
            made=made_by(),
            policy=policy(scripts.values()),
            figure=lambda name: _place(drawn[name]),
            data=[(f"chart-{f.name}", inline_json(_specs(f))) for f in drawn.values()],
            **{name: Markup(text) for name, text in scripts.items()},  # noqa: S704  (no user's text in them)
            **values,
        )
    )


def embedded(figures: Iterable[Figure]) -> str:
    """Charts for the body of a page of another template: their places, then data and scripts."""
    drawn = list(figures)
    data = [f'<script type="application/json" id="chart-{escape(f.name)}">{inline_json(_specs(f))}</script>' for f in drawn]
    return "\n".join([*map(_place, drawn), *data, *(f"<script>{text}</script>" for text in _scripts().values())])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"zip": zip, "units": with_units}
    return environment


def _place(figure: Figure) -> Markup:
    return Markup(_environment().get_template("figure.html.j2").render(figure=figure))  # noqa: S704  (escaped in there)


def _scripts() -> dict[str, str]:
    return {"vega": vega(), "drawing": (TEMPLATE / "page.js").read_text(encoding="utf-8")}


@lru_cache(maxsize=1)
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, in the version that Altair writes for."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.split(".")[:2])
    script: str = vl_convert.javascript_bundle(vl_version=version)  # type: ignore[call-arg]  # the stub requires optional arguments
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def policy(scripts: Iterable[str]) -> str:
    """A content security policy that allows these scripts and nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _specs(figure: Figure) -> dict[str, Any]:
    """Both widths of a chart; data sets that both use are written once."""
    wide, narrow = figure.wide["datasets"], figure.narrow["datasets"]
    shared = {name: records for name, records in wide.items() if narrow.get(name) == records}
    own = [
        {**spec, "datasets": {name: records for name, records in spec["datasets"].items() if name not in shared}}
        for spec in (figure.wide, figure.narrow)
    ]
    return {"wide": own[0], "narrow": own[1], "shared": shared}


def inline_json(value: Any) -> Markup:
    """JSON that cannot end its script element.

    >>> "<" in inline_json({"id": "</script>"})
    False
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  (nothing in it can be read as HTML now)
