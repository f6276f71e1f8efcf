"""Tables of sums as files, several added up, tables that are none, and rows that are refused in the words for files."""

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from models import DATABASE, assert_same, database, model, sums_of, text_of

from traintwice import diff
from traintwice.errors import BadInput, TraintwiceError
from traintwice.sums import diff_sums, read


@pytest.fixture(scope="module")
def models():
    return model(1), model(2)


@pytest.fixture(scope="module")
def lines(models):
    return sums_of(*models, score="p", label="y", by="country", cluster="segment", thresholds=[0.5])


@pytest.mark.parametrize("format", ["parquet", "csv", "json"])
def test_files(lines, format, tmp_path):
    path = tmp_path / f"result.{format}"
    duckdb.sql("SELECT * FROM lines").write_parquet(str(path)) if format == "parquet" else duckdb.sql(f"COPY lines TO '{path}'")
    assert_same(diff_sums(path).to_dict(), diff_sums(lines).to_dict())


def test_names_in_capitals(lines):
    assert_same(diff_sums(lines.rename_columns([n.upper() for n in lines.column_names])).to_dict(), diff_sums(lines).to_dict())


def test_parts_add_up(models, tmp_path):
    """Two parts that no cluster is in both of are the whole."""
    old, new = models
    for part in (0, 1):
        parts = [table.filter(pc.equal(table["segment"], part)) for table in models]
        duckdb.register("part", sums_of(*parts, score="p", label="y", by="country", cluster=["user", "segment"]))
        duckdb.sql(f"COPY (FROM part) TO '{tmp_path}/part_{part}.parquet'")
    found = diff_sums(str(tmp_path / "part_*.parquet"), min_support=20)
    expected = diff(
        old, new, id="id", label="y", probs="p", by="country", cluster=["user", "segment"], min_support=20, details=True
    )
    assert_same(found.to_dict()["slices"], expected.to_dict()["slices"])
    assert_same(found["churn"].to_dict(), expected["churn"].to_dict())
    assert "sums of 2 parts" in found.alignment.layouts[0]
    with pytest.raises(BadInput, match=r"sums about different things cannot be added \(thresholds: none and 0.5\)"):
        read(
            tmp_path / "part_0.parquet",
            sums_of(old, new, score="p", label="y", by="country", cluster=["user", "segment"], thresholds=[0.5]),
        )
    with pytest.raises(BadInput, match=r"label: y and none"):
        read(tmp_path / "part_0.parquet", sums_of(old, new, score="p", by="country", cluster=["user", "segment"]))
    with pytest.raises(BadInput, match="named twice"):
        read(tmp_path / "part_0.parquet", tmp_path / "part_0.parquet")


def changed(lines, where, **cells):
    """The lines with other cells in the first line that meets a condition of SQL."""
    with DATABASE.cursor() as connection:
        connection.register("lines", lines)
        connection.execute("CREATE TEMPORARY TABLE t AS SELECT row_number() OVER () AS place, * FROM lines")
        for column, value in cells.items():
            connection.execute(f"UPDATE t SET {column} = {value} WHERE place = (SELECT min(place) FROM t WHERE {where})")
        return connection.sql("SELECT * EXCLUDE (place) FROM t").to_arrow_table()


SUM = "kind = 'sum' AND part = 'by'"
BAD = {
    "another version": (lambda x: changed(x, "kind = 'format'", n=2), "sums of version 2, expected 1"),
    "a version inside": (
        lambda x: changed(x, "kind = 'format'", value="replace(value, '\"version\": 1', '\"version\": 7')"),
        "sums of another version",
    ),
    "another format": (lambda x: changed(x, "kind = 'format'", value="'{}'"), "does not describe sums"),
    "another key": (
        lambda x: changed(x, "kind = 'format'", value="replace(value, 'weight', 'mass')"),
        "keys or values that version 1 does not have",
    ),
    "no format": (lambda x: x.filter(pc.not_equal(x["kind"], "format")), "has no line of kind 'format'"),
    "no column": (lambda x: x.drop_columns("state"), "has no column state; expected"),
    "another column": (lambda x: x.append_column("day", pa.nulls(len(x))), r"has other columns \(day\)"),
    "a file of predictions": (lambda x: model(1), "has no column kind, part, name, value"),
    "a negative count": (lambda x: changed(x, SUM, n=-3), "has n = -3, .* finite and not negative"),
    "half a count": (lambda x: changed(x.set_column(6, "n", x["n"].cast(pa.float64())), SUM, n=0.5), "has n = 0.5"),
    "an infinite sum": (lambda x: changed(x, SUM, total="'inf'"), "finite and not negative"),
    "no number": (lambda x: changed(x, SUM, total="NULL"), "finite and not negative"),
    "text": (lambda x: x.set_column(7, "total", pa.array(["many"] * len(x))), "a cell of the column total is not a number"),
    "another state": (lambda x: changed(x, SUM, state="'2/0/0'"), "cannot be 'sum by country .*2/0/0'"),
    "another group": (lambda x: changed(x, SUM, name="'planet'"), "cannot be 'sum by planet"),
    "another threshold": (
        lambda x: changed(x, "kind = 'sum' AND part = 'threshold'", value="'0.25'"),
        "cannot be 'sum threshold 0.25",
    ),
    "another kind": (lambda x: changed(x, SUM, kind="'mean'"), "cannot be 'mean by"),
    "a slice missing": (
        lambda x: x.filter(pc.fill_null(pc.not_equal(x["value"], "BR"), True)),
        "lines are missing: .* rows in the lines of 'by country', 400 in all",
    ),
    "no checks": (lambda x: x.filter(pc.not_equal(x["kind"], "check")), "lines are missing: no check"),
    "no clusters": (lambda x: x.filter(pc.not_equal(x["kind"], "units")), "lines are missing: the number of clusters"),
    "too many rows": (
        lambda x: changed(x, "kind = 'check' AND part = 'old' AND state = 'rows'", n=3),
        "400 rows are compared, and the tables have 3",
    ),
    "nothing": (lambda x: x.slice(0, 0), "has no line of kind 'format'"),
}


