import pytest

from traintwice.report.choice import FEW, PANELS, SENTENCES, choose, kinds_of
from traintwice.study import verdict


def found_in(results):
    found = verdict(results)
    return found, choose(found, tuple(results.rows))


def test_of_few_everything_is_shown(study):
    results = study({"baseline": 0.3, **{f"row {n}": 0.3 for n in range(FEW - 1)}}, examples=60)
    _, choice = found_in(results)
    assert (choice.many, choice.panels, choice.folded, choice.briefly) == (False, tuple(results.rows), (), ())


def test_of_many_the_settled_come_first(fifteen):
    found, choice = found_in(fifteen)
    settled = [f.row for f in (*found.lower, *found.lower_at_a_price, *found.higher)]
    assert {"calm", "wild"} <= set(settled)
    assert choice.many
    assert choice.panels[: 1 + len(settled)] == ("baseline", *settled)
    assert len(choice.panels) == 1 + PANELS
    assert sorted(choice.panels + choice.folded) == sorted(fifteen.rows)
    assert [b.row for b in choice.briefly] == [f.row for f in found.unsettled[SENTENCES:]]
    assert list(kinds_of(found)) == [*settled, *(f.row for f in found.unsettled)]


def test_a_line_says_what_its_sentence_says(fifteen):
    found, choice = found_in(fifteen)
    findings = {f.row: f for f in found.unsettled}
    for brief in choice.briefly:
        churn, more = findings[brief.row].churn.estimate, findings[brief.row].churn.more_replicas
        value, low, high = (float(part.replace("−", "-").strip("()")) for part in brief.churn.replace(" to ", " ").split())
        assert [value, low, high] == pytest.approx([100 * churn.value, 100 * churn.low, 100 * churn.high], abs=0.051)
        assert brief.accuracy_settled == findings[brief.row].accuracy.significant
        assert brief.settle == ("more test examples" if more is None else f"{more:,} more replica{'s' if more > 1 else ''}")


def test_what_would_settle_rows_of_two_replicas_and_rows_alike(study):
    same = {f"same {n}": "constant" for n in range(8)}
    found, choice = found_in(study({"baseline": "constant", **same, "other": 0.1, "another": 0.02}, replicas=2, examples=60))
    said = {b.row: b.settle for b in choice.briefly}
    assert {said[row] for row in same if row in said} == {"not one flip more or less"}
    blind = {f.row for f in found.unsettled if f.churn.more_replicas is None and f.row in said and f.row not in same}
    assert blind
    assert {said[row] for row in blind} == {"3 replicas or more"}
