import re

import numpy as np
import pytest

from traintwice import metrics
from traintwice.report import sentences
from traintwice.report.words import in_words
from traintwice.study import verdict


def said(results, **options):
    return {s.row: s for s in in_words(verdict(results, **options)) if s.row}


def test_each_situation_is_named(study):
    results = study({"baseline": 0.3, "calmer": 0.05, "wilder": 0.7, "much the same": 0.3, "constant": "constant"})
    found = said(results)
    assert {row: s.kind for row, s in found.items()} == {
        "calmer": "lower",
        "wilder": "higher",
        "much the same": "unsettled",
        "constant": "price",
    }
    assert "churn is lower beyond doubt, by" in found["calmer"].text
    assert "accuracy is higher by" in found["calmer"].text
    assert "costs 2x to train and 1x to serve" in found["calmer"].text
    assert "churn is higher beyond doubt, by" in found["wilder"].text
    assert "at the price of accuracy" in found["constant"].text
    assert "accuracy is lower by" in found["constant"].text
    assert "lower beyond doubt" not in found["much the same"].text


def test_points_are_those_of_the_comparison(study):
    results = study({"baseline": 0.3, "calmer": 0.05, "wilder": 0.7})
    for row, sentence in said(results).items():
        estimate = results.compare(metrics.churn)[row].estimate
        value, low, high = (
            float(x) for x in re.search(r"by ([\d.]+) points \(([\d.]+) to ([\d.]+)\); accuracy", sentence.text).groups()
        )
        assert value == pytest.approx(abs(estimate.value) * 100, abs=0.06)
        assert sorted([low, high]) == pytest.approx(sorted(abs(x) * 100 for x in (estimate.low, estimate.high)), abs=0.06)
        assert low < value < high


def test_signs_of_what_is_not_settled(study):
    results = study({"baseline": 0.30, "a bit calmer": 0.28, "a bit wilder": 0.32})
    for row, sentence in said(results).items():
        estimate = results.compare(metrics.churn)[row].estimate
        sign = "−" if estimate.value < 0 else r"\+"
        assert re.search(rf"not settled \(churn {sign}[\d.]+ points, −[\d.]+ to [\d.]+\)", sentence.text), sentence.text


def test_how_many_replicas_would_settle(study):
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
    assert "not one flip more or less" in said(results)["dead switch"].text


def test_an_interval_without_zero_that_holm_does_not_let_through(study):
    for share in np.arange(0.16, 0.30, 0.01):
        results = study({"baseline": 0.3, **{f"r{i}": float(share) for i in range(8)}}, replicas=5)
        for row, difference in results.compare(metrics.churn).items():
            text = said(results)[row].text
            outside = difference.estimate.low > 0 or difference.estimate.high < 0
            assert ("not once 8 comparisons are allowed for" in text) == (outside and not difference.significant)
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
