"""Sums over the rows of two models: a query for a warehouse, and the comparison from its few hundred lines."""

from traintwice.sums._diff import diff_sums, gate_sums
from traintwice.sums._query import collect, query
from traintwice.sums._read import Sums, read

__all__ = ["Sums", "collect", "diff_sums", "gate_sums", "query", "read"]
