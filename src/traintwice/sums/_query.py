"""The query that makes a table of sums, for seven dialects of SQL, and the same query run by PostgreSQL or Spark.

The two tables are put below each other and grouped by id, which is a full join that also sees repeated ids. Rows become cells (one for
each combination of state, groups and cluster), cells become slices, and with clusters the slices of each cluster are multiplied
and added. The last step writes one line for each sum. No step is read twice, so that no engine computes one twice. An engine that has the
tables runs it where they are: no row leaves the engine, only the lines of the result.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Unpack, get_args

from traintwice._addresses import is_address
from traintwice._database import Session, brief, literal
from traintwice._typed import typed
from traintwice.compare._inputs import check_thresholds
from traintwice.errors import BadInput, hidden, require, unknown
from traintwice.predictions._inputs import one_model
from traintwice.predictions._layout import Recognised, recognise_all
from traintwice.predictions._opening import open_source
from traintwice.predictions._reading import Reading, reading_of
from traintwice.predictions._source import family
from traintwice.predictions._tables import DatabaseTable
from traintwice.sums._format import ADDED, COLUMNS, KEY, VERSION, Description, Kind
from traintwice.sums._lines_sql import LineSteps
from traintwice.sums._read import Sums, read
from traintwice.sums._rows_sql import RowSteps, select

Dialect = Literal["duckdb", "postgres", "spark", "bigquery", "snowflake", "databricks", "trino"]
Sides = Literal["old", "new", "both"]

SIDES = {"old": (0,), "new": (1,), "both": (0, 1)}
ROLES = ("label", "weight", "by", "cluster")
PLAIN = re.compile(r"[A-Za-z_]\w*")

LAYOUTS = {"score": "score", "columns": "probs", "votes": "pred"}
WITHOUT = ("draws", "time", "positive", "logits", "regression", "correct", "answer", "normalise", "scorer", "filter", "task")
"""Options of reading that the query does not have."""


@typed
def query(
    old: str,
    new: str,
    *,
    dialect: Dialect | str,
    id: str | Sequence[str],
    score: str | None = None,
    probs: Sequence[str] | None = None,
    pred: str | None = None,
    label: str | None = None,
    weight: str | None = None,
    by: str | Sequence[str] = (),
    cluster: str | Sequence[str] = (),
    thresholds: Sequence[float] = (),
    classes: Sequence[str] | None = None,
    columns_of: Sides = "old",
) -> str:
    r"""The query whose result `read` takes: a few hundred lines, however many rows the tables have.

    Args:
        old, new: the tables of the old and the new model, or queries in parentheses, as the dialect writes them.
        dialect: "duckdb", "postgres", "spark", "bigquery", "snowflake", "databricks" or "trino".
        id: the columns that together name a row.
        score, probs, pred: one of the three: the column of the probability of class 1; one column for each class; the column of
            predicted labels.
        label, weight, by, cluster: columns of the rows.
        thresholds: decisions "probability of class 1 >= t" of a binary model.
        classes: names of the classes in their order, where labels are text or truth values; without them labels are whole numbers from 0.
        columns_of: the tables that have label, weight, by and cluster: "old", "new" or "both", which must then agree.
    Returns:
        SQL text. Names of columns are quoted (in Snowflake only where they are not plain words, or come in double quotes).
    Raises:
        BadInput: options that exclude each other, or a table that is not one. MissingExtra: SQLGlot is not installed.
    Source:
        Ours; docs/concepts/sums.md defines the lines of the result.
    Example:
        >>> text = query("analytics.pred_v1", "analytics.pred_v2", dialect="snowflake", id="id", score="p", label="y")
        >>> "analytics.pred_v1" in text, "UNION ALL" in text
        (True, True)
    """
    return query_of(
        (old, new), dialect=dialect, id=id, score=score, probs=probs, pred=pred, label=label, weight=weight, by=by, cluster=cluster,
        thresholds=thresholds, classes=classes, sides=dict.fromkeys(ROLES, SIDES.get(columns_of, ())),
    )  # fmt: skip


def query_of(
    tables: tuple[str, str],
    *,
    dialect: str,
    id: str | Sequence[str],
    score: str | None,
    probs: Sequence[str] | None,
    pred: str | None,
    label: str | None,
    weight: str | None,
    by: str | Sequence[str],
    cluster: str | Sequence[str],
    thresholds: Sequence[float],
    classes: Sequence[str] | None,
    sides: dict[str, tuple[int, ...]],
    names: tuple[str, str] | None = None,
    exact: bool = False,
) -> str:
    """As `query`, with the tables that have each role, or "by COLUMN".

    The result names the tables by ``names``, or by what they are. With ``exact``, names of columns may have quotes.
    """
    require("sqlglot", extra="sql", purpose="a query of sums")
    if dialect not in get_args(Dialect):
        raise unknown("dialect", str(dialect), get_args(Dialect))
    if not all(sides.values()):
        raise BadInput("columns_of (--in): expected old, new or both")
    given = {"score": score, "probs": probs, "pred": pred}
    kinds = [name for name, value in given.items() if value]
    if len(kinds) != 1:
        raise BadInput(
            f"got {' and '.join(kinds) or 'none'} of score, probs and pred; pass the one that says what the tables hold"
        )
    kind: Kind = "score" if score else "probs" if probs else "pred"
    kept: set[str] = set()
    asked = {"id": id, kind: given[kind], "label": label, "weight": weight, "by": by, "cluster": cluster}
    columns = {name: _names(name, value, kept, exact) for name, value in asked.items()}
    if not columns["id"]:
        raise BadInput("id: name the column, or the columns, that name a row")
    if kind == "probs" and len(columns[kind]) < 2:
        raise BadInput("probs: got one column, expected one for each class; pass the probability of class 1 as score")
    count = {"score": 2, "probs": len(columns[kind]), "pred": None}[kind]
    texts = None if classes is None else tuple(map(str, classes))
    if texts is not None and (len(set(texts)) < max(len(texts), 2) or count not in (None, len(texts))):
        raise BadInput(f"classes: got {len(texts)} names ({', '.join(texts)}), expected a name of its own for each class")
    count = len(texts) if texts is not None else count
    at = check_thresholds(thresholds)
    if at and (count != 2 or kind == "pred"):
        raise BadInput("thresholds: need the probabilities of two classes")
    one = {name: found[0] if found else None for name, found in columns.items() if name in ("label", "weight")}
    places = {f"table_{m}": _table_of(text, dialect, f"t{m}") for m, text in enumerate(tables)}
    description = Description(
        kind, count, texts, *(names or tables), id=columns["id"], predictions=columns[kind], label=one["label"],
        weight=one["weight"], by=columns["by"], cluster=columns["cluster"], thresholds=tuple(dict.fromkeys(at)),
    )  # fmt: skip
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(_text(description, sides), read="duckdb")
    for found in tree.find_all(exp.Identifier) if dialect == "snowflake" else ():
        if found.quoted and found.name not in kept and PLAIN.fullmatch(found.name):
            found.set("quoted", False)  # Snowflake reads it in upper case, as it created it
    for name, table in places.items():
        next(t for t in tree.find_all(exp.Table) if t.name == name).replace(table)
    return tree.sql(dialect=dialect, pretty=True)


def _names(option: str, given: Any, kept: set[str], exact: bool) -> tuple[str, ...]:
    """Names of columns; those in double quotes keep their case, and are added to ``kept``."""
    listed = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    found = []
    for name in listed:
        if not isinstance(name, str) or not name or "\x00" in name:
            raise BadInput(f"{option}: got {name!r}, expected the name of a column")
        quoted = not exact and len(name) > 2 and name[0] == name[-1] == '"'
        found.append(name[1:-1].replace('""', '"') if quoted else name)
        kept.update(found[-1:] if quoted else ())
    if len(set(found)) < len(found):
        raise BadInput(f"{option}: a column is named twice ({', '.join(found)})")
    return tuple(found)


def _text(description: Description, sides: dict[str, tuple[int, ...]]) -> str:
    """The query in DuckDB's SQL, with the tables table_0 and table_1."""
    of_rows = RowSteps(description, sides)
    of_lines = LineSteps(description, of_rows.conflicts())
    parts = ", ".join(f"{name} AS ({sql})" for name, sql in (of_rows.steps() | of_lines.steps()).items())
    head = dict.fromkeys(KEY, "CAST(NULL AS VARCHAR)") | dict.fromkeys(ADDED, "CAST(NULL AS DOUBLE)")
    head |= {"kind": "'format'", "n": f"CAST({VERSION} AS BIGINT)", "value": literal(description.text())}
    return f"WITH {parts} SELECT {select({name: head[name] for name in COLUMNS})} UNION ALL {of_lines.lines()}"


