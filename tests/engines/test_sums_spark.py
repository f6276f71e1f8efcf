"""Sums made by a local Spark: the numbers of the rows, to 1e-12, and only the lines of the result come to the driver."""

import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sums"))

from models import assert_equal, model

from traintwice import diff
from traintwice.errors import BadInput
from traintwice.sums import collect, diff_sums, query, read

CASES = {
    "score": ({"probs": "p", "thresholds": [0.5, 0.3]}, "score", 2),
    "clusters": ({"probs": "p", "cluster": "user", "thresholds": [0.5]}, "score", 2),
    "weights": ({"probs": "p", "weight": "w"}, "score", 2),
    "four classes": ({"probs": ["p_0", "p_1", "p_2", "p_3"]}, "probs", 4),
}


INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
"""For 400 rows, Spark would compile Java for most of the time; one test lets it."""


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A session of Spark on this machine."""
    if shutil.which("java") is None:
        pytest.skip("no Java is installed, which Spark needs")
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        **INTERPRETED,
        "spark.sql.warehouse.dir": str(folder),
        "spark.local.dir": str(folder),
        "spark.driver.memory": "1g",
    }
    builder = SparkSession.builder.master("local[2]").appName("traintwice tests")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The Parquet files of each case."""
    folder = tmp_path_factory.mktemp("of_spark")
    found = {}
    for case, (_, kind, classes) in CASES.items():
        found[case] = [folder / f"{case} {seed}.parquet" for seed in (1, 2)]
        for seed, path in enumerate(found[case], start=1):
            pq.write_table(model(seed, kind, classes), path)
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_number_is_that_of_the_rows(spark, paths, case):
    options, kind, classes = CASES[case]
    options = {"id": "id", "label": "y", "by": ["country", "segment"]} | options
    found = diff_sums(collect(*map(str, paths[case]), on=spark, **options), min_support=20)
    rows = [model(seed, kind, classes) for seed in (1, 2)]
    assert_equal(found, diff(*rows, min_support=20, details=True, which=["log_loss"], **options), expected_measures={"churn"})


def test_no_row_comes_to_the_driver(spark, paths, monkeypatch):
    """All that is collected is the schema of both tables and the lines of the result."""
    from pyspark.sql.classic.dataframe import DataFrame

    collected, to_arrow = [], DataFrame.toArrow

    def seen(self):
        table = to_arrow(self)
        collected.append(table.num_rows)
        return table

    monkeypatch.setattr(DataFrame, "toArrow", seen)
    for name in ("collect", "toPandas", "toLocalIterator"):
        monkeypatch.setattr(DataFrame, name, None)
    frames = [spark.read.parquet(str(path)) for path in paths["clusters"]]
    collect(*frames, on=spark, id="id", label="y", cluster="user")
    assert collected[:2] == [0, 0]
    assert len(collected) == 3
    assert collected[2] < 250


def test_the_printed_query_and_tables(spark, paths):
    """With the Java that Spark generates."""
    lines_of_collect = collect(*map(str, paths["score"]), on=spark, id="id", label="y").lines
    for name in INTERPRETED:
        spark.conf.unset(name)
    for name, path in zip(("pred_v1", "pred_v2"), paths["score"], strict=True):
        spark.read.parquet(str(path)).createOrReplaceTempView(name)
    text = query("pred_v1", "pred_v2", dialect="spark", id="id", score="p", label="y", columns_of="both")
    compiled = read(spark.sql(text).toArrow()).lines
    for name, value in INTERPRETED.items():
        spark.conf.set(name, value)
    assert compiled.keys() == lines_of_collect.keys()
    for key, numbers in compiled.items():
        assert lines_of_collect[key] == pytest.approx(numbers, rel=1e-12), key


def test_the_command_line(spark, paths, traintwice):
    """The session that runs is the one that is used."""
    status, output, errors = traintwice("diff", *paths["score"], "--on", "spark", "--id", "id", "--label", "y", "--quiet")
    assert (status, errors) == (0, "")
    assert "churn" in output


def test_bad_tables(spark, paths):
    old, new = (spark.read.parquet(str(path)) for path in paths["score"])
    with pytest.raises(BadInput, match=r"nowhere: Spark cannot read it .*nowhere"):
        collect("nowhere", "pred_v2", on=spark)
    with pytest.raises(BadInput, match=r"1 of 400 ids of table 1 are missing from table 2"):
        diff_sums(collect(old, new.where("id > 0"), on=spark, id="id", label="y"))
    with pytest.raises(BadInput, match=r"rows have a score in 'p' outside \[0, 1\]"):
        diff_sums(collect(old, new.selectExpr("id", "p + 1 AS p", "y"), on=spark, id="id", label="y"))
    with pytest.raises(BadInput, match=r"400 of 400 rows have a probability that is NaN"):
        diff_sums(collect(old, new.selectExpr("id", "double('NaN') AS p", "y"), on=spark, id="id", label="y"))
    with pytest.raises(BadInput, match="on: got 'flink', expected 'database', 'spark' or a SparkSession"):
        collect(old, new, on="flink")
    dropped = diff_sums(collect(old, new.where("id > 0"), on=spark, id="id", label="y"), on_missing="drop")
    assert dropped.alignment.dropped == (1, 0)
