"""Tables and queries of a PostgreSQL server: the same numbers as from files, only the needed columns, no password in a message."""

import duckdb
import numpy as np
import pytest
from adbc_driver_postgresql import dbapi
from two_models import SECRET, churn, compare, model

from traintwice.errors import BadInput
from traintwice.predictions import open_predictions


@pytest.fixture(scope="module")
def run(postgres):
    """Run statements in the database."""

    def run(*statements):
        with dbapi.connect(postgres) as connection, connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)
            connection.commit()

    return run


def test_tables(postgres, expected):
    found = compare(f"{postgres}?table=pred_v1", f"{postgres}?table=public.pred_v2")
    assert churn(found) == churn(expected)
    assert found.alignment.files == (f"{postgres}?table=pred_v1", f"{postgres}?table=public.pred_v2")


def test_a_query_and_a_file(postgres, expected, local):
    found = compare(f"{postgres}?query=SELECT * FROM pred_v1 WHERE id >= 0;", local / "new.parquet")
    assert churn(found) == churn(expected)


def test_a_password_in_the_address(postgres, expected, local, monkeypatch):
    monkeypatch.delenv("PGPASSWORD")
    with_password = postgres.replace("ann@", f"ann:{SECRET}@")
    found = compare(f"{with_password}?table=pred_v1", local / "new.parquet")
    assert churn(found) == churn(expected)
    assert found.alignment.files[0] == f"{postgres}?table=pred_v1"
    assert SECRET not in repr(found) + str(found.to_dict())


def test_only_the_needed_columns(postgres, run, expected, local):
    """A column that cannot be read at all is not read."""
    run(
        "CREATE FUNCTION fails(bigint) RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'was read'; END $$",
        "CREATE VIEW careful AS SELECT *, fails(id) AS note FROM pred_v1",
    )
    found = compare(f"{postgres}?table=careful", local / "new.parquet")
    assert churn(found) == churn(expected)
    with pytest.raises(BadInput, match=r"careful: reading: ERROR: was read"):
        compare(f"{postgres}?table=careful", local / "new.parquet", show="note")


IDS = {
    "numeric": "id::numeric",
    "numeric(12,0)": "id::numeric(12,0)",
    "numeric(20,4)": "id::numeric(20,4)",
    "uuid": "md5(id::text)::uuid",
    "text": "'row ' || id",
    "char": "lpad(id::text, 8, '0')::char(8)",
    "smallint": "id::smallint",
    "timestamp": "timestamp '2026-01-01' + id * interval '1 second'",
    "timestamptz": "timestamptz '2026-01-01Z' + id * interval '1 second'",
    "date": "date '2000-01-01' + id::int",
    "json": "json_build_object('id', id)",
    "larger than a bigint": "id::numeric + 1e20",
}


@pytest.mark.parametrize("case", IDS)
def test_types_of_ids(postgres, run, case, expected):
    names = [f'"ids of {case} {number}"' for number in (1, 2)]
    for number, name in enumerate(names, 1):
        table = f"SELECT {IDS[case]} AS id, p::numeric AS p, y::numeric(3,0) AS y, country FROM pred_v{number}"
        run(f"CREATE TABLE {name} AS {table} ORDER BY md5(id::text || {number})")
    assert churn(compare(*(f"{postgres}?table={name}" for name in names))) == churn(expected)


def test_numeric_ids_match_those_of_files(postgres, run, local, expected):
    run("CREATE TABLE numeric_ids AS SELECT id::numeric AS id, p, y, country FROM pred_v1")
    assert churn(compare(f"{postgres}?table=numeric_ids", local / "new.parquet")) == churn(expected)