def _table_of(text: str, dialect: str, alias: str) -> Any:
    """A table, or a query in parentheses, of a dialect; anything else is refused."""
    import sqlglot
    from sqlglot import exp

    try:
        (tree,) = sqlglot.parse(f"SELECT 1 FROM {text}", read=dialect)
    except (sqlglot.errors.SqlglotError, ValueError):
        tree = None
    found = None if tree is None else tree.find(exp.From)
    whole = tree is not None and {name for name, value in tree.args.items() if value} <= {"kind", "expressions", "from", "from_"}
    table = found.this if found is not None and whole else None
    if not isinstance(table, exp.Table | exp.Subquery) or table.args.get("joins") or not isinstance(tree, exp.Select):
        shown = text if len(text) <= 80 else f"{text[:80]}…"
        raise BadInput(f"{shown!r} is not a table of the dialect {dialect}; expected a name, or a query in parentheses")
    return table if table.alias else exp.alias_(table, alias, table=True)


@typed
def collect(old: Any, new: Any, *, on: Any, thresholds: Sequence[float] = (), **reading: Unpack[Reading]) -> Sums:
    r"""Sums over the rows of two models, made by the engine that has the rows.

    Args:
        old, new: for PostgreSQL two tables or queries of one database, as addresses ``postgresql://USER@HOST/DATABASE?table=NAME``; for
            Spark names of tables, paths of Parquet files, or DataFrames of the session.
        on: "database", "spark" (the active session, or a new one) or a ``SparkSession``.
        thresholds: decisions "probability of the positive class >= t".
        reading: as in `traintwice.open_predictions`; columns are recognised in the same way.
    Returns:
        `Sums`, for `diff_sums` and `gate_sums`.
    Raises:
        BadInput: the tables are not in one database, a column is not certain, or the engine refuses; the message names it.
    Source:
        Ours.
    """
    wanted = reading_of(reading)
    if refused := [f"--{name.replace('_', '-')}" for name in (*WITHOUT, "show", "by_position") if wanted.get(name)]:
        raise BadInput(f"{', '.join(refused)}: not for sums, which an engine makes from plain columns; leave out --on")
    if isinstance(on, str) and on == "database":
        models = [one_model(item) if isinstance(item, str) else item for item in (old, new)]
        if away := [str(item) for item in models if not isinstance(item, DatabaseTable)]:
            raise BadInput(
                f"{away[0]}: expected a table of PostgreSQL, as postgresql://USER@HOST/DATABASE?table=NAME; leave out --on"
            )
        first, second = (item for item in models if isinstance(item, DatabaseTable))
        if first.database != second.database:
            raise BadInput(f"{first} and {second} are in two databases; leave out --on, so that their rows are compared here")
        return _summed((first, second), "postgres", (first.relation, second.relation), thresholds, wanted, first.answer)
    session = _spark(on)
    relations = _spark_relations(session, (old, new))
    empty = []
    for name, relation in relations:
        with _spark_explained(name):
            empty.append(session.sql(f"SELECT * FROM {relation} LIMIT 0").toArrow())

    def answer(sql: str) -> Any:
        with _spark_explained(" and ".join(name for name, _ in relations)):
            return session.sql(sql).toArrow()

    names = (relations[0][0], relations[1][0])
    tables = (relations[0][1], relations[1][1])
    return _summed(tuple(empty), "spark", tables, thresholds, wanted, answer, names)