@pytest.mark.parametrize("case", BAD)
def test_tables_that_are_no_sums(lines, case):
    change, message = BAD[case]
    with pytest.raises(BadInput, match=message):
        read(change(lines))


def test_no_input():
    for given in ((), ([],)):
        with pytest.raises(BadInput, match="sums: nothing was given"):
            read(*given)
    with pytest.raises(BadInput, match="no such file"):
        read("nowhere.parquet")


GOOD = """
SELECT i AS id, (i % 10) / 10.0 AS p, 1 - p AS p_0, p AS p_1, i % 2 AS y, 'c' || i % 3 AS c, 1.5 AS w, i % 2 AS v FROM range(30) t(i)
"""


def other(**cells):
    """The rows of `GOOD` with other cells in the rows 4 and 7."""
    return f"SELECT * REPLACE ({', '.join(f'CASE WHEN id IN (4, 7) THEN {v} ELSE {c} END AS {c}' for c, v in cells.items())}) FROM ({GOOD})"


CASES = {
    "a missing score": (other(p="NULL"), {}),
    "NaN": (other(p="'nan'::DOUBLE"), {}),
    "infinite": (other(p="'inf'::DOUBLE"), {}),
    "above one": (other(p="1.25"), {}),
    "a label that is no class": (other(y="3"), {}),
    "a label that is no whole number": (other(y="0.5"), {}),
    "another label": (other(y="1 - y"), {}),
    "no id": (other(id="NULL"), {}),
    "missing ids": (f"{GOOD} WHERE i > 2", {}),
    "more ids": (GOOD.replace("range(30)", "range(33)"), {}),
    "other ids": (GOOD.replace("i AS id", "i + 100 AS id"), {}),
    "repeated ids": (f"{GOOD} UNION ALL {GOOD} WHERE i < 2", {}),
    "a negative weight": (other(w="-1"), {"weight": "w"}),
    "a huge weight": (other(w="1e200"), {"weight": "w"}),
    "no cluster": (other(c="NULL"), {"cluster": "c"}),
    "another cluster": (other(c="'x'"), {"cluster": "c"}),
    "a sum that is not one": (other(p_0="0.9"), {"probs": ["p_0", "p_1"]}),
    "negative": (other(p_1="-0.1"), {"probs": ["p_0", "p_1"]}),
    "no predicted label": (other(v="NULL"), {"pred": "v"}),
    "a negative predicted label": (other(v="-1"), {"pred": "v"}),
    "no rows": (f"{GOOD} WHERE false", {}),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What comparisons by sums and by files of the same tables say."""
    folder = tmp_path_factory.mktemp("tables")

    def said(case, **how):
        sql, options = CASES[case]
        kind = next((k for k in ("probs", "pred") if k in options), "score")
        predicted = options.get(kind, "p")
        shared = {"id": "id", "label": "y"} | {k: v for k, v in options.items() if k != kind}
        for name, of in (("v1", GOOD), ("v2", sql)):
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS {of}")
            connection.execute(f"COPY {name} TO '{folder / name}.parquet'")
        text = text_of(columns_of="both", **{kind: predicted}, **shared)
        lines = connection.sql(text).to_arrow_table()
        found = []
        for compare in (
            lambda: diff_sums(read(lines), **how),
            lambda: diff(folder / "v1.parquet", folder / "v2.parquet", probs=predicted, no_rows=True, **shared, **how),
        ):
            try:
                found.append(compare())
            except TraintwiceError as error:
                found.append(getattr(error, "without_cells", str(error)).partition("; row contents are hidden")[0])
        return [f if not isinstance(f, str) else f.replace(f"{folder}/", "").replace(".parquet", "") for f in found]

    with database() as connection:
        yield said


@pytest.mark.parametrize("case", CASES)
def test_the_words_are_those_for_files(said, case):
    of_sums, of_files = said(case)
    assert of_sums == of_files


@pytest.mark.parametrize("case", ["a missing score", "NaN", "missing ids", "more ids", "repeated ids", "no predicted label"])
def test_rows_that_are_dropped(said, case):
    of_sums, of_files = said(case, on_missing="drop")
    assert of_sums.alignment.dropped == of_files.alignment.dropped
    assert of_sums.alignment.rows == of_files.alignment.rows
    assert of_sums["churn"].to_dict() == of_files["churn"].to_dict()


@pytest.mark.parametrize("case", ["infinite", "above one", "other ids"])
def test_what_cannot_be_dropped(said, case):
    of_sums, of_files = said(case, on_missing="drop")
    assert isinstance(of_sums, str)
    assert of_sums == of_files
