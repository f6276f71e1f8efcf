import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import traintwice.predictions._predictions as predictions_module
from traintwice.errors import BadInput
from traintwice.metrics import IdenticalReplicas, identical_replicas
from traintwice.predictions import Predictions


def by_definition(votes):
    groups = {}
    for m, row in enumerate(votes):
        groups.setdefault(row.tobytes(), []).append(m)
    return [group for group in groups.values() if len(group) > 1]


@given(st.integers(1, 8), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_equals_the_definition_whole_in_parts_and_merged(M, N, seed):
    votes = np.random.default_rng(seed).integers(0, 2, (M, N))
    expected = by_definition(votes)
    assert identical_replicas(votes) == expected
    one, two = IdenticalReplicas(), IdenticalReplicas()
    for n in range(N):
        (one, two)[n % 2].add(votes[:, n : n + 1])
    one.merge(two)
    one.merge(IdenticalReplicas())
    assert one.result() == expected


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy, array_api_strict.asarray])
@pytest.mark.parametrize("changed", [0, 63, 64, 199], ids="the change is in example {}".format)
def test_one_number_that_differs_is_seen(convert, changed, draw, monkeypatch):
    probs, _ = draw(4, 200, 2)
    probs[2] = probs[0]
    probs[3] = probs[1]
    probs[3, changed] = probs[3, changed] + [1e-15, -1e-15]
    scores, single = probs[:, :, 0].copy(), probs.astype(np.float32)
    for elements in (1 << 17, 40):
        monkeypatch.setattr(predictions_module, "BLOCK_ELEMENTS", elements)
        assert identical_replicas(convert(probs)) == [[0, 2]]
        assert identical_replicas(Predictions.from_scores(convert(scores))) == [[0, 2]]
        assert identical_replicas(convert(single)) == [[0, 2], [1, 3]]


def test_nothing_known_of_labels_makes_replicas_equal():
    probs = np.array([[[0.9, 0.1]], [[0.8, 0.2]]])
    assert identical_replicas(probs) == []
    assert identical_replicas(probs.argmax(axis=2)) == [[0, 1]]
    assert identical_replicas(probs[:1]) == []


def test_parts_are_of_the_same_replicas():
    with pytest.raises(BadInput, match="no examples have been added yet"):
        IdenticalReplicas().result()
    found = IdenticalReplicas().add(np.array([[0], [1]]))
    with pytest.raises(BadInput, match="got 3 replicas, expected 2 as before"):
        found.add(np.array([[0], [1], [1]]))
    with pytest.raises(BadInput, match="got 1 replicas, expected 2 as before"):
        found.merge(IdenticalReplicas().add(np.array([[0]])))


def test_replicas_that_all_differ_are_read_only_at_the_start(monkeypatch):
    votes = np.random.default_rng(0).integers(0, 9, (10, 2_000_000), dtype=np.uint8)
    p, seen = Predictions.trusted(votes), []
    cut = Predictions.slice
    monkeypatch.setattr(Predictions, "slice", lambda self, start, stop: (seen.append(start), cut(self, start, stop))[1])
    assert identical_replicas(p) == []
    assert len(seen) <= 2
