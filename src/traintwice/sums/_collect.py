"""The query of sums run where the tables are: PostgreSQL, or Spark. No row leaves the engine, only the lines of the result."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Unpack

from traintwice._addresses import is_address
from traintwice._database import Session, brief
from traintwice._typed import typed
from traintwice.errors import BadInput, require
from traintwice.predictions._inputs import one_model
from traintwice.predictions._layout import Recognised, recognise_all
from traintwice.predictions._opening import open_source
from traintwice.predictions._reading import Reading, reading_of
from traintwice.predictions._source import family
from traintwice.predictions._tables import DatabaseTable
from traintwice.sums._query import ROLES, query_of
from traintwice.sums._read import Sums, read

KINDS = {"score": "score", "columns": "probs", "votes": "pred"}
WITHOUT = ("draws", "time", "positive", "logits", "regression", "correct", "answer", "normalise", "scorer", "filter", "task")
"""Options of reading that the query does not have."""


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
        if layout.kind not in KINDS or layout.columns != first.columns or layout.id != first.id:
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
    held = {KINDS[first.kind]: predicted}
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
        raise BadInput(
            f"{name}: Spark cannot read it ({text.rstrip('. ')})", without_cells=f"{name}: Spark cannot read it"
        ) from None
