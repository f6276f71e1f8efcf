"""Google Cloud Storage, Azure and Hugging Face on the loopback: an emulator of each, and a server with the routes of the Hub."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
import pytest
from two_models import SECRET, churn, compare, free_port

from traintwice.errors import BadInput
from traintwice.predictions import _remote

AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # of every Azurite


@pytest.fixture(scope="module")
def environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_remote, "WAITS", (0.01,))
        yield patch


def filled(scheme, local):
    """The bucket or container `preds` of a store, with both models."""
    fs = fsspec.filesystem(scheme)
    for name, place in (("old", "preds/old.parquet"), ("new", "preds/tree/day=1/new.parquet")):
        fs.put_file(str(local / f"{name}.parquet"), place)


@pytest.fixture(scope="module")
def gs(environment, local):
    """Google Cloud Storage: gcp-storage-emulator."""
    from gcp_storage_emulator.server import create_server

    environment.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{(port := free_port())}")
    environment.setenv(
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false"
    )  # asks for the kind of a bucket, which the emulator does not know
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="preds")
    server.start()
    filled("gs", local)
    yield "gs://preds"
    server.stop()


@pytest.fixture(scope="module")
def abfs(environment, local):
    """Azure's Blob Storage: Azurite."""
    program = shutil.which("azurite-blob", path=os.pathsep.join([f"{sys.prefix}/node_modules/.bin", os.environ["PATH"]]))
    if program is None:
        pytest.skip("Azurite is not installed, which needs npm")
    port = free_port()
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    server = subprocess.Popen([program, *options, "--blobHost", "127.0.0.1", "--blobPort", str(port)], stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/devstoreaccount1"
        account = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURE_KEY};BlobEndpoint={address};"
        environment.setenv("AZURE_STORAGE_CONNECTION_STRING", account)
        wait_for(port)
        fsspec.filesystem("abfs").mkdir("preds")
        filled("abfs", local)
        yield "abfs://preds"
    finally:
        server.terminate()
        server.wait()


def wait_for(port, seconds=120):
    import socket

    for _ in range(10 * seconds):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nothing listens on {port}")


class Hub(BaseHTTPRequestHandler):
    """Routes of the Hugging Face Hub that its file system asks: the repository, its files, their contents by ranges."""

    protocol_version = "HTTP/1.1"
    files, repository = {}, "ann/preds"

    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        path = unquote(self.path.partition("?")[0])
        if self.headers.get("Authorization") not in (None, f"Bearer {SECRET}"):
            return self.send(401, {"error": "Invalid credentials"})
        if path.startswith(f"/datasets/{self.repository}/resolve/main/"):
            return self.content(path.split("/", 6)[-1])
        if not path.startswith(f"/api/datasets/{self.repository}"):
            return self.send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        rest = path.removeprefix(f"/api/datasets/{self.repository}").strip("/")
        if rest.startswith("paths-info"):
            wanted = json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode())["paths"]
            return self.send(200, [entry for entry in map(self.entry, wanted) if entry])
        if rest.startswith("tree/"):
            base = rest.split("/", 2)[2] if rest.count("/") > 1 else ""
            below = [name for name in self.files if name.startswith(f"{base}/" if base else "")]
            depth = 1 + base.count("/") if base else 0
            recursive = "recursive=true" in self.path.lower()
            parts = {"/".join(name.split("/")[: None if recursive else depth + 1]) for name in below}
            parts |= {"/".join(name.split("/")[:k]) for name in below for k in range(depth + 1, name.count("/") + 1) if recursive}
            if not below:
                return self.send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return self.send(200, [self.entry(name) for name in sorted(parts)])
        return self.send(200, {"id": self.repository, "sha": "0" * 40, "siblings": [], "private": False, "tags": []})

    def entry(self, name):
        if name in self.files:
            oid = hashlib.sha1(self.files[name]).hexdigest()  # noqa: S324
            return {"type": "file", "oid": oid, "size": len(self.files[name]), "path": name}
        if any(other.startswith(f"{name}/") for other in self.files):
            return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
        return None

    def content(self, name):
        if name not in self.files:
            return self.send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        whole, status, more = self.files[name], 200, {"ETag": '"1"', "X-Repo-Commit": "0" * 40, "Accept-Ranges": "bytes"}
        if wanted := self.headers.get("Range"):
            start, stop = wanted.removeprefix("bytes=").split("-")
            stop = min(int(stop) + 1, len(whole)) if stop else len(whole)
            more["Content-Range"] = f"bytes {start}-{stop - 1}/{len(whole)}"
            return self.send(206, whole[int(start) : stop], more)
        return self.send(status, whole, more)

    def send(self, status, content, more=None):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hf(local):
    """A data set of the Hub."""
    Hub.files = {name: (local / Path(name).name).read_bytes() for name in ("old.parquet", "tree/day=1/new.parquet")}
    server = ThreadingHTTPServer(("127.0.0.1", urlsplit(os.environ["HF_ENDPOINT"]).port), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "hf://datasets/ann/preds"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["gs", "abfs", "hf"])
def store(request):
    return request.getfixturevalue(request.param)


def test_files_trees_and_globs(store, expected):
    for new in ("tree/day=1/new.parquet", "tree", "tree/*/new.parquet"):
        found = compare(f"{store}/old.parquet", f"{store}/{new}")
        assert churn(found) == churn(expected), new
    assert found.alignment.files == (f"{store}/old.parquet", f"{store}/tree/*/new.parquet")


def test_only_ranges_are_read(store, monkeypatch, expected):
    ranges, bytes_of = [], _remote.RemoteFile.bytes
    monkeypatch.setattr(
        _remote.RemoteFile, "bytes", lambda self, start, stop: ranges.append(stop - start) or bytes_of(self, start, stop)
    )
    assert churn(compare(f"{store}/old.parquet", f"{store}/tree/day=1/new.parquet")) == churn(expected)
    assert len(ranges) > 2


def test_names_that_are_not_there(store):
    for name in (f"{store}/none.parquet", store.replace("preds", "nowhere") + "/old.parquet"):
        with pytest.raises(BadInput, match=r"not found|access is refused") as caught:
            compare(name, f"{store}/old.parquet")
        assert str(caught.value).startswith(f"{name}: ")
        assert "\n" not in str(caught.value)


def test_secrets_of_azure(abfs, monkeypatch):
    wrong = os.environ["AZURE_STORAGE_CONNECTION_STRING"].replace("Eby8", "Fby8")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
    type(fsspec.filesystem("abfs")).clear_instance_cache()
    with pytest.raises(BadInput, match=r"access is refused .status 403.; credentials are those of adlfs") as caught:
        compare(f"{abfs}/old.parquet", f"{abfs}/tree")
    type(fsspec.filesystem("abfs")).clear_instance_cache()
    assert "by8vdM02" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tokens_of_the_hub(hf, monkeypatch, expected):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert churn(compare(f"{hf}/old.parquet", f"{hf}/tree")) == churn(expected)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(BadInput, match=r"access is refused .status 401.; credentials are those of Hugging Face") as caught:
        compare(f"{hf}/old.parquet", f"{hf}/tree")
    assert "hf_wrong" not in str(caught.value)
