"""DuckDB's types in the few families that matter here; the types of untyped text follow from every cell."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from traintwice.predictions.session import Session
from traintwice.predictions.sources import Source
from traintwice.predictions.sql import identifier

Family = Literal["integer", "number", "text", "boolean", "time", "list", "other"]

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}


def family(type_name: str) -> Family:
    """The family of a type.

    >>> family("UBIGINT"), family("DECIMAL(18,3)"), family("ENUM('a', 'b')"), family("FLOAT[10]"), family("STRUCT(a INTEGER)")
    ('integer', 'number', 'text', 'list', 'other')
    """
    if type_name.endswith("]"):
        return "list"
    if type_name in INTEGERS:
        return "integer"
    if type_name in ("FLOAT", "DOUBLE") or type_name.startswith("DECIMAL"):
        return "number"
    if type_name in ("VARCHAR", "UUID") or type_name.startswith("ENUM("):
        return "text"
    if type_name == "BOOLEAN":
        return "boolean"
    return "time" if type_name.startswith(("DATE", "TIME")) else "other"


def is_list_of_numbers(type_name: str) -> bool:
    """True for a list or fixed-size list of numbers, not nested.

    >>> is_list_of_numbers("DOUBLE[]"), is_list_of_numbers("VARCHAR[]"), is_list_of_numbers("FLOAT[][3]")
    (True, False, False)
    """
    element = re.sub(r"\[\d*\]$", "", type_name)
    return element != type_name and family(element) in ("number", "integer")


def list_length(type_name: str) -> int | None:
    """Length of a fixed-size list type; None where rows may differ.

    >>> list_length("FLOAT[10]"), list_length("FLOAT[]")
    (10, None)
    """
    match = re.search(r"\[(\d+)\]$", type_name)
    return int(match[1]) if match else None


def with_types_from_cells(session: Session, source: Source) -> Source:
    """An untyped source with a type for each column in which every cell can be written without loss.

    A column is of integers only where every cell is an integer in its usual spelling, so 007 stays text and differs
    from 7; of numbers where every cell is a number; of truth values where every cell is true or false.
    """
    names = list(source.columns)
    tests = []
    for i, name in enumerate(names):
        cell = identifier(name)
        whole = f"regexp_full_match({cell}, '-?(0|[1-9][0-9]{{0,37}})')"
        tests += [
            f"bool_and({whole}) AS whole{i}",
            f"bool_and(TRY_CAST({cell} AS BIGINT) IS NOT NULL) FILTER ({cell} IS NOT NULL) AS small{i}",
            f"bool_and(TRY_CAST({cell} AS DOUBLE) IS NOT NULL) FILTER ({cell} IS NOT NULL) AS number{i}",
            f"bool_and(lower({cell}) IN ('true', 'false')) AS truth{i}",
        ]
    found = session.record(f"SELECT {', '.join(tests)} FROM {source.relation}", doing=f"{source.name}: reading the cells")

    def type_of(i: int) -> str:
        if found[f"whole{i}"]:
            return "BIGINT" if found[f"small{i}"] else "HUGEINT"
        return "DOUBLE" if found[f"number{i}"] else "BOOLEAN" if found[f"truth{i}"] else "VARCHAR"

    return replace(source, columns={name: type_of(i) for i, name in enumerate(names)})
