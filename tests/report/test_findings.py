import re

import numpy as np
import pytest

from traintwice import metrics
from traintwice.report import sentences
from traintwice.report._findings import FEW, PANELS, SENTENCES, choose, in_words, kinds_of
from traintwice.study import verdict


def said(results, **options):
    return {s.row: s for s in in_words(verdict(results, **options)) if s.row}


def test_each_situation_is_named(study):
    results = study({"baseline": 0.3, "calmer": 0.05, "wilder": 0.7, "much the same": 0.3, "constant": "constant"})
    found = said(results)
    assert {row: s.kind for row, s in found.items()} == {
        "calmer": "lower",
        "wilder": "higher",
        "much the same": "inconclusive",
        "constant": "price",
    }
    assert "churn is significantly lower, by" in found["calmer"].text
    assert "accuracy is higher by" in found["calmer"].text
    assert "costs 2x to train and 1x to serve" in found["calmer"].text
    assert "churn is significantly higher, by" in found["wilder"].text
    assert "churn is significantly lower, but so is accuracy" in found["constant"].text
    assert "accuracy is lower by" in found["constant"].text
    assert "significantly lower" not in found["much the same"].text


def test_points_are_those_of_the_comparison(study):
    results = study({"baseline": 0.3, "calmer": 0.05, "wilder": 0.7})
    for row, sentence in said(results).items():
        estimate = results.compare(metrics.churn)[row].estimate
        value, low, high = (
            float(x) for x in re.search(r"by ([\d.]+) pp \(([\d.]+) to ([\d.]+)\); accuracy", sentence.text).groups()
        )
        assert value == pytest.approx(abs(estimate.value) * 100, abs=0.06)
        assert sorted([low, high]) == pytest.approx(sorted(abs(x) * 100 for x in (estimate.low, estimate.high)), abs=0.06)
        assert low < value < high


def test_signs_of_what_is_inconclusive(study):
    results = study({"baseline": 0.30, "a bit calmer": 0.28, "a bit wilder": 0.32})
    for row, sentence in said(results).items():
        estimate = results.compare(metrics.churn)[row].estimate
        sign = "−" if estimate.value < 0 else r"\+"
        assert re.search(rf"inconclusive \(churn {sign}[\d.]+ pp, −[\d.]+ to [\d.]+\)", sentence.text), sentence.text


def test_how_many_replicas_are_needed(study):
    results = study({"baseline": 0.30, "calmer": 0.29}, replicas=4)
    more = results.compare(metrics.churn)["calmer"].more_replicas
    assert more
    assert f"{more} more replica" in said(results)["calmer"].text


def test_too_few_examples(study):
    rng = np.random.default_rng(4)
    noisy = rng.integers(0, 3, (6, 40))
    results = study({"baseline": noisy, "other": noisy[:, rng.permutation(40)]}, examples=40)
    difference = results.compare(metrics.churn)["other"]
    assert difference.more_replicas is None
    assert "40 test examples are too few" in said(results)["other"].text or difference.estimate.value == 0


def test_what_does_nothing_at_all(study):
    results = study({"baseline": 0.3, "dead switch": 0.3})
    results.rows["dead switch"] = results.rows["baseline"]
    assert "exactly as many flips as the baseline" in said(results)["dead switch"].text


def test_an_interval_without_zero_that_holm_does_not_let_through(study):
    for share in np.arange(0.16, 0.30, 0.01):
        results = study({"baseline": 0.3, **{f"r{i}": float(share) for i in range(8)}}, replicas=5)
        for row, difference in results.compare(metrics.churn).items():
            text = said(results)[row].text
            outside = difference.estimate.low > 0 or difference.estimate.high < 0
            assert ("not significant after the adjustment for 8 comparisons" in text) == (outside and not difference.significant)
            if outside and not difference.significant:
                return
    pytest.fail("no study with such an interval was made")


def test_the_baseline_and_the_terms(study):
    results = study({"baseline": 0.3, "calmer": 0.05, "wilder": 0.7})
    first, *_, last = sentences(verdict(results), results)
    churn = results.estimate(metrics.churn, "baseline").value
    assert float(re.search(r"different labels to ([\d.]+) %", first)[1]) == pytest.approx(churn * 100, abs=0.06)
    assert "at 95 % after Holm's adjustment for 2 comparisons" in last
    assert "for new replicas of the recipe and new examples" in last
    assert len(sentences(verdict(results))) == len(sentences(verdict(results), results)) - 1
    assert "90 %" in sentences(verdict(results, level=0.9))[-1]


def test_two_replicas_speak_for_themselves_alone(study):
    results = study({"baseline": 0.3, "calmer": 0.05}, replicas=2)
    last = sentences(verdict(results), results)[-1]
    assert "these models alone, new examples" in last
    assert "at least 3" in last


def test_one_row(study):
    results = study({"baseline": 0.3})
    said = sentences(verdict(results), results)
    assert len(said) == 2
    assert "only recipe" in said[-1]


def found_in(results):
    found = verdict(results)
    return found, choose(found, tuple(results.rows))


def test_of_few_everything_is_shown(study):
    results = study({"baseline": 0.3, **{f"row {n}": 0.3 for n in range(FEW - 1)}}, examples=60)
    _, choice = found_in(results)
    assert (choice.many, choice.panels, choice.folded, choice.briefly) == (False, tuple(results.rows), (), ())


def test_of_many_the_significant_come_first(fifteen):
    found, choice = found_in(fifteen)
    significant = [f.row for f in (*found.lower, *found.lower_at_a_price, *found.higher)]
    assert {"calm", "wild"} <= set(significant)
    assert choice.many
    assert choice.panels[: 1 + len(significant)] == ("baseline", *significant)
    assert len(choice.panels) == 1 + PANELS
    assert sorted(choice.panels + choice.folded) == sorted(fifteen.rows)
    assert [b.row for b in choice.briefly] == [f.row for f in found.inconclusive[SENTENCES:]]
    assert list(kinds_of(found)) == [*significant, *(f.row for f in found.inconclusive)]


def test_a_line_says_what_its_sentence_says(fifteen):
    found, choice = found_in(fifteen)
    findings = {f.row: f for f in found.inconclusive}
    for brief in choice.briefly:
        churn, more = findings[brief.row].churn.estimate, findings[brief.row].churn.more_replicas
        value, low, high = (float(part.replace("−", "-").strip("()")) for part in brief.churn.replace(" to ", " ").split())
        assert [value, low, high] == pytest.approx([100 * churn.value, 100 * churn.low, 100 * churn.high], abs=0.051)
        assert brief.accuracy_significant == findings[brief.row].accuracy.significant
        assert brief.needed == ("more test examples" if more is None else f"{more:,} more replica{'s' if more > 1 else ''}")


def test_what_is_needed_with_two_replicas_and_without_a_difference(study):
    same = {f"same {n}": "constant" for n in range(8)}
    found, choice = found_in(study({"baseline": "constant", **same, "other": 0.1, "another": 0.02}, replicas=2, examples=60))
    said = {b.row: b.needed for b in choice.briefly}
    assert {said[row] for row in same if row in said} == {"no difference in any flip"}
    blind = {f.row for f in found.inconclusive if f.churn.more_replicas is None and f.row in said and f.row not in same}
    assert blind
    assert {said[row] for row in blind} == {"3 replicas or more"}
