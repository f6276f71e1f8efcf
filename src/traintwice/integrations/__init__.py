"""Thin adapters to other people's libraries, each imported by its own name and needing an extra."""
