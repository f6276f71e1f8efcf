"""Each verdict of each question, and which of them heads the comparison."""

import math
from dataclasses import replace

import numpy as np
import pytest

from traintwice.compare import diff
from traintwice.compare._answers import floor_answer, operating_answer, quality_answer, slices_answer, with_interval
from traintwice.compare._parts import Answer, Decisions, SwapSet
from traintwice.compare._results import Measured, Quality, worst
from traintwice.types import Estimate


def number(value, half=0.01):
    return Estimate(value, value - half, value + half, half / 2, 2, 1000, target="examples")


def accuracy(change, p, half=0.01):
    return Quality("accuracy", "accuracy", "fraction", number(0.9), number(0.9 + change), number(change, half), p, True)


def log_loss(change, p, half=0.001):
    return Quality("log_loss", "log loss", "number", number(0.3), number(0.3 + change), number(change, half), p, False)


class TestQuality:
    @pytest.mark.parametrize(
        ("quality", "verdict", "concern"),
        [
            ([accuracy(-0.2, 1e-9)], "worse", "problem"),
            ([accuracy(0.2, 1e-9)], "better", "fine"),
            ([accuracy(0.001, 0.5, 0.002)], "no change that matters", "fine"),
            ([accuracy(0.001, 0.5, 0.02)], "inconclusive", "inconclusive"),
            ([accuracy(0.0, 0.5, 0.001), log_loss(0.1, 1e-9)], "worse", "problem"),
            ([accuracy(0.1, 1e-9), log_loss(0.1, 1e-9)], "worse", "problem"),
            ([accuracy(0.0, 0.5, 0.001), log_loss(0.01, 0.5, 0.02)], "inconclusive", "inconclusive"),
            ([accuracy(0.03, 0.03), log_loss(-0.01, 0.9)], "inconclusive", "inconclusive"),  # 0.03 twice is 0.06
            ([accuracy(0.03, 0.03)], "better", "fine"),
            ([accuracy(-0.03, 0.03, 0.031)], "inconclusive", "inconclusive"),  # its interval contains 0
            ([], "no labels", "unknown"),
            ([accuracy(math.nan, None)], "inconclusive", "inconclusive"),
        ],
    )
    def test_verdict(self, quality, verdict, concern):
        answer = quality_answer(quality, 0.95, 0.005)
        assert (answer.question, answer.verdict, answer.concern) == ("quality", verdict, concern)
        assert answer.sentence.endswith(".")
        assert "nan" not in answer.sentence

    def test_a_significant_change_is_never_one_that_does_not_matter(self):
        assert quality_answer([accuracy(-0.001, 0.001, 0.0005)], 0.95, 0.005).verdict == "worse"

    def test_the_margin_of_other_measures_is_a_share_of_the_old_value(self):
        change = log_loss(0.002, 0.5, 0.001)  # at most 0.003 of 0.3
        assert quality_answer([change], 0.95, 0.011).verdict == "no change that matters"
        assert quality_answer([change], 0.95, 0.009).verdict == "inconclusive"
        assert "within 1.1 % of the old value" in quality_answer([change], 0.95, 0.011).sentence

    def test_what_is_better_although_something_is_worse_is_named(self):
        answer = quality_answer([accuracy(0.1, 1e-9), log_loss(0.1, 1e-9)], 0.95, 0.005)
        assert answer.sentence.startswith("The new model is worse: log loss 0.3000 → 0.4000")
        assert answer.sentence.endswith(", although accuracy is better.")

    @pytest.mark.parametrize(
        ("change", "p", "fallen"), [(-0.2, 0.001, True), (-0.2, 0.03, False), (0.2, 0.001, False), (-0.004, 0.001, False)]
    )
    @pytest.mark.parametrize("name", ["recall", "precision"])
    def test_recall_that_falls_at_equal_accuracy_is_named(self, name, change, p, fallen):
        half = 0.0005 if abs(change) < 0.01 else 0.01
        side = replace(accuracy(change, p, half), name=name, title=name)
        answer = quality_answer([accuracy(0.0, 0.5, 0.001), side], 0.95, 0.005)
        assert (answer.verdict, f", but {name} 90" in answer.sentence) == (
            ("inconclusive", True) if fallen else ("no change that matters", False)
        )
        assert "not excluded" not in answer.sentence
        assert (f", but {name} 90" in quality_answer([accuracy(0.2, 1e-9), side], 0.95, 0.005).sentence) == fallen

    def test_other_measures_do_not_decide(self):
        brier = replace(log_loss(0.1, 1e-9), name="brier")
        assert quality_answer([accuracy(0.0, 0.5, 0.001), brier], 0.95, 0.005).verdict == "no change that matters"

    @pytest.mark.parametrize("name", ["mean_absolute_error", "root_mean_squared_error"])
    def test_a_regression_rests_on_its_errors(self, name):
        worse = Quality(name, name, "number", number(1.0), number(2.0), number(1.0), 1e-9, False)
        assert quality_answer([worse], 0.95, 0.005).verdict == "worse"


