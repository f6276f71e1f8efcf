"""Files that unpack to more than the disk of the temporary folder has room for."""

import gzip
import io
import subprocess
import sys

import duckdb
import numpy as np
import pytest

from traintwice import _files, diff
from traintwice.errors import BadInput

TEXT = "id,p\n" + "".join(f"{i},0.5\n" for i in range(20_000))


@pytest.fixture
def no_room(monkeypatch):
    """A disk counts as too full as soon as anything is on it."""
    monkeypatch.setattr(_files, "KEPT_FREE", 1.0)
    monkeypatch.setattr(_files, "UNPACKED_AT_ONCE", 1 << 16)


def refused(path):
    with pytest.raises(
        BadInput, match=r"holds more than 0\.0 GB, which the disk of the temporary folder has no room for; set TMPDIR"
    ):
        diff(path, path.with_name("b.csv"))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "b.csv").write_text(TEXT)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT.encode(), 1))
    np.savez_compressed(tmp_path / "a.npz", id=np.arange(20_000), p=np.full(20_000, 0.5))
    return tmp_path


@pytest.mark.parametrize("name", ["a.csv.gz", "a.npz"])
def test_gzip_and_npz(files, no_room, name):
    refused(files / name)


def test_zstd(files, no_room):
    rows = f"SELECT range AS id, 0.5 AS p, '{'x' * 2000}' AS filler FROM range(50_000)"
    duckdb.execute(f"COPY ({rows}) TO '{files / 'a.csv.zst'}' (FORMAT csv, COMPRESSION zstd)")
    refused(files / "a.csv.zst")


def test_standard_input(files, no_room, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    with pytest.raises(BadInput, match="standard input: holds more than 0"):
        diff("-", files / "b.csv")


def test_with_room_all_are_read(files):
    program = "import sys; from traintwice import diff; print(diff('-', 'b.csv').alignment.rows)"
    done = subprocess.run([sys.executable, "-c", program], cwd=files, input=TEXT, capture_output=True, text=True, check=True)
    assert done.stdout == "20000\n"
    assert diff(files / "a.csv.gz", files / "b.csv").alignment.rows == 20_000
