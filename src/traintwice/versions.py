"""Versions of the packages that results depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


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
