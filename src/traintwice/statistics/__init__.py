"""Intervals and tests: plain numbers in, plain numbers out."""
