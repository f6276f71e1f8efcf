"""Gates: budgets on the difference between two models, their files, and their self-test on retrains."""

from traintwice.gates._gate import gate, gate_file
from traintwice.gates._gate_file import GateFile, read_gate
from traintwice.gates._gate_types import Budget, Check, GateResult, SelfTest
from traintwice.gates._self_test import self_test

__all__ = ["Budget", "Check", "GateFile", "GateResult", "SelfTest", "gate", "gate_file", "read_gate", "self_test"]
