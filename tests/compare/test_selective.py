"""Selective ensembles against the definition, and their bounds in simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest

from traintwice.compare import selective_agreement, selective_ensemble
from traintwice.compare._selective import ABSTAIN
from traintwice.errors import BadInput, TooFewReplicas

RNG = np.random.default_rng(3)
VOTES = RNG.choice(4, p=[0.75, 0.15, 0.07, 0.03], size=(15, 300))
LABELS = RNG.integers(0, 4, size=300)


def by_loops(votes, alpha):
    answers = []
    for row in votes.T:
        classes, counts = np.unique(row, return_counts=True)
        ordered = sorted(zip(-counts, classes, strict=True))
        first, second = -ordered[0][0], -ordered[1][0] if len(ordered) > 1 else 0
        p = binomtest(first, first + second, 0.5).pvalue
        answers.append(ordered[0][1] if p <= alpha else ABSTAIN)
    return np.array(answers)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_answers_are_those_of_the_definition(alpha):
    found = selective_ensemble(VOTES, LABELS, alpha=alpha)
    expected = by_loops(VOTES, alpha)
    np.testing.assert_array_equal(found.answers, expected)
    answered = expected != ABSTAIN
    assert found.coverage.value == answered.mean()
    assert found.coverage.low <= answered.mean() <= found.coverage.high
    assert found.accuracy.value == pytest.approx((expected == LABELS)[answered].mean())
    majority = np.array([np.bincount(row, minlength=4).argmax() for row in VOTES.T])
    assert found.majority_accuracy.value == pytest.approx((majority == LABELS).mean())


def test_both_bounds_hold_over_retrains():
    """Rows whose retrains agree with chances of 0.4 to 0.95 on the mode."""
    rng, rows, models, alpha = np.random.default_rng(0), 400, 12, 0.1
    chance = np.linspace(0.4, 0.95, rows)
    probabilities = np.stack([chance, 0.7 * (1 - chance), 0.3 * (1 - chance)])
    wrong, apart = np.zeros(rows), np.zeros(rows)
    repeats = 300
    for _ in range(repeats):
        draws = rng.random((2, models, rows))
        votes = (draws[..., None] > np.cumsum(probabilities, 0).T).sum(-1)
        one, other = (selective_ensemble(v, alpha=alpha) for v in votes)
        wrong += (one.answers != ABSTAIN) & (one.answers != probabilities.argmax(0))
        apart += (one.answers != ABSTAIN) & (other.answers != ABSTAIN) & (one.answers != other.answers)
    noise = 5 * np.sqrt(0.25 / repeats)
    assert (wrong / repeats).max() <= alpha + noise
    assert (apart / repeats).mean() <= one.disagreement_bound == 2 * alpha
    found = selective_agreement(one, other)
    assert found.bound == 2 * alpha
    both = (one.answers != ABSTAIN) & (other.answers != ABSTAIN)
    assert found.both_answer.value == both.mean()
    assert found.disagreement.value == (both & (one.answers != other.answers)).mean()
    assert found.disagreement.low <= found.disagreement.value <= found.disagreement.high


def test_permuting_retrains_changes_nothing_and_copies_are_always_answered():
    np.testing.assert_array_equal(selective_ensemble(VOTES).answers, selective_ensemble(VOTES[::-1]).answers)
    copies = np.repeat(VOTES[:1], 6, axis=0)
    np.testing.assert_array_equal(selective_ensemble(copies).answers, VOTES[0])


def test_probabilities_and_files_give_the_same_answers(tmp_path):
    probs = np.random.default_rng(1).dirichlet([1, 1, 4], size=(8, 40))
    files = []
    for m, p in enumerate(probs):
        lines = ["id,probs_0,probs_1,probs_2", *[f"r{n:02d},{','.join(f'{v:.9f}' for v in row)}" for n, row in enumerate(p)]]
        files.append(tmp_path / f"{m}.csv")
        files[-1].write_text("\n".join(lines if m else [lines[0], *lines[:0:-1]]) + "\n")  # the first file in reverse order
    from_files, from_array = selective_ensemble([str(f) for f in files], id="id"), selective_ensemble(probs)
    order = np.argsort([str(i) for i in np.asarray(from_files.ids).tolist()])
    np.testing.assert_array_equal(from_files.answers[order], from_array.answers)


def test_mistakes():
    with pytest.raises(BadInput, match=r"alpha=1\.5"):
        selective_ensemble(VOTES, alpha=1.5)
    with pytest.raises(TooFewReplicas, match=r"5 replicas cannot reach p <= 0.05 .* at least 6, or alpha of at least 0.0625"):
        selective_ensemble(VOTES[:5])
    assert selective_ensemble(np.zeros((6, 2), int)).coverage.value == 1
    assert selective_ensemble(np.zeros((5, 2), int), alpha=0.0625).coverage.value == 1
    with pytest.raises(BadInput, match="different rows"):
        selective_agreement(selective_ensemble(VOTES), selective_ensemble(VOTES[:, :5]))


def test_numbers_are_refused(tmp_path):
    files = [tmp_path / f"{m}.csv" for m in range(6)]
    for file in files:
        file.write_text("id,value\n1,0.5\n2,7.5\n")
    with pytest.raises(BadInput, match="got numbers or outcomes, expected probabilities or predicted labels"):
        selective_ensemble([str(file) for file in files], regression=True, probs="value", id="id")
