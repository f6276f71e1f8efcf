"""`traintwice tokens`: two language models token by token."""

import json

import numpy as np
import pytest

from log_files import llama_cpp
from traintwice import diff_tokens


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 12, (3, 9))
    logits = rng.normal(size=(3, 9 - 1 - 9 // 2, 12)) * 2
    paths = [tmp_path / "base.kld", tmp_path / "other.kld"]
    for path, noise in zip(paths, (0.0, 0.2), strict=True):
        llama_cpp(path, logits + noise * rng.normal(size=logits.shape), tokens)
    return [str(path) for path in paths]


def test_a_table_and_json(pair, traintwice):
    status, out, _ = traintwice("tokens", *pair)
    assert status == 0
    assert "Both models find the same token most likely" in out
    assert "mean KL divergence" in out
    assert "new documents" in out
    status, out, _ = traintwice("tokens", *pair, "--json")
    found = json.loads(out)
    assert found["tokens"] == diff_tokens(*pair).tokens
    assert [m["name"] for m in found["measures"]][:2] == ["same_top", "kl_mean"]
    assert found["measures"][1]["at_least"]["value"] == pytest.approx(diff_tokens(*pair)["kl_mean"].at_least.value)


def test_a_missing_file_is_one_error(pair, traintwice):
    status, _, err = traintwice("tokens", pair[0], "nothing.kld")
    assert status == 2
    assert "nothing.kld: no such file" in err


def test_a_measure_that_is_not_there(pair):
    with pytest.raises(KeyError, match=r"no measure named 'kl_meen'\. Did you mean 'kl_mean'"):
        diff_tokens(*pair)["kl_meen"]
