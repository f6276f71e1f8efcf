"""The site's Markdown in one folder: the pages of docs/ with their marks filled, and the generated pages."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import traintwice
from traintwice_reproduction.kept import KEPT, ROOT, read
from traintwice_reproduction.pages import comparing, findings, tables
from traintwice_reproduction.site import api, command_line, house, leaderboard, marks

DOCS = ROOT / "docs"


def generated() -> dict[str, str]:
    """Path in the folder to the text of every generated page and picture."""
    return {
        **api.pages(),
        **command_line.pages(),
        "evidence/findings.md": findings.page(comparing.kept_studies()),
        "evidence/papers.md": tables.page(),
        "evidence/leaderboard.md": leaderboard.page(),
        "contributors/house.svg": house.picture(house.rooms_of(Path(traintwice.__file__).parent), "This version"),
        "contributors/house-0.1.svg": house.picture(read(KEPT / "house-0.1.json"), "Version 0.1"),
    }


LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)]*)?\)")


def write(folder: Path) -> list[Path]:
    """Write pages and configuration anew and return the paths of the pages.

    Args:
        folder: gets `mkdocs.yml`, for `mkdocs build --config-file`, and the pages in `pages/`.
    """
    if folder.exists():
        shutil.rmtree(folder)
    pages = folder / "pages"
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for page in pages.rglob("*.md"):
        text = marks.filled(page.read_text())
        page.write_text(LINK.sub(lambda link, page=page: _link(link, page, pages), text))  # type: ignore[misc]
    for name, text in generated().items():
        page = pages / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    (folder / "mkdocs.yml").write_text(_configuration(pages))
    return sorted(pages.rglob("*.md"))


def _link(link: re.Match[str], page: Path, pages: Path) -> str:
    """A link to a file of the repository outside docs/ becomes a link to a copy of it in the site."""
    source = (DOCS / page.relative_to(pages)).parent / link[1]
    if not source.is_file() or source.resolve().is_relative_to(DOCS):
        return link[0]
    copy = pages / "files" / source.resolve().relative_to(ROOT)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, copy)
    return f"]({os.path.relpath(copy, page.parent)}{link[2] or ''})"


def _configuration(pages: Path) -> str:
    """mkdocs.yml of the repository, with the pages of the folders that its navigation names."""
    lines = []
    for line in (ROOT / "mkdocs.yml").read_text().splitlines():
        entry = re.fullmatch(r"( *)- (.+): ([\w-]+)/", line)
        if entry is None:
            lines.append(line)
            continue
        indent, title, name = entry.groups()
        index, *others = [f"{name}/index.md", *(_of(name, pages))]
        lines += [f"{indent}- {title}:", f"{indent}    - {index}", *[f"{indent}    - {other}" for other in others]]
    return "\n".join(lines) + "\n"


def _of(name: str, pages: Path) -> list[str]:
    """Pages of a folder but its index: in the order in which the index links them, others behind."""
    linked = re.findall(r"\]\(([\w.-]+\.md)\)", (pages / name / "index.md").read_text())
    found = sorted(page.name for page in (pages / name).glob("*.md") if page.name != "index.md")
    return [
        f"{name}/{page}"
        for page in [*[page for page in dict.fromkeys(linked) if page in found], *[p for p in found if p not in linked]]
    ]
