"""The query of sums: it means the same in every dialect, names are names and never code, and options that cannot be are refused."""

import re
from typing import get_args

import duckdb
import pytest
import sqlglot
from models import model

from traintwice._database import identifier
from traintwice.errors import BadInput, UnknownName
from traintwice.sums import query, read
from traintwice.sums._query import Dialect

OPTIONS = {
    "id": ["id", "day"],
    "score": "p",
    "label": "y",
    "by": ["country"],
    "cluster": "user",
    "weight": "w",
    "thresholds": [0.5],
}
TABLES = ("analytics.pred_v1", "(SELECT * FROM pred WHERE day = '2026-01-02')")


@pytest.fixture(scope="module")
def tables():
    """A database with both tables of `OPTIONS`, and the lines of the query in DuckDB's own SQL."""
    with duckdb.connect() as connection:  # of their own: both tables stay in it
        connection.execute("PRAGMA disable_optimizer")
        connection.execute("CREATE SCHEMA analytics")
        for seed, name in ((1, "analytics.pred_v1"), (2, "pred")):
            connection.register("rows_of_one", model(seed, rows=100, labelled="all"))
            connection.execute(f"CREATE TABLE {name} AS SELECT *, '2026-01-02' AS day FROM rows_of_one")
        text = query(*TABLES, dialect="duckdb", **OPTIONS)
        yield connection, read(connection.sql(text).to_arrow_table()).lines


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_every_dialect_means_the_same(dialect, tables):
    """The text is read back in its dialect; its translation into DuckDB's SQL gives the lines of DuckDB's own query."""
    text = query(*TABLES, dialect=dialect, **OPTIONS)
    (tree,) = sqlglot.parse(text, read=dialect, error_level=sqlglot.ErrorLevel.RAISE)
    names = {table.sql(dialect=dialect) for table in tree.find_all(sqlglot.exp.Table)}
    assert any(t.startswith("analytics.pred_v1 AS t0") for t in names)
    assert text.count("pred_v1") == 2  # each table is read once; the other mention is the description
    quoted = {"bigquery": "`country`", "spark": "`country`", "databricks": "`country`", "snowflake": "(country"}
    assert quoted.get(dialect, '"country"') in text
    connection, expected = tables
    found = read(connection.sql(tree.sql(dialect="duckdb", copy=False)).to_arrow_table()).lines
    assert found.keys() == expected.keys()
    for key, numbers in expected.items():
        assert found[key] == pytest.approx(numbers, rel=1e-12), key


def test_names_in_snowflake_fold_unless_they_are_quoted():
    text = query("a", "b", dialect="snowflake", id='"Row Id"', score='"p"', label="Label", by="with space")
    assert '"Row Id"' in text
    assert '"p"' in text
    assert "CAST(Label AS" in text
    assert '"with space"' in text


def test_names_are_never_code():
    names = {"id": 'i"; DROP TABLE x; --', "score": "p' OR 1=1", "by": ["group by \\ ü", "a.b"], "label": "rows"}
    group, dotted = names["by"]
    cells = {names["id"]: "i", names["score"]: "0.2 + (i % 3) / 5", group: "'it''s'", dotted: "i % 2", "rows": "i % 2"}
    columns = ", ".join(f"{value} AS {identifier(name)}" for name, value in cells.items())
    with duckdb.connect() as connection:
        connection.execute(f'CREATE TABLE "sel""ect" AS SELECT {columns} FROM range(9) t(i)')
        text = query('"sel""ect"', '(SELECT * FROM "sel""ect")', dialect="duckdb", **names)
        found = read(connection.sql(text).to_arrow_table())
    assert found.rows == 9
    assert found.description.by == tuple(names["by"])
    assert found.description.id == (names["id"],)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dialect": "oracle"}, "no dialect named 'oracle'"),
        ({"score": None}, "got none of score, probs and pred"),
        ({"pred": "yhat"}, "got score and pred of score, probs and pred"),
        ({"score": None, "probs": ["p_1"]}, "probs: got one column"),
        ({"id": []}, "id: name the column"),
        ({"id": "", "cluster": ()}, "id: got '', expected the name of a column"),
        ({"by": ["a", "a"]}, "by: a column is named twice"),
        ({"classes": ["a", "b", "c"]}, "classes: got 3 names"),
        ({"classes": ["a", "a"]}, "classes: got 2 names"),
        ({"score": None, "pred": "yhat"}, "thresholds: need the probabilities of two classes"),
        ({"thresholds": [1.5]}, "thresholds: got 1.5"),
        ({"columns_of": "neither"}, "columns_of .--in.: expected old, new or both"),
        ({"old": "a, b"}, "'a, b' is not a table of the dialect duckdb"),
        ({"old": "a JOIN b USING (id)"}, "is not a table"),
        ({"old": "a; DROP TABLE b"}, "is not a table"),
        ({"old": "a WHERE x"}, "is not a table"),
        ({"old": ""}, "is not a table"),
        ({"old": "(SELECT"}, "is not a table"),
    ],
)
def test_options_that_cannot_be(options, message):
    given = {"old": "a", "new": "b", "dialect": "duckdb"} | OPTIONS | options
    with pytest.raises((BadInput, UnknownName), match=message):
        query(given.pop("old"), given.pop("new"), **given)


def test_no_step_is_read_twice():
    """Engines that put a step in place of its name would compute it again."""
    text = query("a", "b", dialect="trino", **OPTIONS)
    for step in set(re.findall(r"\btt_\w+(?= AS \()", text)):
        assert len(re.findall(rf"FROM {step}\b", text)) == 1
