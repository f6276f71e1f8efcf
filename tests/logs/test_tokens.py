"""Token by token: files of llama.cpp against the definitions, and bounds from lists of the k most likely tokens; bad files of both."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

import log_files
from traintwice.errors import BadInput
from traintwice.logs import _tokens as tokens_module
from traintwice.logs import compare_tokens


def texts(chunks=3, context=8, vocabulary=11, *, seed=0, spread=1.0, move=0.3):
    """Logits of two models, and tokens."""
    rng = np.random.default_rng(seed)
    rows = context - 1 - context // 2
    base = rng.normal(size=(chunks, rows, vocabulary)) * spread
    return base, base + move * rng.normal(size=base.shape), rng.integers(0, vocabulary, (chunks, context))


def by_loops(base, other, tokens):
    """KL(base ‖ other), same top and Δp of each token; log probabilities of base up to −16 are left out."""
    first, found = tokens.shape[1] // 2, []
    for chunk in range(len(tokens)):
        for row in range(base.shape[1]):
            p, q = log_softmax(base[chunk, row]), log_softmax(other[chunk, row])
            kl = sum(np.exp(p[v]) * (p[v] - q[v]) for v in range(len(p)) if p[v] > -16)
            token = tokens[chunk, first + row + 1]
            found.append((chunk, kl, int(p.argmax()) == int(q.argmax()), np.exp(q[token]) - np.exp(p[token])))
    return found


@pytest.mark.parametrize(("context", "vocabulary", "block"), [(8, 11, 1 << 22), (9, 12, 25), (512, 3, 100)])
def test_measures_are_those_of_the_definition(tmp_path, monkeypatch, context, vocabulary, block):
    monkeypatch.setattr(tokens_module, "BLOCK", block)
    base, other, tokens = texts(context=context, vocabulary=vocabulary)
    found = compare_tokens(log_files.llama_cpp(tmp_path / "a", base, tokens), log_files.llama_cpp(tmp_path / "b", other, tokens))
    document, kl, same, delta = zip(*by_loops(base, other, tokens), strict=True)
    assert found.exact
    assert found.document.tolist() == list(document)
    assert found.same_top.tolist() == list(same)
    np.testing.assert_allclose(found.kl_low, kl, atol=3e-4)
    np.testing.assert_allclose(found.delta_low, delta, atol=2e-4)
    assert found.kl_high is found.kl_low


def test_log_probabilities_far_below_the_top_count_as_the_smallest_that_is_kept(tmp_path):
    base, other, tokens = texts(vocabulary=4)
    other[:, :, 2] = -50.0
    found = compare_tokens(log_files.llama_cpp(tmp_path / "a", base, tokens), log_files.llama_cpp(tmp_path / "b", other, tokens))
    clipped = np.maximum(other, other.max(axis=2, keepdims=True) - 16)
    kl = [row[1] for row in by_loops(base, clipped, tokens)]
    np.testing.assert_allclose(found.kl_low, kl, atol=3e-4)


def test_a_file_against_itself(tmp_path):
    base, _, tokens = texts()
    base[0, 0] = 1.0  # all logits equal: the scale is 0
    path = log_files.llama_cpp(tmp_path / "a", base, tokens)
    found = compare_tokens(path, path)
    assert not found.kl_low.any()
    assert not found.delta_low.any()
    assert found.same_top.all()


def test_other_texts_and_sizes_are_refused(tmp_path):
    base, other, tokens = texts()
    first = log_files.llama_cpp(tmp_path / "a", base, tokens)
    changed = tokens.copy()
    changed[1, 2] = (changed[1, 2] + 1) % 11
    with pytest.raises(BadInput, match=r"1 of 3 chunks hold another text than in .*a \(first: chunk 1\)"):
        compare_tokens(first, log_files.llama_cpp(tmp_path / "b", other, changed))
    with pytest.raises(BadInput, match=r"2 chunks \(--chunks\), and 3 in"):
        compare_tokens(first, log_files.llama_cpp(tmp_path / "b", other[:2], tokens[:2]))
    with pytest.raises(BadInput, match=r"12 tokens in the vocabulary, and 11 in"):
        compare_tokens(first, log_files.llama_cpp(tmp_path / "b", np.pad(other, ((0, 0), (0, 0), (0, 1))), tokens))
    with pytest.raises(BadInput, match=r"10 tokens in a context \(-c\), and 8"):
        compare_tokens(first, log_files.llama_cpp(tmp_path / "b", *texts(context=10)[1:]))


def test_damaged_files_are_refused(tmp_path):
    base, _, tokens = texts()
    path = log_files.llama_cpp(tmp_path / "a", base, tokens)
    content = path.read_bytes()
    other = tmp_path / "b"

    def expect(changed, words):
        other.write_bytes(changed)
        with pytest.raises(BadInput, match=words):
            compare_tokens(path, other)

    expect(content[:-10], r"Expected \d+ for 3 chunks of 8 tokens: it is cut short")
    expect(content + b"\0", r"it holds something else")
    expect(content[:15], r"the header is damaged")
    expect(content[:8] + struct.pack("<3i", 8, -1, 3) + content[20:], r"the header is damaged")
    expect(content[:20] + struct.pack("<i", 99) + content[24:], r"tokens outside the vocabulary of 11")
    start = 20 + tokens.size * 4
    expect(content[: start + 4] + struct.pack("<f", 3.0) + content[start + 8 :], r"positive or not finite")
    expect(b'{"choices": []}', r"a file of llama.cpp and JSON. Expected two files")
    with pytest.raises(BadInput, match=r"no such file"):
        compare_tokens(path, tmp_path / "none")


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
