"""Intervals and tests: plain numbers in, plain numbers out. For use within this package."""

__all__: list[str] = []
