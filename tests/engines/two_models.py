"""Two models of 400 rows as files and as SQL, and their comparison."""

import socket
from pathlib import Path

import duckdb

from traintwice import diff

SECRET = "hunter2-secret"
ROWS = 400


def model(seed, rows=ROWS, more=""):
    """SQL of the predictions of one model."""
    score = f"round((hash(i) % 1000) / 1000 + (hash(i + {seed}) % 300) / 3000, 3)"
    columns = f"i AS id, least({score}, 1.0)::DOUBLE AS p, (hash(i * 7) % 2)::INTEGER AS y, 'c' || i % 3 AS country"
    return f"SELECT {columns}{more} FROM range({rows}) t(i)"


def write(path, seed, rows=ROWS, more=""):
    kind = {".csv": "csv", ".jsonl": "json"}.get(Path(path).suffix, "parquet")
    duckdb.sql(f"COPY ({model(seed, rows, more)}) TO '{path}' (FORMAT {kind})")
    return path


def compare(old, new, **options):
    return diff(old, new, **{"by": "country"} | options)


def numbers(found):
    """What a comparison says, without the names of its inputs."""
    result = found.to_dict()
    del result["alignment"]
    return result


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def churn(found):
    """Churn and its interval, of a comparison or of its numbers."""
    of = found if isinstance(found, dict) else found.to_dict()
    (measure,) = (m for m in of["measures"] if m["name"] == "churn")
    return [round(measure["estimate"][key], 12) for key in ("value", "low", "high")]
