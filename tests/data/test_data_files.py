"""Downloads, from a server on this machine, and digests of files."""

import gzip
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from dataclasses import replace

import pytest
from data_formats import write_mnist

from traintwice.cli._app import app
from traintwice.data import EMNIST, KMNIST
from traintwice.data._data_files import Remote, digest_of_files, download
from traintwice.errors import BadInput


@pytest.fixture
def served(tmp_path):
    """A folder, its address, and the paths that were asked for."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()  # noqa: S324


def test_a_file_is_fetched_once(served, tmp_path):
    folder, address, asked = served
    (folder / "a").write_bytes(b"content")
    remote = Remote("a", md5(folder / "a"), (address,))
    assert download((remote,), tmp_path / "here") == [tmp_path / "here" / "a"]
    assert (tmp_path / "here" / "a").read_bytes() == b"content"
    download((remote,), tmp_path / "here")
    assert len(asked) == 1


def test_another_checksum(served, tmp_path):
    folder, address, _ = served
    (folder / "a").write_bytes(b"content")
    with pytest.raises(BadInput, match=r"a could not be downloaded \(.*/a: another checksum than 00000.*copy it to .*here"):
        download((Remote("a", "0" * 32, (address,)),), tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []


def test_the_next_address_is_tried(served, tmp_path):
    folder, address, _ = served
    (folder / "a").write_bytes(b"content")
    remote = Remote("a", md5(folder / "a"), (f"{address}nowhere/", "http://127.0.0.1:9/", address))
    assert download((remote,), tmp_path)[0].read_bytes() == b"content"
    with pytest.raises(BadInput, match=r"HTTPError; .*ConnectionError"):
        download((replace(remote, file="b"),), tmp_path)


def packed_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def packed_tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("pack", [packed_zip, packed_tar])
def test_only_what_is_wanted_comes_out_of_an_archive(served, tmp_path, pack):
    folder, address, asked = served
    pack(folder / "x", {"in/a": b"1", "in/b": b"2", "../evil": b"3", "in/data_batch_1": b"a pickle"})
    remote = Remote("x", md5(folder / "x"), (address,), ("in/a", "in/b"))
    here = tmp_path / "deep" / "here"
    assert [path.read_bytes() for path in download((remote,), here)] == [b"1", b"2"]
    assert sorted(path.name for path in here.iterdir()) == ["a", "b"]
    assert not (tmp_path / "deep" / "evil").exists()
    download((remote,), here)
    assert len(asked) == 1
    with pytest.raises(BadInput, match="lacks an expected file"):
        download((replace(remote, members=("in/c",)),), tmp_path / "other")


def test_fetch_on_the_command_line(served, tmp_path, monkeypatch, capsys):
    folder, address, asked = served
    write_mnist(folder, packed=True, sizes=(6000, 300))
    remotes = tuple(replace(r, md5=md5(folder / r.file), addresses=(address,)) for r in KMNIST.remotes)
    monkeypatch.setattr(KMNIST, "remotes", remotes)
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path))
    for _ in range(2):
        with pytest.raises(SystemExit, match="0"):
            app(["fetch", "KMNIST"])
    assert capsys.readouterr().out.count("KMNIST: 1,000 train, 5,000 validation, 300 test; 10 classes") == 2
    assert len(asked) == 4

    # A damaged file is named, and not silently fetched again over what the user has.
    path = tmp_path / "KMNIST" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x01"))
    with pytest.raises(BadInput, match=r"t10k-labels-idx1-ubyte\.gz: truncated or damaged .* delete it and get it again"):
        app(["fetch", "KMNIST"], standalone_mode=False)


def test_emnist_comes_in_one_archive(served, tmp_path, monkeypatch):
    folder, address, _ = served
    names = ("emnist-digits-train-{}", "emnist-digits-test-{}")
    write_mnist(tmp_path / "made", names=names, packed=True)
    members = dict.fromkeys(EMNIST.remotes[0].members, b"")
    members |= {f"gzip/{path.name}": path.read_bytes() for path in (tmp_path / "made").iterdir()}
    packed_zip(folder / "gzip.zip", members)
    remote = replace(EMNIST.remotes[0], md5=md5(folder / "gzip.zip"), addresses=(address,))
    monkeypatch.setattr(EMNIST, "remotes", (remote,))
    assert len(EMNIST.fetch(tmp_path / "here")) == 24
    assert len(EMNIST(str(tmp_path / "here"), validation=5, part="digits").load().train) == 25


def test_digests_are_remembered_until_size_or_time_change(tmp_path, own_folder_of_data):
    file = tmp_path / "a"
    file.write_bytes(b"12")
    first = digest_of_files([file])
    (remembered,) = (tmp_path / "cache" / "digests").iterdir()
    remembered.write_text("remembered")
    assert digest_of_files([file]) == "remembered"
    file.write_bytes(b"123")
    assert digest_of_files([file]) not in ("remembered", first)
    with pytest.raises(BadInput, match="cannot be read"):
        digest_of_files([tmp_path / "b"])


def test_where_nothing_can_be_remembered_all_is_read(tmp_path, own_folder_of_data, monkeypatch):
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "file").write_bytes(b"")
    expected = digest_of_files([tmp_path / "a"])
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path / "file"))
    assert digest_of_files([tmp_path / "a"]) == expected
