"""Selective ensembles and updates against their definitions, and the bounds of selective ensembles in simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest

from traintwice.compare import selective_agreement, selective_ensemble, update_predictions
from traintwice.compare._serving import ABSTAIN
from traintwice.errors import BadInput, TooFewReplicas

RNG = np.random.default_rng(3)
VOTES = RNG.choice(4, p=[0.75, 0.15, 0.07, 0.03], size=(15, 300))
OF_VOTES = RNG.integers(0, 4, size=300)
UPDATED = np.random.default_rng(5)
LABELS = UPDATED.integers(0, 3, size=400)
OLD, NEW = (UPDATED.dirichlet([1, 1, 1], size=400) + 0.4 * np.eye(3)[LABELS] * w for w in (1.0, 1.6))
OLD, NEW = (p / p.sum(-1, keepdims=True) for p in (OLD, NEW))


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
    found = selective_ensemble(VOTES, OF_VOTES, alpha=alpha)
    expected = by_loops(VOTES, alpha)
    np.testing.assert_array_equal(found.answers, expected)
    answered = expected != ABSTAIN
    assert found.coverage.value == answered.mean()
    assert found.coverage.low <= answered.mean() <= found.coverage.high
    assert found.accuracy.value == pytest.approx((expected == OF_VOTES)[answered].mean())
    majority = np.array([np.bincount(row, minlength=4).argmax() for row in VOTES.T])
    assert found.majority_accuracy.value == pytest.approx((majority == OF_VOTES).mean())


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


def test_mistakes_of_selective_ensembles():
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


@pytest.mark.parametrize("cost", [0.5, 1.0, 2.0, 5.0])
def test_a_row_changes_where_the_belief_pays_for_it(cost):
    found = update_predictions(OLD, NEW, LABELS, flip_cost=cost)
    for n in range(len(LABELS)):
        a, b = OLD[n].argmax(), NEW[n].argmax()
        mean = (OLD[n] + NEW[n]) / 2
        take = a != b and mean[b] > cost * mean[a]
        assert found.answers[n] == (b if take else a)
        assert found.taken[n] == take
    a, b = OLD.argmax(-1), NEW.argmax(-1)
    assert found.churn_new.value == (a != b).mean()
    assert found.churn_served.value == (a != found.answers).mean()
    assert found.accuracy_served.value == (found.answers == LABELS).mean()
    assert found.negative_flips_new.value == ((a == LABELS) & (b != LABELS)).mean()
    assert found.negative_flips_served.value == ((a == LABELS) & (found.answers != LABELS)).mean()


def test_a_larger_cost_keeps_more_old_answers():
    costs = (0.01, 0.5, 1.0, 2.0, 5.0, 1e6)
    found = [update_predictions(OLD, NEW, LABELS, flip_cost=cost) for cost in costs]
    taken = [f.churn_served.value for f in found]
    assert taken == sorted(taken, reverse=True)
    np.testing.assert_array_equal(found[-1].answers, OLD.argmax(-1))
    assert found[0].churn_served.value == pytest.approx(found[0].churn_new.value, abs=0.01)
    assert found[2].negative_flips_served.value < found[2].negative_flips_new.value
    assert found[2].accuracy_served.value > found[2].accuracy_old.value


def test_confusion_of_other_rows_is_evidence_for_predicted_labels():
    a, b = OLD.argmax(-1), NEW.argmax(-1)
    known, rest = slice(0, 250), slice(250, None)
    found = update_predictions(
        a[rest], b[rest], LABELS[rest], flip_cost=1.3, calibration=(a[known], b[known]), calibration_label=LABELS[known]
    )

    def chance(votes, said, label):
        of = LABELS[known] == label
        return ((votes[known][of] == said).sum() + 1) / (of.sum() + 3)

    for n, (one, other) in enumerate(zip(a[rest], b[rest], strict=True)):
        belief = [((LABELS[known] == k).sum() + 1) / (250 + 3) * chance(a, one, k) * chance(b, other, k) for k in range(3)]
        assert found.answers[n] == (other if one != other and belief[other] > 1.3 * belief[one] else one)


def test_files_of_an_update_are_matched_by_id(tmp_path):
    def written(name, probs, rows):
        lines = [f"r{n:03d},{LABELS[n]},{','.join(f'{v:.9f}' for v in probs[n])}" for n in rows]
        (tmp_path / name).write_text("\n".join(["id,label,probs_0,probs_1,probs_2", *lines]) + "\n")
        return str(tmp_path / name)

    found = update_predictions(
        written("old.csv", OLD, range(60)), written("new.csv", NEW, range(59, -1, -1)), id="id", label="label"
    )
    expected = update_predictions(OLD[:60], NEW[:60], LABELS[:60])
    order = np.argsort([str(i) for i in np.asarray(found.ids).tolist()])
    np.testing.assert_array_equal(found.answers[order], expected.answers)
    assert found.accuracy_served.value == expected.accuracy_served.value


def test_mistakes_of_updates():
    with pytest.raises(BadInput, match="flip_cost=0"):
        update_predictions(OLD, NEW, flip_cost=0)
    votes = OLD.argmax(-1), NEW.argmax(-1)
    with pytest.raises(BadInput, match=r"got predicted labels; pass calibration"):
        update_predictions(*votes)
    with pytest.raises(BadInput, match="calibration rows have no labels"):
        update_predictions(*votes, calibration=votes)
    assert update_predictions(OLD, NEW).accuracy_served is None
