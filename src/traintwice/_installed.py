"""What is installed: versions of the packages that results depend on, and what other packages add by entry points."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import TypeVar

PACKAGES = (
    "numpy",
    "scipy",
    "duckdb",
    "torch",
    "pandas",
    "polars",
    "pyarrow",
    "scikit-learn",
    "altair",
    "traintwice-reproduction",
)
"""Packages that `diagnostic` names."""


def versions() -> dict[str, str]:
    """Package name to version, for records and reports; packages that are not installed are left out.

    >>> sorted(versions())[:2]
    ['numpy', 'python']
    """
    installed = {package: _installed(package) for package in ("traintwice", "torch", "numpy", "scikit-learn")}
    return {"python": platform.python_version()} | {package: found for package, found in installed.items() if found is not None}


def diagnostic() -> dict[str, str]:
    """What a report of a bug needs: Python, the system, the processors, and the installed packages that are used.

    >>> "python" in diagnostic() and "duckdb" in diagnostic()
    True
    """
    found = {"python": platform.python_version(), "system": platform.platform()}
    found["processors"] = f"{os.cpu_count()} x {platform.processor() or platform.machine()}"
    return found | {package: _installed(package) or "not installed" for package in PACKAGES}


def _installed(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def extras(requirements: Iterable[str]) -> dict[str, list[str]]:
    """Name of each extra to the packages that it adds, from the requirements of an installed distribution.

    >>> extras(["numpy>=1.26", "torch>=2.6; extra == 'torch'", 'filelock; extra == "torch"'])
    {'torch': ['torch', 'filelock']}
    """
    found: dict[str, list[str]] = {}
    for requirement in requirements:
        marked = re.match(r"([\w.-]+).*;.*extra == ['\"]([\w-]+)['\"]", requirement)
        if marked is not None:
            found.setdefault(marked[2], []).append(marked[1])
    return found


def missing_of(packages: Iterable[str]) -> list[str]:
    """Those packages that are not installed.

    >>> missing_of(["numpy", "no-such-package"])
    ['no-such-package']
    """
    return [package for package in packages if _installed(package) is None]


__version__ = _installed("traintwice") or "unknown"


def made_by() -> dict[str, str]:
    """Version of this package and the time in UTC, for outputs; ``SOURCE_DATE_EPOCH`` (seconds since 1970) replaces the time.

    >>> sorted(made_by())
    ['date', 'traintwice']
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() and len(epoch) < 12 else datetime.now(UTC)
    return {"traintwice": __version__, "date": now.strftime("%Y-%m-%dT%H:%M:%SZ")}


T = TypeVar("T")


def added(group: str, read: Callable[[EntryPoint], T], *, trouble: str) -> Iterator[tuple[str, T | None, str]]:
    """For each entry point of a group: its package, what ``read`` makes of it, and a message instead where that raises."""
    for point in entry_points(group=group):
        package = point.dist.name if point.dist else "unknown"
        try:
            found = read(point)
        except Exception as error:
            yield package, None, f"package {package}: {trouble} from {point.value}: {type(error).__name__}: {error}"
        else:
            yield package, found, ""
