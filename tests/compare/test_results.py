"""Results print as a sheet and show themselves in a notebook, with nothing of a file read as markup."""

from html.parser import HTMLParser
from importlib.util import find_spec

import numpy as np
import pytest

import traintwice

NASTY = "</table><script>alert('x')</script>"


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    old, new, *more = (rng.dirichlet(np.ones(3), 400) for _ in range(6))
    options = {"label": labels, "by": {NASTY: np.full(400, NASTY)}, "classes": [NASTY, "b", "c"]}
    return {
        "diff": traintwice.diff(old, new, floor=more, **options),
        "gate": traintwice.gate(old, new, [traintwice.Budget("churn", max=0.1, by=NASTY)], **options),
        "recipes": traintwice.compare_recipes(np.stack([old, new, more[0]]), np.stack(more[1:]), names=(NASTY, "B")),
        "plan": traintwice.plan(0.05, 0.01),
        "measure": traintwice.measure(np.stack([old, new, *more]), labels),
    }


@pytest.mark.parametrize("name", ["diff", "gate", "recipes", "plan", "measure"])
def test_prints_and_shows_itself(results, name):
    text, html = str(results[name]), results[name]._repr_html_()
    assert len(text.splitlines()) > 3
    opened = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: opened.append((tag, dict(attributes)))
    parser.feed(html)
    assert "script" not in {tag for tag, _ in opened}
    assert all(set(attributes) <= {"scope", "style", "data-title"} for _, attributes in opened)
    assert "table" in {tag for tag, _ in opened}


def test_what_a_file_says_is_in_it_as_text(results):
    assert NASTY in str(results["diff"])
    assert "&lt;/table&gt;&lt;script&gt;" in results["diff"]._repr_html_()


def test_every_public_name_is_there():
    assert set(traintwice.__all__) <= set(dir(traintwice))
    for name in traintwice.__all__ if find_spec("torch") else ("diff", "gate"):
        assert getattr(traintwice, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'difff'"):
        traintwice.difff  # noqa: B018
