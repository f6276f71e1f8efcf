"""Ways to train R networks, each in a module of its own; `benchmarks/engine.py` runs them side by side.

A rival is a function from a `Case` to a function without arguments that trains R networks for the case's steps. Whatever is done once
(importing, compiling, choosing the fastest optimiser) is done before that function is returned.
"""
