"""Pictures of the documentation, made from real runs: the terminal of `traintwice demo diff`, the pages of a comparison and of a study."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from traintwice.errors import BadInput
from traintwice_reproduction import kept

FOLDER = kept.ROOT / "docs" / "pictures"
COLUMNS = 80
"""Width of the terminal."""

WIDTH = 1080
HEIGHTS = {"diff.png": 1080, "study.png": 1700}
"""Pixels of the top of each page that are shown."""

LARGEST = 300_000
"""Bytes of a picture."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def make(store: Path, replicas: int, browser: str | None = None) -> list[Path]:
    """Run the demonstration and the study `digits`, and write their pictures.

    Args:
        store: of the study; replicas that it lacks are trained.
        replicas: of each recipe.
        browser: a Chromium; None looks for one on the path.
    Returns:
        The pictures.
    Raises:
        BadInput: no browser, a run that fails, or a picture that is too large.
    """
    chosen = browser or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chosen is None or shutil.which(chosen) is None:
        raise BadInput(f"browser: {chosen or 'none'} of {', '.join(BROWSERS)} was found; install chromium or pass --browser PATH")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["demo", "diff"]
        (FOLDER / "demo.svg").write_text(terminal(_output(words, folder), " ".join(["traintwice", *words])))
        _output(["run", "digits", "--replicas", str(replicas), "--store", str(store.resolve()), "--report", "study"], folder)
        _photograph(chosen, folder / "traintwice-demo" / "report.html", "diff.png")
        _photograph(chosen, folder / "study" / "index.html", "study.png")
    made = [FOLDER / name for name in ("demo.svg", *HEIGHTS)]
    for path in made:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path}: {path.stat().st_size:,} bytes, expected at most {LARGEST:,}; lower HEIGHTS")
    return made


def terminal(output: str, command: str) -> str:
    """A terminal with a command and its output, colours and all, as SVG that loads nothing from elsewhere.

    >>> drawn = terminal("\\x1b[1;31mworse\\x1b[0m", "traintwice diff old.csv new.csv")
    >>> "worse" in drawn, "url(http" in drawn
    (True, False)
    """
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), command), Text(), Text.from_ansi(output.rstrip("\n")), sep="\n")
    without_fonts = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="traintwice", code_format=without_fonts, unique_id="traintwice")


def _output(words: Sequence[str], folder: Path) -> str:
    """The output of a command of traintwice on a terminal with colours.

    Raises:
        BadInput: it fails.
    """
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    done = subprocess.run(
        [sys.executable, "-m", "traintwice", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise BadInput(f"traintwice {' '.join(words)}: failed with exit status {done.returncode}:\n{done.stderr}")
    return done.stdout


def _photograph(browser: str, page: Path, name: str) -> None:
    """Writes the top of a page as PNG.

    Raises:
        BadInput: the browser fails.
    """
    picture = FOLDER / name
    with tempfile.TemporaryDirectory() as profile:
        options = [
            f"--window-size={WIDTH},{HEIGHTS[name]}",
            f"--screenshot={picture}",
            f"--user-data-dir={profile}",
            "--headless",
            "--hide-scrollbars",
            "--virtual-time-budget=5000",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium has no sandbox for root; the page is our own
        ]
        before = picture.stat().st_mtime_ns if picture.exists() else None
        done = subprocess.run([browser, *options, page.as_uri()], capture_output=True, text=True)
        if done.returncode or not picture.exists() or picture.stat().st_mtime_ns == before:
            raise BadInput(f"{browser}: made no picture of {page.name} (exit status {done.returncode}):\n{done.stderr[-2000:]}")
