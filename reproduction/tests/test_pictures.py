"""Pictures of the documentation: what a terminal shows as SVG, and what is kept."""

import struct
import xml.etree.ElementTree as ET

import pytest

from traintwice.errors import BadInput
from traintwice_reproduction import pictures

SVG = "{http://www.w3.org/2000/svg}"


def test_a_terminal_has_its_lines_and_colours_and_loads_nothing():
    drawn = pictures.terminal("Quality  \x1b[1;31mworse\x1b[0m\nchurn 3 % → 4 %\n", "traintwice diff old.csv new.csv")
    texts = [(element.text or "").replace("\xa0", " ") for element in ET.fromstring(drawn).iter(f"{SVG}text")]
    assert [text for text in texts if text.strip()][:2] == ["traintwice", "$ "]
    assert "worse" in texts
    assert "churn 3 % → 4 %" in texts
    assert "url(http" not in drawn


def test_without_a_browser_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "FOLDER", tmp_path / "pictures")
    with pytest.raises(BadInput, match=r"browser: no-such-browser .* install chromium or pass --browser PATH"):
        pictures.make(tmp_path / "runs", 2, "no-such-browser")
    assert not list(tmp_path.iterdir())


def test_the_kept_pictures_are_small_and_of_their_size():
    assert {path.name for path in pictures.FOLDER.iterdir()} == {"demo.svg", *pictures.HEIGHTS}
    assert all(path.stat().st_size <= pictures.LARGEST for path in pictures.FOLDER.iterdir())
    for name, height in pictures.HEIGHTS.items():
        assert struct.unpack(">2I", (pictures.FOLDER / name).read_bytes()[16:24]) == (pictures.WIDTH, height)
    assert "url(http" not in (pictures.FOLDER / "demo.svg").read_text()