class TestFloors:
    churn = Measured("churn", "churn", "fraction", False, number(0.06))

    @pytest.mark.parametrize(
        ("verdict", "said", "concern"),
        [
            ("beyond noise", "more than retraining causes", "problem"),
            ("within noise", "within noise", "fine"),
            ("inconclusive", "inconclusive", "inconclusive"),
        ],
    )
    def test_verdict_is_that_of_the_floor(self, made, verdict, said, concern):
        answer = floor_answer("disagreement", made.floor_of(verdict), self.churn, "")
        assert (answer.question, answer.verdict, answer.concern) == ("disagreement", said, concern)
        assert answer.sentence.startswith(f"Disagreement: {said}: churn 6.00 % (5.0 to 7.0), 1.07 × floor of 5.9")
        assert "(1.02 to 1.1; 5 retrains)" in answer.sentence
        assert ("above the floor, but below the margin of 1.5" in answer.sentence) == (verdict == "within noise")

    def test_what_would_decide_is_in_the_sentence(self, made):
        floor = made.floor_of("inconclusive", more_retrains=6)
        assert floor_answer("disagreement", floor, self.churn, "").sentence.endswith("; about 6 more retrains would decide.")

    def test_without_retrains_or_labels_nothing_is_known(self):
        answer = floor_answer("disagreement", None, self.churn, "")
        assert (answer.verdict, answer.concern) == ("no retrains given", "unknown")
        assert "(--floor)" in answer.sentence
        answer = floor_answer("regressions", None, None, "needs labels")
        assert (answer.verdict, answer.concern, answer.sentence) == ("no value", "unknown", "Regressions: needs labels.")

    def test_without_a_ratio_there_is_none_in_the_sentence(self, made):
        none = replace(made.floor_of().ratio, value=math.nan, low=math.nan, high=math.nan)
        floor = made.floor_of("inconclusive", ratio=none, reason="inconclusive: 1 retrain is too few")
        answer = floor_answer("disagreement", floor, self.churn, "")
        assert answer.sentence == "Disagreement: inconclusive: churn 6.00 % (5.0 to 7.0); 1 retrain is too few."
        assert "nan" not in operating_answer([decisions(floor)], []).sentence

    def test_negative_flips_are_named_by_what_they_are(self):
        flips = Measured("negative_flips", "negative flips", "fraction", False, number(0.06))
        assert with_interval(flips) == "6.00 % (5.0 to 7.0) of labelled rows right → wrong"


class TestSlices:
    def test_worse_comes_before_restless(self, made):
        worse = made.slice_of("country", "BR", 0.1, 1e-4, recall=(0.44, 0.0, 2e-4))
        restless = made.slice_of("country", "DE", 0.2, 1e-4)
        calm = made.slice_of("country", "AT", 0.06, 0.5)
        answer = slices_answer([worse, restless, calm], asked=True)
        assert (answer.verdict, answer.concern) == ("worse in 1 of 3 groups", "problem")
        assert answer.detail.startswith("country=BR: recall 44.0 % → 0.0 %")
        assert "country=DE: churn 20.0 %, 3.4 × its floor" in answer.detail
        answer = slices_answer([restless, calm], asked=True)
        assert (answer.verdict, answer.concern) == ("churn above its floor in 1 of 2 groups", "problem")

    def test_more_churn_than_elsewhere_alone_is_no_problem(self, made):
        restless = replace(made.slice_of("country", None, 0.2, 1e-4), excess=None)
        answer = slices_answer([restless], asked=True)
        assert (answer.verdict, answer.concern) == ("churn above the rest in 1 of 1 group", "inconclusive")
        assert answer.detail.startswith("country is missing: churn 20.0 % against 5.9 % elsewhere")
        assert slices_answer([restless], asked=True, of_items=True).concern == "unknown"  # tasks differ in churn

    def test_nothing_found_and_nothing_looked_at(self, made):
        calm = made.slice_of("country", "AT", 0.06, 0.5)
        better = made.slice_of("country", "AT", 0.06, 0.5, recall=(0.4, 0.9, 1e-9))
        assert slices_answer([calm, better], asked=True).concern == "fine"
        assert slices_answer([], asked=True).sentence == "Slices: no group has enough rows (--min-support N)."
        assert slices_answer([], asked=False).sentence == "Slices: no groups given (--by COLUMN)."

    def test_a_long_or_nasty_name_is_shown_short_and_visible(self, made):
        s = made.slice_of("column", "x" * 500 + "\x1b[31m", 0.2, 1e-4)
        detail = slices_answer([s], asked=True).detail
        assert "\x1b" not in detail
        assert len(detail) < 150


