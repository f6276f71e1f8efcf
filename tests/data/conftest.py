"""Fixtures of several data sets; makes data_formats.py importable."""

import sys
from pathlib import Path

import pytest

from traintwice.data import _criteo as criteo

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(criteo, "LINES_IN_BLOCK", 7)
    monkeypatch.setattr(criteo, "READ_BYTES", 1000)
    monkeypatch.setattr(criteo, "BLOCKS_HELD", 2)


@pytest.fixture
def own_folder_of_data(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """train and val with two classes, PNG files of one colour each: class and number can be read from it."""
    from PIL import Image

    root = tmp_path / "pictures"
    for half, count in (("train", 9), ("val", 4)):
        for c, name in enumerate(("ant", "bee")):
            (root / half / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (20, 14), (100 * c, 10 * i, 50 * (half == "val"))).save(root / half / name / f"{i}.png")
            (root / half / name / "notes.txt").write_text("no picture")
    return root
