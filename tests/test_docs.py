"""The Python in README and docs runs as it is written."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{i}")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for i, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "example", "exec"), {})  # noqa: S102


def headings(text):
    """Anchors of a page's headings, as GitHub makes them."""
    code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", code, flags=re.MULTILINE)
    }


def test_no_link_inside_the_repository_is_dead():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", path.read_text()):
            if "://" not in target:
                there = path.parent / target if target else path
                assert there.exists(), f"{path.name} links to {target}, which is not there"
                assert not anchor or anchor in headings(there.read_text()), f"{path.name}: {target} has no heading #{anchor}"


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert all(f"](docs/{page.name})" in readme for page in (ROOT / "docs").glob("*.md"))


def test_contents_of_the_cards_name_every_card():
    text = (ROOT / "docs" / "methods.md").read_text()
    linked = set(re.findall(r"\]\(#([^)]+)\)", text.partition("## Methods")[0]))
    assert linked == headings(text) - {"methods-and-controls-a-card-each", "methods", "controls"}
