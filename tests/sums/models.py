"""Two models of a few hundred rows as tables of DuckDB, their comparison by rows, and the comparison of two results."""

from contextlib import contextmanager
from functools import cache

import duckdb
import numpy as np
import pyarrow as pa

from traintwice.sums import query

ROWS = 400


def model(seed, kind="score", classes=2, labelled="some", rows=ROWS):
    """A table of one model: ids in an order of its own, predictions, labels, weights, groups and users."""
    shared, own = np.random.default_rng(7), np.random.default_rng(seed)
    y = shared.integers(0, classes, rows)
    logits = shared.normal(size=(rows, classes)) + 1.2 * np.eye(classes)[y] + own.normal(scale=0.6, size=(rows, classes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = {"id": np.arange(rows), "country": np.array(["AT", None, "", "BR"], dtype=object)[shared.integers(0, 4, rows)]}
    columns |= {"segment": shared.integers(0, 2, rows), "user": shared.integers(0, 60, rows), "w": shared.uniform(0.5, 3, rows)}
    known = np.arange(rows) % 3 > 0 if labelled == "some" else np.ones(rows, dtype=bool)
    columns["y"] = pa.array([int(label) if k else None for label, k in zip(y, known, strict=True)])
    columns |= {"p": probs[:, -1]} if kind == "score" else {f"p_{k}": probs[:, k] for k in range(classes)}
    columns |= {"yhat": probs.argmax(axis=1)} if kind == "pred" else {}
    order = own.permutation(rows)
    return pa.table(columns).take(order)


@cache
def _cached(options):
    return query("v1", "v2", **dict(options))


def text_of(**options):
    """The query for the tables v1 and v2, made once: its making takes most of a test of few rows."""
    given = {"dialect": "duckdb", "id": "id"} | options
    return _cached(tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(given.items())))


DATABASE = duckdb.connect()
"""One for all tests: each takes a connection of its own, which alone sees what it registers and its temporary tables."""


@contextmanager
def database():
    """A connection that runs queries as they are written: DuckDB's optimiser takes most of the time of a query of sums of few rows."""
    with DATABASE.cursor() as connection:
        connection.execute("PRAGMA disable_optimizer")
        yield connection


def sums_of(old, new, **options):
    """The result of the query for two tables."""
    with database() as connection:
        connection.register("v1", old)
        connection.register("v2", new)
        return connection.sql(text_of(**options)).to_arrow_table()


def assert_same(found, expected, at="", within=1e-12):
    """Two results as JSON, equal but for rounding."""
    if isinstance(found, dict):
        assert found.keys() == expected.keys(), at
        for key in found:
            assert_same(found[key], expected[key], f"{at}.{key}", within)
    elif isinstance(found, list):
        assert len(found) == len(expected), at
        for n, (x, y) in enumerate(zip(found, expected, strict=True)):
            assert_same(x, y, f"{at}[{n}]", within)
    elif isinstance(found, float) and isinstance(expected, float):
        assert abs(found - expected) <= within * max(1, abs(expected)), (at, found, expected)
    else:
        assert found == expected, at


PARTS = (
    "flow",
    "slices",
    "predicted",
    "slices_left_out",
    "decisions",
    "regressed_rows",
    "identical",
    "effective_rows",
    "warnings",
)


def assert_equal(of_sums, of_rows, *, expected_measures):
    """Every number of a comparison by sums is that of the comparison by rows, and both come to the same verdicts."""
    a, b = of_sums.to_dict(), of_rows.to_dict()
    for part in PARTS:
        assert_same(a.get(part), b.get(part), part)
    for key in ("rows", "labelled", "classes", "class_names", "positive", "dropped", "clusters", "cluster", "label", "weight"):
        assert_same(a["alignment"][key], b["alignment"][key], key)
    for measure in of_sums.measures:
        assert_same(measure.estimate.to_dict(), of_rows[measure.name].to_dict(), measure.name)
    assert {m.name for m in of_sums.measures} >= expected_measures
    by_name = {q.name: q for q in of_rows.quality}
    for q in of_sums.quality:
        for side in ("old", "new", "change"):
            assert_same(getattr(q, side).to_dict(), getattr(by_name[q.name], side).to_dict(), q.name)
        assert_same(q.p_value, by_name[q.name].p_value, q.name)
    assert set(by_name) - {q.name for q in of_sums.quality} <= {"brier", "calibration_error"}
    verdicts = [[(x.question, x.verdict) for x in d.answers if x.question != "quality"] for d in (of_sums, of_rows)]
    assert verdicts[0] == verdicts[1]
