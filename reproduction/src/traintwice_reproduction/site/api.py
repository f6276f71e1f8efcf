"""Pages of the public names: one for each public module, made from its docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

import traintwice

SOURCE = Path(traintwice.__file__).parent

INTRODUCTION = """# Public names

Everything that may be imported. A name that is not listed here, and every module whose name starts with an underscore, may change without
notice.

| module | content |
| --- | --- |
"""


def modules() -> dict[str, str]:
    """Dotted name of every public module that offers names, to the first line of its docstring."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        tree = ast.parse(path.read_text())
        if not any(part.startswith("_") for part in parts) and _offered(tree):
            found[".".join(["traintwice", *parts])] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def _offered(tree: ast.Module) -> bool:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return bool(getattr(node.value, "elts", ()))
    return False


def pages() -> dict[str, str]:
    """Path to Markdown."""
    found = modules()
    lines = [f"| [`{name}`]({name}.md) | {line} |" for name, line in found.items()]
    return {
        "api/index.md": INTRODUCTION + "\n".join(lines) + "\n",
        **{f"api/{name}.md": f"# {name}\n\n::: {name}\n" for name in found},
    }
