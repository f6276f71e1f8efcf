"""Which rows take the new answer, against the definition."""

import numpy as np
import pytest

from traintwice.compare import update_predictions
from traintwice.errors import BadInput

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 3, size=400)
OLD, NEW = (RNG.dirichlet([1, 1, 1], size=400) + 0.4 * np.eye(3)[LABELS] * w for w in (1.0, 1.6))
OLD, NEW = (p / p.sum(-1, keepdims=True) for p in (OLD, NEW))


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


def test_files_are_matched_by_id(tmp_path):
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


def test_mistakes():
    with pytest.raises(BadInput, match="flip_cost=0"):
        update_predictions(OLD, NEW, flip_cost=0)
    votes = OLD.argmax(-1), NEW.argmax(-1)
    with pytest.raises(BadInput, match=r"got predicted labels; pass calibration"):
        update_predictions(*votes)
    with pytest.raises(BadInput, match="calibration rows have no labels"):
        update_predictions(*votes, calibration=votes)
    assert update_predictions(OLD, NEW).accuracy_served is None