def test_lists_of_probabilities(postgres, run):
    run("CREATE TABLE lists AS SELECT id, ARRAY[p, 1 - p] AS probs, ARRAY[p, 1 - p]::numeric[] AS exact FROM pred_v1")
    with (
        open_predictions(f"{postgres}?table=lists", probs="probs") as one,
        open_predictions(f"{postgres}?table=lists", probs="exact") as other,
    ):
        assert one.read().probs.shape == (1, 400, 2)
        np.testing.assert_allclose(one.read().probs, other.read().probs, rtol=1e-15)


def test_many_rows_in_batches(postgres, run):
    run(
        "CREATE TABLE many AS SELECT g AS id, (g % 97) / 97.0::float8 AS p, repeat('x', 100) AS note FROM generate_series(1, 300000) g"
    )
    with open_predictions(f"{postgres}?table=many", memory="100MB") as found:
        assert found.summary.rows == 300_000


BAD = {
    "no table": ("?table=none", 'PostgreSQL cannot read it .*relation "none" does not exist'),
    "no parameter": ("", "expected one table= or query= in the address"),
    "both": ("?table=a&query=SELECT 1", "expected one table= or query= in the address"),
    "no rows": ("?query=SELECT * FROM pred_v1 WHERE false", "has columns but no rows"),
    "not a query": ("?query=DELETE FROM pred_v1", "syntax error"),
    "a query that writes": ("?query=SELECT *, nextval('counter') FROM pred_v1", "read-only transaction"),
    "two statements": ("?query=SELECT 1) AS q; DROP TABLE pred_v1; --", "multiple commands|syntax error"),
    "a table that is a statement": ('?table=pred_v1"; DROP TABLE pred_v1; --', "does not exist|syntax error"),
    "no permission": ("?table=hidden", "permission denied for (table|schema)"),
    "no id": ("?query=SELECT p, y FROM pred_v1", "no column has a usual name of an id"),
    "no such column": ("?table=pred_v1", "no column 'planet' .named by --by"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_addresses(postgres, run, local, case):
    run(
        "CREATE SEQUENCE IF NOT EXISTS counter",
        "CREATE TABLE IF NOT EXISTS hidden AS SELECT * FROM pred_v1",
        f"DO $$ BEGIN CREATE ROLE bob LOGIN PASSWORD '{SECRET}'; EXCEPTION WHEN duplicate_object THEN END $$",
        "GRANT SELECT ON pred_v1 TO bob",
    )
    where, message = BAD[case]
    address = (postgres.replace("ann@", "bob@") if case == "no permission" else postgres) + where
    with pytest.raises(BadInput, match=message) as caught:
        compare(address, local / "new.parquet", by="planet" if case == "no such column" else "country")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(duckdb.sql(model(1)).fetchall()) == 400
    with open_predictions(f"{postgres}?table=pred_v1") as found:
        assert found.summary.rows == 400


def test_servers_that_refuse(postgres, local):
    wrong = postgres.replace("ann@", "ann:wrong-password@")
    with pytest.raises(BadInput, match=r"password authentication failed .*the password comes from PGPASSWORD") as caught:
        compare(f"{wrong}?table=pred_v1", local / "new.parquet")
    assert "wrong-password" not in str(caught.value)
    with pytest.raises(BadInput, match=r"PostgreSQL cannot read it .*refused"):
        compare("postgresql://ann@127.0.0.1:1/postgres?table=pred_v1", local / "new.parquet")


def test_rows_have_no_order(postgres, local):
    with pytest.raises(BadInput, match="the rows of a table have no order"):
        compare(f"{postgres}?table=pred_v1", local / "new.parquet", by_position=True)


def test_the_command_line(postgres, local, traintwice, monkeypatch):
    monkeypatch.delenv("PGPASSWORD")
    with_password = postgres.replace("ann@", f"ann:{SECRET}@")
    for table, expected_status in (("pred_v1", 0), ("none", 2)):
        status, output, errors = traintwice("diff", f"{with_password}?table={table}", local / "new.parquet")
        assert status == expected_status, errors
        assert SECRET not in output + errors
        assert "Traceback" not in errors
