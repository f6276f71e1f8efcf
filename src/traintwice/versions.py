"""Versions of the packages that results depend on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

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
    found = {"python": platform.python_version()}
    for package in ("traintwice", "torch", "numpy", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def diagnostic() -> dict[str, str]:
    """What a report of a bug needs: Python, the system, the processors, and the installed packages that are used.

    >>> "python" in diagnostic() and "duckdb" in diagnostic()
    True
    """
    found = {"python": platform.python_version(), "system": platform.platform()}
    found["processors"] = f"{os.cpu_count()} x {platform.processor() or platform.machine()}"
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
