"""Adapters to other libraries; each is imported by its own name and needs an extra."""

__all__: list[str] = []
