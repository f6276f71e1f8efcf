"""The script in examples/ runs, and what it exports predicts alone."""

import io
import runpy
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "own_loop.py"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    folder, said, errors = tmp_path_factory.mktemp("exported"), io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(errors), warnings.catch_warnings():
        warnings.simplefilter("default")  # as for a user, who sees them on standard error
        patch.setattr(sys, "argv", [SCRIPT.name, "--epochs", "6", "--out", str(folder)])
        with torch.random.fork_rng():
            runpy.run_path(str(SCRIPT), run_name="__main__")
    assert errors.getvalue() == ""
    return said.getvalue(), folder


def test_is_short():
    lines = SCRIPT.read_text().split('"""', 2)[2].splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 40


def test_says_what_it_did(exported):
    said, _ = exported
    assert said.count("these predict the same") == 2
    assert said.count("fourth power of the logits") == 1


@pytest.mark.parametrize("name", ["co-distilled", "anti-distilled"])
def test_exported_model_predicts_with_no_torch(exported, name):
    import onnxruntime

    x, y = load_digits(return_X_y=True)
    session = onnxruntime.InferenceSession(exported[1] / name / "model.onnx", providers=["CPUExecutionProvider"])
    probs = session.run(None, {session.get_inputs()[0].name: x[1200:].astype(np.float32) / 16})[0]
    assert probs.sum(-1) == pytest.approx(1, abs=1e-5)
    assert (probs.argmax(-1) == y[1200:]).mean() > 0.8


def test_one_network_is_kept_of_a_pair_and_both_of_an_ensemble(exported):
    from safetensors.numpy import load_file

    networks = {
        name: len(load_file(exported[1] / name / "model.safetensors")) // 4 for name in ("co-distilled", "anti-distilled")
    }
    assert networks == {"co-distilled": 1, "anti-distilled": 2}
