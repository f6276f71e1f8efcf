"""Lists of the k most likely tokens bound what full distributions would show."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

import log_files
from traintwice.errors import BadInput
from traintwice.logs import compare_tokens


def models(responses=3, places=4, vocabulary=30, *, seed=0, sharp=3.0, move=0.5):
    """Log probabilities of two models, and tokens that the base recorded."""
    rng = np.random.default_rng(seed)
    logits = sharp * rng.normal(size=(responses, places, vocabulary))
    tokens = rng.integers(0, vocabulary, (responses, places))
    return log_softmax(logits, axis=2), log_softmax(logits + move * rng.normal(size=logits.shape), axis=2), tokens


def compared(folder, p, q, tokens, k=5, *, least=-40.0, **more):
    paths = [log_files.top_responses(folder / name, x, tokens, k, **more) for name, x in (("a", p), ("b", q))]
    return compare_tokens(*paths, least=least)


@pytest.mark.parametrize("chat", [True, False])
@given(seed=st.integers(0, 10**6), k=st.integers(1, 30), sharp=st.sampled_from([0.3, 3.0]), move=st.sampled_from([0.0, 0.1, 2.0]))
@settings(max_examples=60, deadline=None)
def test_bounds_hold(tmp_path_factory, chat, seed, k, sharp, move):
    p, q, tokens = models(seed=seed, sharp=sharp, move=move)
    found = compared(tmp_path_factory.mktemp("x"), p, q, tokens, k, chat=chat)
    kl = (np.exp(p) * (p - q)).sum(axis=2).ravel()
    at = tokens[..., None]
    delta = (np.exp(np.take_along_axis(q, at, 2)) - np.exp(np.take_along_axis(p, at, 2))).ravel()
    assert (found.kl_low <= kl + 1e-6).all()
    assert (kl <= found.kl_high + 1e-6).all()
    assert (found.delta_low <= delta + 1e-9).all()
    assert (delta <= found.delta_high + 1e-9).all()
    assert found.same_top.tolist() == (p.argmax(2) == q.argmax(2)).ravel().tolist()
    assert found.document.tolist() == np.repeat(np.arange(3), 4).tolist()
    if k == 30:
        np.testing.assert_allclose(found.kl_low, kl, atol=1e-5)
        assert found.exact
        assert not found.assumed


def test_more_tokens_bound_more_closely(tmp_path):
    p, q, tokens = models()
    width = [(f.kl_high - f.kl_low).mean() for f in (compared(tmp_path, p, q, tokens, k) for k in (2, 5, 10, 20))]
    assert width == sorted(width, reverse=True)
    assert width[-1] < 0.2 * width[0]


def test_upper_bound_without_an_assumption_is_infinite(tmp_path):
    found = compared(tmp_path, *models(), least=None)
    assert np.isinf(found.kl_high).all()
    assert not found.assumed
    assert compared(tmp_path, *models(), least=-30).assumed == "no token of b has a log probability below -30"


def test_tokens_after_the_first_that_differs_are_left_out(tmp_path):
    p, q, tokens = models()
    others = tokens.copy()
    others[1, 1] = (others[1, 1] + 1) % 30
    paths = log_files.top_responses(tmp_path / "a", p, tokens, 5), log_files.top_responses(tmp_path / "b", q, others, 5)
    found = compare_tokens(*paths)
    assert found.document.tolist() == [0] * 4 + [1] * 2 + [2] * 4
    assert found.left_out == 2


def test_responses_of_a_batch_are_paired_by_id(tmp_path):
    p, q, tokens = models()
    base = log_files.top_responses(tmp_path / "a", p, tokens, 5, custom_ids=["x", "y", "z"])
    other = log_files.top_responses(tmp_path / "b", q[::-1], tokens[::-1], 5, custom_ids=["z", "y", "x"])
    np.testing.assert_array_equal(compare_tokens(base, other).kl_low, compared(tmp_path, p, q, tokens).kl_low)
    log_files.top_responses(tmp_path / "b", q, tokens, 5, custom_ids=["x", "y", "w"])
    base = log_files.top_responses(tmp_path / "a", p, tokens, 5, custom_ids=["x", "y", "z"])
    with pytest.raises(BadInput, match=r"no response for line 3 of .*a \(first: custom_id 'z 0'\)"):
        compare_tokens(base, tmp_path / "b")


def response(*top, value=-0.5):
    entry = {"token": "x", "logprob": value, "top_logprobs": [{"token": t, "logprob": x} for t, x in top]}
    return {"choices": [{"logprobs": {"content": [entry]}}]}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (response(("x", -0.5), ("z", -3.0), ("y", -2.0)), r"line 1 has top_logprobs that are not in descending order"),
        (response(("x", 0.6), ("y", 0.2)), r"line 1 has a log probability of 0.6. Expected logarithms of probabilities"),
        (response(("x", -0.5), value=None), r"a log probability of None"),
        (response(("x", -0.1), ("y", -0.2)), r"probabilities add to 1.7"),
        ({"choices": [{"text": "x", "logprobs": None}]}, r"line 1 has no logprobs. Request them"),
        ({"error": "x"}, r"line 1 has no choices"),
        ({"choices": [{"logprobs": {"content": []}}]}, r"no token with top_logprobs in both"),
    ],
)
def test_bad_responses_are_refused(tmp_path, record, words):
    path = tmp_path / "a"
    path.write_text(json.dumps(record))
    with pytest.raises(BadInput, match=words):
        compare_tokens(path, path)


def test_recorded_token_may_be_first(tmp_path):
    path = tmp_path / "a"
    path.write_text(json.dumps(response(("x", -3.0), ("y", -0.2), ("z", -2.5), value=-3.0)))
    assert compare_tokens(path, path).kl_low.tolist() == [0.0]


def test_files_of_other_lengths_are_refused(tmp_path):
    p, q, tokens = models()
    base = log_files.top_responses(tmp_path / "a", p, tokens, 5)
    other = log_files.top_responses(tmp_path / "b", q[:2], tokens[:2], 5)
    with pytest.raises(BadInput, match=r"b: fewer responses than .*a\. Expected a response to each request"):
        compare_tokens(base, other)
