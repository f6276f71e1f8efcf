"""Gates: budgets on the difference between two models, their files, and their self-test on retrains."""

from traintwice.gates._budgets import Budget, Check, GateResult, SelfTest
from traintwice.gates._gate import gate, gate_file, self_test
from traintwice.gates._gate_files import GateFile, read_gate

__all__ = ["Budget", "Check", "GateFile", "GateResult", "SelfTest", "gate", "gate_file", "read_gate", "self_test"]
