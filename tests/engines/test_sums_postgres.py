"""Sums made in PostgreSQL: the numbers of the rows, to 1e-12, and no row leaves the server."""

import sys
from pathlib import Path

import pytest
from adbc_driver_postgresql import dbapi

sys.path.insert(0, str(Path(__file__).parents[1] / "sums"))

from models import assert_equal, model
from two_models import SECRET

from traintwice import diff
from traintwice.errors import BadInput
from traintwice.sums import collect, diff_sums, query, read

CASES = {
    "score": ({"probs": "p", "thresholds": [0.5, 0.3]}, "score", 2),
    "clusters": ({"probs": "p", "cluster": "user", "thresholds": [0.5]}, "score", 2),
    "weights": ({"probs": "p", "weight": "w", "cluster": "user"}, "score", 2),
    "four classes": ({"probs": ["p_0", "p_1", "p_2", "p_3"]}, "probs", 4),
    "labels": ({"probs": "yhat", "cluster": ["user", "segment"]}, "pred", 5),
}


@pytest.fixture(scope="module")
def tables(postgres):
    """The names of the tables of each case."""
    with dbapi.connect(postgres) as connection, connection.cursor() as cursor:
        for case, (_, kind, classes) in CASES.items():
            for seed in (1, 2):
                cursor.adbc_ingest(f"{case} v{seed}", model(seed, kind, classes), mode="create")
        connection.commit()
    return {case: [f'{postgres}?table="{case} v{seed}"' for seed in (1, 2)] for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_every_number_is_that_of_the_rows(tables, case):
    options, kind, classes = CASES[case]
    options = {"id": "id", "label": "y", "by": ["country", "segment"]} | options
    found = diff_sums(collect(*tables[case], on="database", **options), min_support=20)
    rows = [model(seed, kind, classes) for seed in (1, 2)]
    assert_equal(found, diff(*rows, min_support=20, details=True, which=["log_loss"], **options), expected_measures={"churn"})
    assert found.alignment.files == tuple(tables[case])


def test_the_printed_query(postgres, tables):
    """What `traintwice sums` prints, run by another client."""
    names = ['"score v1"', '"score v2"']
    text = query(
        *names,
        dialect="postgres",
        id="id",
        score="p",
        label="y",
        by=["country", "segment"],
        thresholds=[0.5, 0.3],
        columns_of="both",
    )
    with dbapi.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        found = read(cursor.fetch_arrow_table())
    assert (
        found.lines
        == collect(*tables["score"], on="database", id="id", label="y", by=["country", "segment"], thresholds=[0.5, 0.3]).lines
    )


def test_the_command_line(postgres, tables, traintwice):
    status, output, errors = traintwice(
        "diff", *tables["clusters"], "--on", "database", "--id", "id", "--label", "y", "--cluster", "user"
    )
    assert (status, errors) == (0, "")
    assert "churn" in output
    status, output, errors = traintwice(
        "gate", *tables["score"], "--on", "database", "--id", "id", "--label", "y", "--max", "churn@country=1%"
    )
    assert (status, errors) == (1, "")
    assert SECRET not in output


BAD = {
    "labels that are text": ("SELECT id, p, 'spam' AS y FROM pred_v1", "labels in 'y' are varchar; pass --classes"),
    "no column of ids": ("SELECT p, y FROM pred_v1", "no column has a usual name of an id"),
    "another column": ("SELECT id, p AS score, y FROM pred_v1", "sums are made of columns of the same names in both tables"),
    "ids of another type": ("SELECT 'r' || id AS id, p, y FROM pred_v1", "PostgreSQL cannot read it .*UNION types"),
    "missing ids": ("SELECT * FROM pred_v1 WHERE id > 2", "3 of 400 ids of .* are (missing from|extra)"),
    "repeated ids": ("SELECT id / 2 AS id, p, y FROM pred_v1", "200 ids are on more than one of its 400 rows"),
    "a score above one": ("SELECT id, p * 2 AS p, y FROM pred_v1", r"rows have a score in 'p' outside \[0, 1\]"),
    "NaN": (
        "SELECT id, CASE WHEN id = 7 THEN 'NaN' ELSE p END AS p, y FROM pred_v1",
        "1 of 400 rows have a probability that is NaN",
    ),
    "another label": ("SELECT id, p, 1 - y AS y FROM pred_v1", "400 of 400 rows have another label in 'y'"),
    "a label that is no class": (
        "SELECT id, p, 5 - y AS y FROM pred_v1",
        "400 of 400 rows have a label in 'y' that is not one of",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(postgres, case):
    sql, message = BAD[case]
    with pytest.raises(BadInput, match=message) as caught:
        diff_sums(collect(f"{postgres}?query={sql}", f"{postgres}?table=pred_v2", on="database"))
    assert SECRET not in str(caught.value)


def test_two_databases(postgres, local):
    with pytest.raises(BadInput, match="are in two databases"):
        collect(f"{postgres}?table=pred_v1", f"{postgres.replace('/postgres', '/template1')}?table=pred_v2", on="database")
    with pytest.raises(BadInput, match="expected a table of PostgreSQL"):
        collect(f"{postgres}?table=pred_v1", str(local / "new.parquet"), on="database")
    with pytest.raises(BadInput, match="--time: not for sums"):
        collect(f"{postgres}?table=pred_v1", f"{postgres}?table=pred_v2", on="database", time="day")
