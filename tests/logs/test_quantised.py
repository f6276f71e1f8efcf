"""Token by token: files of llama.cpp against the definitions, and their bad kinds."""

import struct

import numpy as np
import pytest
from scipy.special import log_softmax

import log_files
from traintwice.errors import BadInput
from traintwice.logs import _quantised as quantised
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
    monkeypatch.setattr(quantised, "BLOCK", block)
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
