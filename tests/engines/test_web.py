"""Files on a web server that stalls, resets, refuses and fails; and signed addresses, whose signatures are shown nowhere."""

import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from two_models import SECRET, compare, numbers, write

from traintwice.errors import BadInput
from traintwice.predictions import _remote


class Server(BaseHTTPRequestHandler):
    """``/KIND/FILE``: a file of the folder, served as the kind says."""

    protocol_version = "HTTP/1.1"
    folder, stopped, requests = None, threading.Event(), Counter()

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        _, kind, name = self.path.partition("?")[0].split("/")
        self.requests[kind] += 1
        if kind == "signed" and (f"sig={SECRET}" not in self.path or not with_body):
            kind = "403"  # as S3 does: an address that is signed for GET is not signed for HEAD
        if kind == "flaky" and self.requests[kind] % 3:
            kind = "503"
        if not kind.isdigit() and not (self.folder / name).exists():
            kind = "404"
        if kind.isdigit():
            self.send_response(int(kind))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = (self.folder / name).read_bytes()
        whole = len(content)
        wanted = self.headers.get("Range")
        ranges = kind != "no-ranges"
        if wanted and ranges:
            start, stop = wanted.removeprefix("bytes=").split("-")
            start, stop = int(start), min(int(stop) + 1, whole)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{whole}")
            content = content[start:stop]
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes" if ranges else "none")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not with_body:
            return
        if kind in ("resets", "stalls") and wanted:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if kind == "stalls":
                self.stopped.wait(20)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True


@pytest.fixture(scope="module")
def web(local):
    Server.folder = local
    write(local / "old.csv", 1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Server.stopped.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(_remote, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(_remote, "STALLED_SECONDS", 0.3)
    Server.requests.clear()


@pytest.mark.parametrize("kind", ["ranges", "no-ranges", "flaky"])
def test_parquet(web, expected, kind):
    assert numbers(compare(f"{web}/{kind}/old.parquet", f"{web}/{kind}/new.parquet")) == expected


def test_text(web, expected, local):
    assert numbers(compare(f"{web}/ranges/old.csv", local / "new.parquet")) == expected


@pytest.mark.parametrize(
    ("kind", "message", "requests"),
    [
        ("403", "access is refused .status 403.; credentials are those in the address, or in ~/.netrc", 2),
        ("401", "access is refused .status 401.", 2),
        ("404", "not found; check the name", 2),
        ("503", "cannot be read after 4 tries .the server answered 503.; run again later", 8),
        ("resets", "cannot be read after 4 tries .ContentLengthError", 6),
        ("stalls", "cannot be read after 4 tries .*[Tt]imeout", 6),
    ],
)
def test_servers_that_fail(web, local, kind, message, requests):
    with pytest.raises(BadInput, match=message) as caught:
        compare(f"{web}/{kind}/old.parquet?sig={SECRET}", local / "new.parquet")
    assert str(caught.value).startswith(f"{web}/{kind}/old.parquet: ")
    assert SECRET not in str(caught.value)
    assert Server.requests[kind] <= requests


def test_signed_addresses(web, tmp_path, traintwice):
    old, new = (f"{web}/signed/{name}.parquet?sig={SECRET}&part=1" for name in ("old", "new"))
    outputs = {name: tmp_path / name for name in ("rows.parquet", "report.html", "junit.xml")}
    verbs = [["diff", old, new, "--json", "--rows", outputs["rows.parquet"], "--report", outputs["report.html"]]]
    verbs += [["gate", old, new, "--max", "churn=90%", "--markdown", "--junit", outputs["junit.xml"]], ["measure", old, new]]
    verbs += [["diff", old, new.replace("new", "none")], ["diff", old, old], ["diff", new.replace("sig=", "sig=x"), old]]
    printed = ""
    for verb in verbs:
        _, output, errors = traintwice(*verb)
        printed += output + errors
        assert "Traceback" not in errors
    assert f"{web}/signed/old.parquet" in printed
    assert SECRET not in printed
    for path in outputs.values():
        assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("403", "s3://403/old.parquet: access is refused .status 403.; credentials are those of AWS"),
        ("503", "s3://503/old.parquet: cannot be read after 4 tries .the server answered 503"),
        ("stalls", "s3://stalls/old.parquet: cannot be read after 4 tries .*[Tt]imeout"),
        ("resets", "s3://resets/old.parquet: cannot be read after 4 tries"),
    ],
)
def test_stores_that_fail(web, bucket, local, kind, message, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", web)
    with pytest.raises(BadInput, match=message) as caught:
        compare(f"s3://{kind}/old.parquet", local / "new.parquet")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_credentials(web, local, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", web)
    monkeypatch.setattr(_remote, "STALLED_SECONDS", 0.29)  # another connection than that of the tests above
    with pytest.raises(BadInput, match=r"access is refused .(there are no credentials|status 403)"):
        compare("s3://403/old.parquet", local / "new.parquet")
