"""User-facing texts avoid phrases that have to be decoded: docstrings, messages and help, templates, and pages in Markdown."""

import ast
import re
from pathlib import Path

import pytest

import traintwice

SOURCE = Path(traintwice.__file__).parent
ROOT = Path(__file__).parents[1]

BANNED = {
    r"beyond doubt": "significant (Holm-adjusted)",
    r"(un|not )?settled\b|\bsettles?\b": "significant, inconclusive",
    r"cannot tell|can't tell|would tell|of telling|\btells\b": "inconclusive, report",
    r"(?<!there )\b(is|are|was) no (?!longer|more|less)": "is not",
    r"\bbeside\b": "next to, with, and",
    r"\bmends?\b|\bmended\b": "fix, improved",
    r"\bstands? in\b(?! for)|\blies? in\b|\blies? beside\b": "is in",
    r"\bpercent points?\b": "percentage points (pp)",
    r"\bwhoever\b|\bnobody\b|\bsomebody\b": "name the subject",
    r"\b(as|what was) asked\b(?! for)": "requested",
    r"\bnot once\b": "not",
    r"\bhas nothing to say\b|\bnothing to say\b": "say what it does",
    r"\bno number of\b": "cannot",
    r"\bnothing here answers\b": "unknown name",
    r"\bspec(ification)? section\b": "docs/concepts/definitions.md",
}
"""Phrase to what to write instead."""

CODE = [
    *sorted(SOURCE.rglob("*.py")),
    *sorted((ROOT / "reproduction" / "src").rglob("*.py")),
    *sorted((ROOT / "examples").glob("*.py")),
]

PAGES = [
    *(path for path in ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(SOURCE.rglob("*.j2")),
]


def strings_of(path):
    """String literals of a module and their lines, docstrings included; of an f-string the text outside the braces."""
    tree = ast.parse(path.read_text())
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def banned_in(text):
    words = " ".join(text.split())
    return [
        f"{match[0]!r}: {instead}" for phrase, instead in BANNED.items() for match in re.finditer(phrase, words, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_strings_of_the_code(path):
    found = [f"line {line}: {why}" for line, text in strings_of(path) for why in banned_in(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_pages(path):
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(), flags=re.DOTALL)
    assert not banned_in(text), "\n".join(banned_in(text))


def test_a_banned_phrase_is_found():
    assert banned_in("Churn is lower\nbeyond  doubt.") == ["'beyond doubt': significant (Holm-adjusted)"]
    assert banned_in("Churn is significantly lower.") == []