def decisions(floor):
    return Decisions(0.5, number(0.4), number(0.4), number(0.02), number(0.01), number(0.01), floor)


class TestOperatingPoint:
    def test_the_worst_of_its_parts_is_its_verdict(self, made):
        swap = SwapSet(100, 100, number(0.9), 10, None, None, made.floor_of("beyond noise"))
        answer = operating_answer([decisions(made.floor_of("within noise"))], [swap])
        assert (answer.verdict, answer.concern) == ("more than retraining causes", "problem")
        assert answer.detail.startswith("top 100: 10 rows swapped")
        assert " · score ≥ 0.5: 2.00 % of decisions change" in answer.sentence
        assert operating_answer([decisions(made.floor_of("within noise"))], []).concern == "fine"
        assert operating_answer([decisions(None)], []).verdict == "no retrains given"

    def test_none_asked_for(self):
        assert operating_answer([], []) is None


def test_problems_come_before_inconclusive_before_unknown_before_fine():
    def answer(concern):
        return Answer("quality", concern, concern, concern, "")

    found = [answer(c) for c in ("fine", "unknown", "inconclusive", "problem")]
    for last in (4, 3, 2, 1):
        assert worst(tuple(found[:last])) is found[last - 1]
    first, second = answer("problem"), answer("problem")
    assert worst((first, second)) is first


class TestHeadline:
    """The sentence that heads a comparison names the worst answer, whatever the others say."""

    @pytest.fixture
    def world(self):
        rng = np.random.default_rng(0)
        y = rng.integers(0, 2, 6000)
        return y, np.where(rng.random((7, 6000)) < 0.2, 1 - y, y)

    def test_a_model_that_lost_twenty_points_is_worse(self, world):
        y, votes = world
        votes[1] = np.where(np.arange(6000) % 5 == 0, 1 - votes[0], votes[1])
        d = diff(votes[0], votes[1], floor=list(votes[2:]), label=y, margin=5.0)
        assert {a.question: a.verdict for a in d.answers}["disagreement"] == "within noise"
        assert d.headline.startswith("The new model is worse: accuracy ")

    def test_a_group_whose_recall_fell_to_zero_heads_it(self, world):
        y, votes = world
        group = np.array(["AT", "BR"])[(np.arange(6000) % 20 == 0).astype(int)]
        votes[1] = np.where((group == "BR") & (y == 1), 0, votes[1])
        probs = np.stack([1 - votes, votes], axis=2) * 0.8 + 0.1
        d = diff(probs[0], probs[1], floor=list(probs[2:]), label=y, by={"country": group}, same_within=0.05)
        assert "country=BR: recall 8" in d.headline
        assert "→ 0.0 %" in d.headline

    def test_a_mere_retrain_is_fine_or_inconclusive(self, world):
        y, votes = world
        d = diff(votes[0], votes[1], floor=list(votes[2:]), label=y, by={"g": np.arange(6000) % 3}, same_within=0.05)
        assert [(a.question, a.verdict) for a in d.answers] == [
            ("quality", "no change that matters"),
            ("regressions", "within noise"),
            ("disagreement", "within noise"),
            ("slices", "no significant difference"),
        ]
        assert d.headline.startswith("Quality: no change that matters")

    def test_the_same_model_twice_is_not_within_noise(self, world):
        y, votes = world
        d = diff(votes[0], votes[0], floor=list(votes[2:]), label=y)
        assert {a.question: a.verdict for a in d.answers}["disagreement"] == "identical"
        assert "identical, bit for bit" in d.warnings[0]

    def test_without_anything_nothing_is_claimed(self, world):
        _, votes = world
        d = diff(votes[0], votes[1])
        assert {a.concern for a in d.answers} == {"unknown"}

    def test_a_regression_that_got_worse(self):
        rng = np.random.default_rng(0)
        t = rng.normal(size=500)
        d = diff(t + rng.normal(size=500), t + 2 * rng.normal(size=500), label=t, regression=True)
        assert [a.question for a in d.answers] == ["quality", "disagreement"]
        assert d.headline.startswith("The new model is worse: mean absolute error ")

    def test_a_few_errors_that_grow_far_are_seen(self):
        rng = np.random.default_rng(0)
        t, errors = rng.normal(size=4000), 0.85 * rng.normal(size=4000)
        errors[:80] *= 10
        d = diff(t + rng.normal(size=4000), t + errors, label=t, regression=True)
        absolute, squared = (
            next(q for q in d.quality if q.name == name) for name in ("mean_absolute_error", "root_mean_squared_error")
        )
        assert not absolute.change.excludes_zero
        assert squared.new.value == pytest.approx(np.sqrt(np.mean(errors**2)))
        assert d.headline.startswith("The new model is worse: root mean squared error ")
