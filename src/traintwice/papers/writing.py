"""A reproduced table or figure on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from traintwice.errors import StoreError, require
from traintwice.files import write_whole
from traintwice.papers.reproducing import Reproduced


def write(reproduced: Reproduced, out: Path) -> list[Path]:
    """Write tables as Markdown and LaTeX, figures as SVG and PNG, and all numbers as JSON.

    Args:
        reproduced: what was run.
        out: the directory; made where it does not exist.
    Returns:
        The files, in order.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed. StoreError: the directory cannot be written.
    """
    name = reproduced.artefact.name
    files: dict[str, bytes] = {}
    tables = reproduced.tables
    if tables:
        files[f"{name}.md"] = "\n".join(table.to_markdown() for table in tables).encode()
        files[f"{name}.tex"] = "\n".join(table.to_latex() for table in tables).encode()
        files[f"{name}.json"] = (json.dumps(plain(reproduced), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    if reproduced.artefact.figures is not None:
        require("altair", extra="report", purpose="a figure")
        require("vl_convert", extra="report", purpose="a figure")
        import vl_convert

        for figure in reproduced.artefact.figures(reproduced.parts):
            files[f"{name}-{figure.name}.svg"] = vl_convert.vegalite_to_svg(figure.wide).encode()
            files[f"{name}-{figure.name}.png"] = vl_convert.vegalite_to_png(figure.wide, scale=2)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            write_whole(out / file, content)
    except OSError as error:
        raise StoreError(f"{out}: the table cannot be written here ({error.strerror}); choose another --report") from None
    return [out / file for file in files]


def plain(reproduced: Reproduced) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        "schema": 1,
        "artefact": reproduced.artefact.name,
        "scale": reproduced.scale,
        "left_out": list(reproduced.left_out),
        "tables": [table.to_dict() for table in reproduced.tables],
        "parts": [
            {"name": p.part.name, "chosen": dict(p.chosen), "study": p.results.experiment.name, "results": p.results.to_dict()}
            for p in reproduced.parts
        ],
    }