def _summed(
    models: tuple[Any, ...],
    dialect: str,
    tables: tuple[str, str],
    thresholds: Sequence[float],
    wanted: Reading,
    answer: Callable[[str], Any],
    names: tuple[str, str] | None = None,
) -> Sums:
    """Recognise the columns of the models without reading a row, and run the query."""
    session = Session(wanted["memory"])
    try:
        sources = [open_source(session, model, number) for number, model in enumerate(models)]
        files = recognise_all(session, sources, wanted)
    finally:
        session.close()
    layouts = [layout for _, layout in files]
    first, second = layouts
    for source, layout in files:
        if layout.kind not in LAYOUTS or layout.columns != first.columns or layout.id != first.id:
            told = f"{source.name}: {layout.describe()}; sums are made of columns of the same names in both tables, a score, one"
            raise BadInput(
                f"{told} probability for each class, or predicted labels. Leave out --on, or make views with such columns"
            )
    _check_classes(files, wanted)
    sides: dict[str, tuple[int, ...]] = dict.fromkeys(ROLES, (0, 1))
    for role in ("label", "weight", "cluster"):
        sides[role] = tuple(m for m, layout in enumerate(layouts) if getattr(layout, role)) or (0,)
    for column in wanted["by"]:
        sides[f"by {column}"] = tuple(m for m, layout in enumerate(layouts) if column in layout.by)
    predicted: Any = first.columns if first.kind == "columns" else first.columns[0]
    held = {LAYOUTS[first.kind]: predicted}
    text = query_of(
        tables, dialect=dialect, id=first.id, score=held.get("score"), probs=held.get("probs"), pred=held.get("pred"),
        label=first.label or second.label, weight=first.weight or second.weight, by=wanted["by"],
        cluster=first.cluster or second.cluster, thresholds=thresholds, classes=wanted["classes"] or first.class_names, sides=sides,
        names=names or (str(models[0]), str(models[1])), exact=True,
    )  # fmt: skip
    return read(answer(text))


