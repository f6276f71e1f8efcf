"""Train twice, predict the same: measure how much retrained models disagree, and train models that disagree less.

Importing this package loads neither torch nor DuckDB. The names below are its public face; `traintwice.metrics` has the single
measures.
"""
