"""Tables of a study on a stream, against their definitions."""

from itertools import combinations

import numpy as np
import pytest

from traintwice.metrics import log_loss, rank_loss
from traintwice.study import _progressive as progressive_module
from traintwice.study import gather, progressive_findings
from traintwice.study._worker import train_into


@pytest.fixture(scope="module")
def found(streamed):
    return progressive_findings(streamed)


def apart(probs):
    """Relative difference of two trainings, mean over pairs, written from the definition."""
    positive = probs[..., 1]
    return np.mean([np.abs(a - b) / ((a + b) / 2) for a, b in combinations(positive, 2)])


def test_other_studies_have_none(small, data, tmp_path):
    from traintwice.study import Store, prepare

    store = Store(tmp_path / "runs")
    prepare(small, data, store)
    for recipe in small.rows.values():
        for replica in range(3):
            list(train_into(store, recipe, small.data, data, seed=0, replicas=[replica]))
    assert progressive_findings(gather(small, store, data)) is None


def test_columns_are_those_of_the_papers_table(streamed, found):
    plain, other = found.table.rows
    assert [plain.cells[name] for name in ("coupling", "weight", "s")] == ["none", "–", "1"]
    assert [other.cells[name] for name in ("coupling", "weight", "s")] == ["covariance", "0.5", "5"]
    assert plain.cells["log_loss_change"] is None
    labels = streamed.data.test.labels
    for metric in (log_loss, rank_loss):
        of = {row: metric(np.asarray(streamed[row].test.probs), labels) for row in streamed.rows}
        change = other.cells[f"{metric.__name__}_change"]
        assert change.value == pytest.approx(of["anti-distilled"] / of["plain"] - 1, rel=1e-9)
        assert change.low < change.value < change.high
    for row in found.table.rows:
        assert row.cells["relative_pairwise"].value == pytest.approx(apart(np.asarray(streamed[row.name].test.probs)), rel=1e-9)
        assert row.cells["relative_pairwise_matched"].value == pytest.approx(
            apart(np.asarray(streamed[row.name].matched.probs)), rel=1e-9
        )
        assert {"churn", "accuracy"} <= set(row.cells)


def test_sentences_say_what_the_comparisons_do(streamed, found):
    from traintwice.metrics import relative_pairwise

    (of_row, terms) = found.sentences
    difference = streamed.compare(relative_pairwise)["anti-distilled"]
    word = "inconclusive" if not difference.significant else "lower" if difference.estimate.value < 0 else "higher"
    assert of_row.startswith(f"anti-distilled: relative PD {word} (")
    change = float(of_row.partition("(")[2].partition(" %")[0].replace("−", "-"))
    base = apart(np.asarray(streamed["plain"].test.probs))
    assert change == pytest.approx(100 * difference.estimate.value / base, abs=0.6)
    assert "log loss" in of_row
    assert "the recipes compared (here 1)" in terms


def test_what_is_left_out_is_said(found):
    assert "The first 400 of 2,000 examples are left out" in found.table.notes[1]
    assert "1,600 of the rest are reported" in found.table.notes[1]


def test_over_time_and_by_slice(streamed, found):
    assert [row.name for row in found.over_time.rows] == ["early", "late"]
    assert [table.title for table in found.slices] == ["By third"]  # "when" says what the time says
    cases = [(found.over_time, streamed.data.time), (found.slices[0], streamed.data.groups["third"])]
    for table, values in cases:
        for row in table.rows:
            chosen = values == row.name
            assert row.cells["examples"] == f"{chosen.sum():,}"
            assert row.cells["positive"] == pytest.approx(streamed.data.test.labels[chosen].mean())
            for recipe in streamed.rows:
                probs = np.asarray(streamed[recipe].test.probs)[:, chosen]
                assert row.cells[f"of {recipe}"].value == pytest.approx(apart(probs), rel=1e-9)
    assert [c.key for c in found.baseline_over_time.columns] == ["examples", "positive", "accuracy", "churn", "of plain"]


def test_small_slices_are_left_out_and_counted(streamed, monkeypatch):
    monkeypatch.setattr(progressive_module, "LEAST_EXAMPLES", 700)
    table = progressive_findings(streamed).over_time
    assert [row.name for row in table.rows] == ["late"]
    assert "1 with fewer than 700 examples are left out" in table.notes[0]


def test_drift_is_of_the_whole_stream(streamed, found):
    of_plain = [point for point in found.drift if point.row == "plain"]
    assert len(of_plain) == progressive_module.BLOCKS
    assert [point.counted for point in of_plain] == [number >= 8 for number in range(40)]  # warm-up and validation are a fifth
    result = streamed["plain"]
    whole = np.concatenate([np.asarray(p.probs) for p in (result.warm_up, result.validation, result.test)], axis=1)
    for number, point in enumerate(of_plain):
        assert 50 * number <= point.seen < 50 * (number + 1)
        assert point.apart.value == pytest.approx(apart(whole[:, 50 * number : 50 * (number + 1)]), rel=1e-9)


def test_two_trainings_from_the_same_weights_are_one_model_before_their_first_step(streamed):
    """With a shared initialisation the first batch is predicted alike; then they drift apart."""
    first = np.asarray(streamed["plain"].warm_up.probs)[:, :, 1]
    assert any(first[0, n] == first[1, n] for n in range(50))
    last = np.asarray(streamed["plain"].test.probs)[:, :, 1]
    assert (last[0] != last[1]).mean() > 0.99


def test_plain_values(found):
    import json

    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(plain) == {"table", "over_time", "slices", "findings", "drift"}
    assert {"row", "seen", "counted", "value", "low", "high"} <= set(plain["drift"][0])
