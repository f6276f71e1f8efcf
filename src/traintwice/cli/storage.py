"""What `store` does."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from traintwice.study import Damage, Experiment, Store


def needed(store: Store) -> dict[str, list[str]]:
    """Digest to the rows that need it, "study: row", over all studies of a store."""
    rows: dict[str, list[str]] = {}
    for name in store.studies():
        experiment = Experiment.from_dict(store.study(name) or {}, source=f"{store.path}: study {name}")
        data = experiment.data.load()
        for row in experiment.rows:
            rows.setdefault(experiment.key(row, data), []).append(f"{name}: {row}")
    return rows


def print_store(console: Console, path: Path, *, prune: bool, as_json: bool) -> None:
    """List the replicas of a store by recipe, or delete what no study needs.

    Raises:
        StoreError: there is no store, or it cannot be written.
    """
    store = Store(path, create=False)
    rows = needed(store)
    if prune:
        freed, what = _prune(store, rows)
        if as_json:
            print(json.dumps({"schema": 1, "removed": what, "freed_bytes": freed}))
        else:
            for line in what:
                console.print(f"removed {line}", highlight=False)
            console.print(f"{_size(freed)} freed", highlight=False)
        return
    listed = [
        {"key": key, "rows": rows.get(key, []), "replicas": len(store.replicas(key)), "bytes": store.size(key)}
        for key in store.digests()
    ]
    if as_json:
        print(json.dumps({"schema": 1, "store": str(path), "recipes": listed}, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("recipe", "replicas", "size", "needed by"):
        table.add_column(title, justify="left" if title in ("recipe", "needed by") else "right")
    for entry in listed:
        wanted = entry["rows"]
        by = ", ".join(wanted) if isinstance(wanted, list) and wanted else "no study (--prune deletes it)"
        table.add_row(str(entry["key"])[:12], str(entry["replicas"]), _size(int(str(entry["bytes"]))), by)
    console.print(table)
    console.print(f"\n{path}: {_size(sum(store.size(key) for key in store.digests()))} in {len(listed)} recipes", highlight=False)


def _prune(store: Store, rows: dict[str, list[str]]) -> tuple[int, list[str]]:
    freed, what = 0, []
    for key in store.digests():
        if key not in rows:
            freed += store.size(key)
            what.append(f"{len(store.replicas(key))} replicas of {key[:12]}, which no study needs")
            store.remove(key)
            continue
        for replica in store.replicas(key):
            found = store.record(key, replica)
            if isinstance(found, Damage):
                freed += store.remove_replica(key, replica)
                what.append(f"replica {replica} of {key[:12]}: {found.reason}")
    for leftover in list(store.leftovers()):
        freed += leftover.stat().st_size
        leftover.unlink()
        what.append(f"{leftover.name}, left by an interrupted write")
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
