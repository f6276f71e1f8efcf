"""What `store` does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from traintwice.recipes import Recipe
from traintwice.specs import key_of
from traintwice.study import Damage, Experiment, Store


def needed(store: Store) -> dict[str, list[str]]:
    """Digest to the rows that need it, "study: row", over all studies of a store; a row needs its earlier models too."""
    rows: dict[str, list[str]] = {}
    for name in store.studies():
        experiment = Experiment.from_dict(store.study(name) or {}, source=f"{store.path}: study {name}")
        data = experiment.data.load()
        for row, recipe in experiment.rows.items():
            for part, of in _with_earlier(recipe, f"{name}: {row}"):
                rows.setdefault(key_of(part, data.digest, experiment.seed), []).append(of)
    return rows


def _with_earlier(recipe: Recipe, of: str) -> Iterator[tuple[Recipe, str]]:
    yield recipe, of
    for earlier in recipe.earlier():
        yield from _with_earlier(earlier.recipe, f"{of} (earlier model)")


def print_store(console: Console, path: Path, *, prune: bool, dry_run: bool, as_json: bool) -> None:
    """List the replicas of a store by recipe, or delete what no study needs.

    Raises:
        StoreError: there is no store, or it cannot be written.
    """
    store = Store(path, create=False)
    rows = needed(store)
    if prune:
        freed, what = _prune(store, rows, dry_run=dry_run)
        if as_json:
            print(json.dumps({"schema": 1, "removed": what, "freed_bytes": freed, "dry_run": dry_run}))
        else:
            for line in what:
                console.print(f"{'would remove' if dry_run else 'removed'} {line}", highlight=False, markup=False)
            console.print(f"{_size(freed)} {'to be freed' if dry_run else 'freed'}", highlight=False)
        return
    listed = [_entry(store, key, rows.get(key, [])) for key in store.digests()]
    if as_json:
        print(json.dumps({"schema": 1, "store": str(path), "recipes": listed}, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("recipe", "replicas", "size", "needed by"):
        table.add_column(title, justify="left" if title in ("recipe", "needed by") else "right")
    for entry in listed:
        by = ", ".join(entry["rows"]) or "no study (--prune deletes it)"
        damaged = f" ({entry['damaged']} damaged)" if entry["damaged"] else ""
        table.add_row(entry["key"][:12], f"{entry['replicas']}{damaged}", _size(entry["bytes"]), Text(by))
    console.print(table)
    total = sum(entry["bytes"] for entry in listed)
    console.print(f"\n{path}: {_size(total)} in {len(listed)} recipes", highlight=False, markup=False)


def _entry(store: Store, key: str, rows: list[str]) -> dict[str, Any]:
    numbers = store.replicas(key)
    damaged = sum(isinstance(store.record(key, m), Damage) for m in numbers)
    return {"key": key, "rows": rows, "replicas": len(numbers) - damaged, "damaged": damaged, "bytes": store.size(key)}


def _prune(store: Store, rows: dict[str, list[str]], *, dry_run: bool) -> tuple[int, list[str]]:
    freed, what = 0, []
    for key in store.digests():
        if key not in rows:
            freed += store.size(key)
            what.append(f"{len(store.replicas(key))} replicas of {key[:12]}, which no study needs")
            if not dry_run:
                store.remove(key)
            continue
        for replica in store.replicas(key):
            found = store.record(key, replica)
            if isinstance(found, Damage):
                freed += 0 if dry_run else store.remove_replica(key, replica)
                what.append(f"replica {replica} of {key[:12]}: {found.reason}")
    for leftover in list(store.leftovers()):
        freed += leftover.stat().st_size
        what.append(f"{leftover.name}, left by an interrupted write")
        if not dry_run:
            leftover.unlink(missing_ok=True)
    return freed, what


def _size(count: int) -> str:
    """Bytes as a person reads them.

    >>> _size(4_300_000)
    '4.3 MB'
    """
    if count < 1000:
        return f"{count} bytes"
    value, unit = count / 1000, 0
    while value >= 1000 and unit < 3:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {('kB', 'MB', 'GB', 'TB')[unit]}"
