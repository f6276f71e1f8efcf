"""Tests of studies by name run command lines."""

from command_line import _command_built_once, traintwice  # noqa: F401  (fixtures)
