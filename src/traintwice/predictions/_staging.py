"""A temporary table of DuckDB that is filled from one input, at once or when it is known which columns are needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from traintwice.errors import BadInput
from traintwice.predictions._columns import Source, family, packs, with_vectors
from traintwice.predictions._lakehouse import Batches
from traintwice.predictions._layout import check_options, recognise
from traintwice.predictions._reading import Reading
from traintwice.predictions._session import Session, identifier

STREAM = re.compile(r"reading the stream registered as '\w+' failed: (IOError: )?(\[libpq\] Execution error \[\w+\]: )?")
"""What DuckDB writes before the message of a library whose batches it reads."""

Scan: TypeAlias = Callable[[Sequence[str] | None], AbstractContextManager[str]]
"""From the columns that are needed, None for all columns and no rows, to a FROM item that has them."""


@dataclass(frozen=True)
class Table:
    """A temporary table to be filled from one input."""

    session: Session
    name: str
    named: frozenset[str]

    def on_demand(self, scan: Scan, source: str) -> Source:
        """An empty table of rows that are elsewhere; `Source.fill` replaces it by a table with the rows of some columns."""
        with scan(None) as relation:
            empty = self.staged(relation, source, rows=False)

        def fill(columns: Collection[str]) -> Source:
            wanted = [part for column in columns for part in empty.packed.get(column, (column,))]
            self.session.rows(f"DROP TABLE {self.name}", doing=f"{source}: reading")
            with scan(wanted) as relation:
                return self.staged(relation, source, only=frozenset(wanted))

        return replace(empty, fill=fill)

    def staged(
        self,
        relation: str,
        source: str,
        *,
        prefix: str = "",
        untyped: bool = False,
        rows: bool = True,
        only: frozenset[str] | None = None,
    ) -> Source:
        """The table, copied from a relation: it spills under the memory limit, and any range of its rows can be read again.

        Args:
            prefix: comes before the names of columns in the relation.
            untyped: every cell is text.
            rows: copy the rows too.
            only: copy these columns only.
        """
        doing = f"{source}: reading"
        described = self.session.rows(f"DESCRIBE SELECT * FROM {relation}", doing=f"{source}: reading the columns")
        types = {row[0].removeprefix(prefix): row[1] for row in described if only is None or row[0] in only}
        lists = packs({n: t for n, t in types.items() if untyped or family(t) in ("integer", "number")}, set(types), self.named)
        inside = {column for columns in lists.values() for column in columns}
        cells = {name: identifier(prefix + name) for name in types if name not in inside}
        for name, columns in lists.items():
            entries = [identifier(prefix + column) for column in columns]
            cells[name] = f"[{', '.join(f'TRY_CAST({e} AS DOUBLE)' if untyped else e for e in entries)}]"
        select = ", ".join(f"{cell} AS {identifier('c_' + name)}" for name, cell in cells.items())
        limit = "" if rows else " LIMIT 0"
        self.session.rows(f"CREATE TABLE {self.name} AS SELECT {select} FROM {relation}{limit}", doing=doing)
        return self.source(source, lists)

    def source(self, name: str, packed: Mapping[str, tuple[str, ...]] | None = None) -> Source:
        """The filled table."""
        described = self.session.rows(f"DESCRIBE {self.name}", doing=f"{name}: reading the columns")
        types = {row[0].removeprefix("c_"): row[1] for row in described}
        return with_vectors(Source(name, self.name, "rowid", types, prefix="c_", packed=packed or {}))


@contextmanager
def stream(table: Table, name: str, batches: Batches, columns: Sequence[str] | None) -> Iterator[str]:
    """Batches of Arrow under a name that DuckDB knows."""
    relation = f"stream_{table.name}"
    with batches(columns) as rows:
        refuse_repeated(rows.schema.names, name)
        table.session.connection.register(relation, rows)
        try:
            yield relation
        except BadInput as error:
            told = STREAM.sub("", str(error))
            raise BadInput(" ".join(told.split()), without_cells=error.without_cells) from None
        finally:
            table.session.connection.unregister(relation)


@dataclass(frozen=True)
class _Stream:
    """The rows of a Polars or Arrow table, or of a relation of DuckDB, by the Arrow C stream."""

    table: Any

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


@contextmanager
def registered(session: Session, item: Any, name: str, table: str) -> Iterator[str]:
    """A Python object under a name that DuckDB knows."""
    relation = f"object_{table}"
    item = _Stream(item) if hasattr(item, "__arrow_c_stream__") and not hasattr(item, "iloc") else item
    with session.explained(f"{name}: reading a {type(item).__name__}"):
        try:
            session.connection.register(relation, item)
        except session.errors:  # a pandas view of every second row, or of all rows in reverse, must be copied
            if not hasattr(item, "copy"):
                raise
            session.connection.register(relation, item.copy())
    try:
        yield relation
    finally:
        session.connection.unregister(relation)


def refuse_repeated(names: Sequence[str], source: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        before = seen.setdefault(name.casefold(), name)
        if before != name:
            raise BadInput(f"{source}: the columns {before!r} and {name!r} differ only in case; rename one")
    if len(seen) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        raise BadInput(f"{source}: {names.count(name)} columns are named {name!r}; rename all but one")


def filled(sources: Sequence[Source], reading: Reading) -> list[Source]:
    """The sources with the rows of the columns that are needed; see `Source.fill`.

    Raises:
        BadInput: what a column means is not certain, a column is in no file, or the rows cannot be read.
    """
    if all(source.fill is None for source in sources):
        return list(sources)
    layouts = [recognise(source, reading) for source in sources]
    check_options(sources, reading)
    found = []
    for source, layout in zip(sources, layouts, strict=True):
        if source.fill is not None:
            one = (layout.label, layout.weight, layout.draws, layout.time)
            several = (*layout.id, *layout.columns, *layout.by, *layout.show, *layout.cluster)
            needed = dict.fromkeys(source.computed.get(c, ("", c, ""))[1] for c in (*several, *one) if c is not None)
            whole = source.fill(needed)
            computed = {name: source.columns[name] for name in source.computed}
            source = replace(source, columns={**source.columns, **whole.columns, **computed}, fill=None)
        found.append(source)
    return found
