"""Tables and figures on the command line: `traintwice run`, `show` and `list`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from traintwice._files import write_whole
from traintwice._processes import cores
from traintwice.errors import StoreError, require
from traintwice.presets import RunOptions
from traintwice.study import Experiment, Results
from traintwice_reproduction.kept import KEPT, read
from traintwice_reproduction.tables.artefact import SCALES, Artefact, scale_of
from traintwice_reproduction.tables.cost import estimate, in_words
from traintwice_reproduction.tables.reproducing import Reproduced, reproduce, studies, study_of


@dataclass(frozen=True)
class TableStudy:
    """A table or figure as a composite study of `traintwice run`.

    Args:
        artefact: table or figure.
    """

    artefact: Artefact

    @property
    def title(self) -> str:
        """What the table or figure shows."""
        return self.artefact.title

    def run(self, options: RunOptions) -> None:
        """Print the work ahead, train the missing replicas, print the tables, write all files.

        Raises:
            BadSpec: no such scale. UnknownName: no such part.
        """
        artefact, scale, seed = self.artefact, scale_of(options.scale or "small"), options.seed or 0
        chosen = artefact.chosen_parts(scale, options.parts)
        if not options.quiet:
            for line in artefact.left_out(scale, options.parts):
                print(line, file=sys.stderr)
            of = {"replicas": options.replicas, "seed": seed, "settings": options.settings}
            planned = [e for part in chosen for e in studies(artefact, part, scale, **of)]  # type: ignore[arg-type]
            if planned:
                on_gpu = options.device != "cpu"
                count, seconds = estimate(planned, options.jobs or (1 if on_gpu else cores()), device=options.device)
                place = "this GPU" if on_gpu else "this CPU"
                print(f"{self.title}, scale {scale}: {count} trainings, roughly {in_words(seconds)} on {place}", file=sys.stderr)
            print(last_run(artefact.name, scale), file=sys.stderr)

        def announced(experiment: Experiment) -> Results:
            if not options.quiet:
                print(f"{experiment.name}:", file=sys.stderr)
            return options.train(experiment)

        done = reproduce(
            artefact,
            scale=scale,
            parts=options.parts,
            replicas=options.replicas,
            seed=seed,
            settings=options.settings,
            train=announced,
        )
        if options.as_json:
            print(json.dumps(plain(done), ensure_ascii=False, allow_nan=False))
        else:
            print_tables(done)
        if options.report is not None:
            for path in write(done, options.report):
                if not options.as_json:
                    print(path)

    def experiments(self, scale: str | None, parts: tuple[str, ...], settings: tuple[str, ...]) -> list[Experiment]:
        """The reported study of each part, with typical values of weights that are chosen from a grid.

        Raises:
            BadSpec: no such scale, or a wrong setting. UnknownName: no such part.
        """
        of = scale_of(scale or "small")
        return [study_of(self.artefact, part, of, {}, settings=settings) for part in self.artefact.chosen_parts(of, parts)]

    def describe(self) -> dict[str, Any]:
        """Parts of both scales as plain values."""
        scales = {
            scale: {
                part.name: {
                    "heading": part.heading,
                    "replicas": part.replicas,
                    "rows": list(part.rows({})),
                    "optional": part.optional,
                }
                for part in self.artefact.parts(scale)
            }
            for scale in SCALES
        }
        return {"name": self.artefact.name, "title": self.title, "scales": scales}

    def text(self) -> str:
        """Parts of both scales in words, and the last run."""
        lines = [self.artefact.name, "", self.title]
        for scale, parts in self.describe()["scales"].items():
            lines += ["", f"--scale {scale}"]
            for name, part in parts.items():
                optional = " (optional: only where its files are)" if part["optional"] else ""
                lines.append(
                    f"  --part {name}: {part['heading']}{optional}, {part['replicas']} replicas of {'; '.join(part['rows'])}"
                )
            if not parts:
                lines.append("  drawn from a formula; nothing is trained")
            lines.append(f"  {last_run(self.artefact.name, scale)}")
        return "\n".join(lines)


def last_run(name: str, scale: str) -> str:
    """Date and outcome of the kept run of a table.

    Args:
        name, scale: of the table.
    """
    file = KEPT / "tables" / f"{name}.{scale}.json"
    if not file.is_file():
        return "There is no kept run of it."
    found = read(file)
    return f"Last kept run {found['date']}, {found['took']} on {found['where']}: {found['said']}"


def print_tables(reproduced: Reproduced) -> None:
    """Print the tables, each in pieces that fit the terminal."""
    console = Console(highlight=False, markup=False)
    for table in reproduced.tables:
        console.print(table.title, style="bold")
        for piece in table.split(console.width):
            console.print(piece.to_rich())
            console.print()
        for note in table.notes:
            console.print(note, style="dim")


def write(reproduced: Reproduced, out: Path) -> list[Path]:
    """Write tables as Markdown and LaTeX, figures as SVG and PNG, and all numbers as JSON.

    Args:
        reproduced: what was run.
        out: directory; created where it does not exist.
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
