"""Two models of 400 rows, and servers on the loopback. Needs the extras remote, lakehouse and postgres."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from two_models import SECRET, compare, free_port, model, numbers, write  # noqa: E402

from command_line import traintwice  # noqa: E402, F401

LAKE = Path(tempfile.mkdtemp(prefix="traintwice-lake-"))
os.environ |= {  # pyiceberg and huggingface_hub read these when they are imported
    "HF_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HOME": str(LAKE / "hf"),
    "PYICEBERG_CATALOG__LOCAL__TYPE": "sql",
    "PYICEBERG_CATALOG__LOCAL__URI": f"sqlite:///{LAKE / 'catalog.db'}",
    "PYICEBERG_CATALOG__LOCAL__WAREHOUSE": f"file://{LAKE}",
}


def pytest_unconfigure():
    shutil.rmtree(LAKE, ignore_errors=True)


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    """A folder with old.parquet and new.parquet."""
    folder = tmp_path_factory.mktemp("local")
    for number, name in enumerate(("old", "new"), 1):
        write(folder / f"{name}.parquet", number)
    return folder


@pytest.fixture(scope="session")
def expected(local):
    """The comparison of the local files, to which all others are equal."""
    return numbers(compare(local / "old.parquet", local / "new.parquet"))


@pytest.fixture(scope="session")
def bucket():
    """The name of a bucket of an S3 server, which moto runs on the loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    import boto3

    boto3.client("s3").create_bucket(Bucket="preds")
    yield "preds"
    server.stop()


@contextmanager
def _postgres():
    programs = next((p for p in sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1] if (p / "initdb").exists()), None)
    initdb = shutil.which("initdb") or (programs and str(programs / "initdb"))
    pg_ctl = shutil.which("pg_ctl") or (programs and str(programs / "pg_ctl"))
    if not (initdb and pg_ctl):
        pytest.skip("no PostgreSQL server is installed (initdb, pg_ctl)")
    folder, as_user = Path(tempfile.mkdtemp(prefix="traintwice-postgres-")), []
    if os.geteuid() == 0:  # the server refuses to run as root
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")
    data, port = folder / "data", free_port()
    (folder / "password").write_text(SECRET)
    (folder / "password").chmod(0o644)
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": folder}
    how = ["-U", "ann", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
    subprocess.run([*as_user, initdb, "-D", data, *how], **quiet)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    subprocess.run([*as_user, pg_ctl, "-D", data, "-w", "-l", folder / "log", "-o", options, "start"], **quiet)
    try:
        yield port
    finally:
        subprocess.run([*as_user, pg_ctl, "-D", data, "-m", "fast", "-w", "stop"], **quiet)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres():
    """``postgresql://ann@host:port/postgres`` of a server with the tables pred_v1 and pred_v2, whose password is in PGPASSWORD."""
    with _postgres() as port:
        os.environ["PGPASSWORD"] = SECRET
        uri = f"postgresql://ann@127.0.0.1:{port}/postgres"
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(uri) as connection, connection.cursor() as cursor:
            for number in (1, 2):
                cursor.adbc_ingest(f"pred_v{number}", duckdb.sql(model(number)).to_arrow_table(), mode="create")
            connection.commit()
        yield uri