def _check_classes(files: Sequence[Recognised], wanted: Reading) -> None:
    """Raise `BadInput` for labels that are text or truth values, where nothing names the classes."""
    for source, layout in files:
        cells = [layout.label, *(layout.columns if layout.kind == "votes" else ())]
        for column in cells if not (wanted["classes"] or layout.class_names) else ():
            if column is not None and family(source.columns[column]) in ("text", "boolean"):
                kind = source.columns[column].lower()
                raise BadInput(f"{source.name}: labels in {column!r} are {kind}; pass --classes with their names in order")


def _spark(on: Any) -> Any:
    """The session of Spark."""
    if not isinstance(on, str) or on != "spark":
        if not (hasattr(on, "sql") and hasattr(on, "read")):
            shown = repr(on) if isinstance(on, str) else type(on).__name__
            raise BadInput(f"on: got {shown}, expected 'database', 'spark' or a SparkSession")
        return on
    require("pyspark", extra="spark", purpose="--on spark")
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    return SparkSession.getActiveSession() or SparkSession.builder.appName("traintwice").getOrCreate()


def _spark_relations(session: Any, models: Sequence[Any]) -> list[tuple[str, str]]:
    """The name of each model, and its FROM item."""
    found = []
    for number, model in enumerate(models):
        if hasattr(model, "createOrReplaceTempView"):
            view = f"traintwice_model_{number}"
            model.createOrReplaceTempView(view)
            found.append((f"table {number + 1}", view))
            continue
        text = os.fspath(model)
        is_path = is_address(text) or "/" in text or text.endswith((".parquet", ".pq"))
        found.append((text, f"parquet.`{text.replace('`', '``')}`" if is_path else text))
    return found


@contextmanager
def _spark_explained(name: str) -> Iterator[None]:
    """Turn an error of Spark into `BadInput`."""
    try:
        yield
    except Exception as reason:  # errors of Spark have several classes
        if not type(reason).__module__.startswith(("pyspark", "py4j")):
            raise
        text = re.sub(r"\s*SQLSTATE:.*|\s*JVM stacktrace:.*", "", brief(reason), flags=re.DOTALL)
        shown = hidden(f" ({text.rstrip('. ')})")
        raise BadInput(f"{name}: Spark cannot read it{shown}") from None
