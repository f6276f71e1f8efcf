import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.compare import diff
from traintwice.errors import BadInput, TraintwiceError, UnknownName
from traintwice.gates import Budget, gate, gate_file, self_test
from traintwice.statistics._inference import scaled_bounds, wilson


@pytest.fixture
def models(draw):
    probs, y = draw(7, 400, 3)
    return probs, y, np.array(["AT", "BR"], dtype=object)[np.arange(400) % 2]


@pytest.fixture
def binary(draw):
    return draw(7, 600, 2)


class TestOutcome:
    @pytest.mark.parametrize(
        ("at", "point", "bound"),
        [
            ("below", "over", "over"),
            ("low to value", "over", "inconclusive"),
            ("value to high", "kept", "inconclusive"),
            ("above", "kept", "kept"),
        ],
    )
    def test_the_number_or_its_whole_interval_is_compared(self, models, at, point, bound):
        probs, y, _ = models
        e = diff(probs[0], probs[1], label=y)["churn"]
        limit = {
            "below": e.low - 0.01,
            "low to value": (e.low + e.value) / 2,
            "value to high": (e.value + e.high) / 2,
            "above": e.high + 0.01,
        }[at]
        for rule, outcome in (("point", point), ("bound", bound)):
            result = gate(probs[0], probs[1], [Budget("churn", max=limit)], rule=rule, label=y)
            assert result.outcome == outcome
            assert result.exit_status == {"kept": 0, "over": 1, "inconclusive": 3}[outcome]
            mirrored = {"kept": "over", "over": "kept", "inconclusive": "inconclusive"}
            assert gate(probs[0], probs[1], [Budget("churn", min=limit)], rule=rule).outcome == mirrored[outcome]
        assert gate(probs[0], probs[1], [Budget("churn", max=limit)]).outcome == bound  # the default
        assert gate(probs[0], probs[1], [Budget("churn", max=limit, rule="point")], rule="bound").outcome == point

    def test_a_range_is_kept_only_where_both_ends_are(self, models):
        probs, _, _ = models
        e = diff(probs[0], probs[1])["churn"]
        assert gate(probs[0], probs[1], [Budget("churn", min=e.low - 0.01, max=e.high + 0.01)]).outcome == "kept"
        assert gate(probs[0], probs[1], [Budget("churn", min=e.value, max=e.high + 0.01)]).outcome == "inconclusive"
        assert gate(probs[0], probs[1], [Budget("churn", min=e.value, max=e.low - 0.01)]).outcome == "over"

    def test_the_worst_check_is_the_outcome(self, models):
        probs, _, _ = models
        e = diff(probs[0], probs[1])["churn"]
        kept, open_, over = Budget("churn", max=1.0), Budget("churn", max=e.value), Budget("churn", max=0.0)
        assert gate(probs[0], probs[1], [kept, open_]).outcome == "inconclusive"
        result = gate(probs[0], probs[1], [kept, open_, over])
        assert (result.outcome, result.passed) == ("over", False)
        assert [c.budget for c in result.failed] == [over]

    @pytest.mark.parametrize(("counts_as", "status"), [(None, 3), ("pass", 0), ("fail", 1)])
    def test_inconclusive_counts_as_what_is_asked(self, models, counts_as, status):
        probs, _, _ = models
        e = diff(probs[0], probs[1])["churn"]
        result = gate(probs[0], probs[1], [Budget("churn", max=e.value)], inconclusive=counts_as)
        assert (result.outcome, result.exit_status, result.passed) == ("inconclusive", status, status == 0)

    @pytest.mark.parametrize(
        ("budget", "idle"),
        [
            (Budget("churn", max=1), True),
            (Budget("accuracy", min=-1.0), True),
            (Budget("churn", max=0.99), False),
            (Budget("churn", max=1, min=0.1), False),
            (Budget("log_loss", max=1), False),
        ],
    )
    def test_a_limit_that_no_number_passes_is_named(self, models, budget, idle):
        probs, y, _ = models
        assert any("a limit of 1 is 100 %" in note for note in gate(probs[0], probs[1], [budget], label=y).notes) == idle

    def test_three_rows_keep_no_small_budget(self):
        votes = np.zeros((2, 3), int)
        assert gate(votes[0], votes[1], [Budget("churn", max=0.01)]).outcome == "inconclusive"
        assert gate(votes[0], votes[1], [Budget("accuracy", min=-0.01)], label=np.zeros(3, int)).outcome == "inconclusive"

    def test_a_number_without_an_interval_is_inconclusive_by_bound(self, models):
        probs, y, _ = models
        budget = Budget("calibration_error", max=1.0)
        result = gate(probs[0], probs[1], [budget], label=y)
        assert result.outcome == "inconclusive"
        assert result.checks[0].reason.endswith("; there is no interval")
        assert gate(probs[0], probs[1], [budget], rule="point", label=y).outcome == "kept"

    @pytest.mark.parametrize(
        ("budget", "why"),
        [
            (Budget("negative_flips", max=1.0), "negative_flips cannot be checked: needs labels; pass --label COLUMN"),
            (Budget("decisions(0.5)", max=1.0), "decisions(0.5) cannot be checked: needs the probabilities of two classes"),
            (Budget("swapped(5)", max=1.0), "swapped(5) cannot be checked: needs the probabilities of two classes"),
            (
                Budget("negative_flips", max=1.0, against="times floor"),
                "negative_flips / floor cannot be checked: needs labels; pass --label COLUMN",
            ),
            (Budget("recall", min=-1.0), "recall cannot be checked: needs labels; pass --label COLUMN"),
            (Budget("auc", min=-1.0), "auc cannot be checked: needs labels; pass --label COLUMN"),
        ],
    )
    def test_what_has_no_value_is_inconclusive_and_says_why(self, models, budget, why):
        probs, _, _ = models
        result = gate(probs[0], probs[1], [budget], floor=list(probs[2:]), rule="point")
        assert (result.outcome, result.checks[0].reason) == ("inconclusive", why)
        assert json.dumps(result.to_dict(), allow_nan=False)

    def test_an_infinite_loss_is_over(self, models):
        probs, y, _ = models
        probs[1, 3] = np.eye(3)[(y[3] + 1) % 3]
        result = gate(probs[0], probs[1], [Budget("log_loss", max=0.1)], label=y)
        assert result.outcome == "over"

    @pytest.mark.parametrize("rows", [100, 300, 700])
    @pytest.mark.parametrize("lost", [1, 2, 7])
    def test_a_limit_may_be_reached(self, rows, lost):
        """0.98 − 1 is below −0.02 in floating point."""
        votes = np.zeros((2, rows), int)
        votes[1, : lost * rows // 100] = 1
        limits = [Budget("accuracy", min=-lost / 100), Budget("churn", max=lost / 100), Budget("negative_flips", max=lost / 100)]
        result = gate(votes[0], votes[1], limits, label=votes[0], rule="point")
        assert [c.outcome for c in result.checks] == ["kept"] * 3

    @pytest.mark.parametrize("copy_of_old", [True, False])
    def test_copies_are_a_floor_for_no_budget(self, copy_of_old):
        old, new = np.zeros(400, int), np.arange(400) < 4
        retrains = [old if copy_of_old else np.roll(new, 9).astype(int)] * 4
        budgets = [Budget("churn", max=0.5, against="times floor"), Budget("churn", max=0.001, against="minus floor")]
        result = gate(old, new.astype(int), budgets, floor=retrains)
        assert [c.outcome for c in result.checks] == ["inconclusive"] * 2


class TestMeasures:
    @pytest.mark.parametrize("of", ["old", "new", "change"])
    @pytest.mark.parametrize("name", ["accuracy", "recall", "precision", "log_loss", "mean_bias", "auc"])
    def test_quality_is_the_change_or_either_model(self, binary, name, of):
        probs, y = binary
        d = diff(probs[0], probs[1], label=y, which=["mean_bias"], rank=True)
        value = getattr(next(q for q in d.quality if q.name == name), of).value
        for limit, outcome in ((value - 1e-9, "kept"), (value + 1e-9, "over")):
            result = gate(probs[0], probs[1], [Budget(name, min=limit, of=of)], label=y, rule="point")
            assert result.outcome == outcome
        assert result.checks[0].reason.startswith(f"{'' if of == 'change' else of + ' '}{name} is ")
        assert f" {'pp' if of == 'change' else '%'}" in result.checks[0].reason or result.checks[0].unit == "number"

    def test_decisions_and_swap_sets(self, binary):
        probs, _ = binary
        d = diff(probs[0], probs[1], thresholds=[0.3], top_k=[50, 0.1])
        (changed,), swaps = (x.changed.value for x in d.decisions), [1 - s.overlap.value for s in d.swap_sets]
        result = gate(
            probs[0], probs[1],
            [Budget("decisions(0.3)", max=1.0), Budget("swapped(50)", max=1.0), Budget("swapped(0.1)", max=1.0)],
        )  # fmt: skip
        assert_allclose([c.estimate.value for c in result.checks], [changed, *swaps])
        for c in result.checks:
            assert c.estimate.low <= c.estimate.value <= c.estimate.high
        assert result.outcome == "kept"

    @pytest.mark.parametrize("against", ["minus floor", "times floor"])
    @pytest.mark.parametrize("name", ["churn", "negative_flips", "decisions(0.5)", "swapped(60)"])
    def test_against_the_floor(self, binary, name, against):
        probs, y = binary
        d = diff(probs[0], probs[1], floor=list(probs[2:]), label=y, thresholds=[0.5], top_k=[60])
        floors = {f.name: f for f in (*d.floors, d.decisions[0].floor, d.swap_sets[0].floor)}
        expected = floors[name].excess if against == "minus floor" else floors[name].ratio
        budget = Budget(name, max=expected.value + 1e-9, against=against)
        (check,) = gate(probs[0], probs[1], [budget], floor=list(probs[2:]), label=y, rule="point").checks
        assert check.outcome == "kept"
        assert_allclose([check.estimate.value, check.estimate.high], [expected.value, expected.high])
        assert check.unit == ("points" if against == "minus floor" else "number")

    def test_excess_is_churn_minus_its_floor(self, binary):
        probs, _ = binary
        one, other = gate(
            probs[0], probs[1], [Budget("excess", max=0.5), Budget("churn", max=0.5, against="minus floor")],
            floor=list(probs[2:]),
        ).checks  # fmt: skip
        assert one.estimate == other.estimate

    def test_a_regression(self):
        rng = np.random.default_rng(0)
        t = rng.normal(size=500)
        old, new = t + rng.normal(size=(2, 500))
        budgets = [
            Budget("mean_absolute_error", max=1.0),
            Budget("root_mean_squared_error", max=1.0),
            Budget("mean_error", max=1.0, min=-1.0, of="new"),
            Budget("regression_difference", max=2.0),
            Budget("excess", max=3.0),
            Budget("regression_difference", max=9.0, against="times floor"),
        ]
        again = [t + rng.normal(size=500) for _ in range(4)]
        result = gate(old, new, budgets, label=t, regression=True, floor=again)
        assert result.outcome == "kept"


class TestSlices:
    def test_are_checked_one_by_one(self, models, write):
        probs, y, country = models
        paths = write(probs[:2], y, country)
        budgets = [Budget(name, max=0.9, by="country") for name in ("churn", "negative_flips", "log_loss", "accuracy")]
        result = gate(*paths, [*budgets, Budget("churn", max=0.0, by="predicted class")], min_support=10)
        assert [c.value for c in result.checks] == ["AT", "BR"] * 4 + ["0", "1", "2"]
        assert [c.outcome for c in result.checks] == ["kept"] * 8 + ["over"] * 3
        inside = country == "AT"
        alone = diff(probs[0, inside], probs[1, inside], label=y[inside])
        for check, name in zip(result.checks[::2], ("churn", "negative_flips", "log_loss", "accuracy"), strict=False):
            assert_allclose(
                [check.estimate.value, check.estimate.high], [alone[name].value, alone[name].high], rtol=1e-6, err_msg=name
            )
        assert result.checks[0].reason.startswith("churn where country is AT is ")
        with pytest.raises(BadInput, match="nothing was checked: no slice has enough rows"):
            gate(*paths, [Budget("churn", max=1.0, by="country")], min_support=300)
        few = gate(*paths, [Budget("churn", max=0.99, by="country"), Budget("churn", max=0.99)], min_support=300)
        assert few.notes == ("5 slices of fewer than 300 rows were not checked (--min-support)",)
        assert str(few).count("5 slices of fewer than 300 rows") == 1

    def test_one_slice(self, models):
        probs, y, country = models
        options = {"label": y, "by": {"country": country}, "min_support": 10}
        result = gate(probs[0], probs[1], [Budget("recall", min=-1.0, by="country", where="BR")], **options)
        assert [(c.column, c.value) for c in result.checks] == [("country", "BR")]
        (check,) = gate(probs[0], probs[1], [Budget("churn", max=1.0, by="country", where="CH")], **options).checks
        assert (check.outcome, check.value) == ("inconclusive", "CH")
        assert "no slice country=CH has 10 rows or more" in check.reason

    def test_recall_of_one_country(self, binary):
        probs, y = binary
        country = np.array(["AT", "BR"])[(np.arange(600) % 3 == 0).astype(int)]
        probs[1] = np.where(((country == "BR") & (y == 1))[:, None], [0.9, 0.1], probs[1])
        budgets = [Budget("recall", min=-0.05, by="country", where=c) for c in ("AT", "BR")]
        result = gate(probs[0], probs[0], budgets, label=y, by={"country": country}, rule="point")
        assert result.outcome == "kept"
        result = gate(probs[0], probs[1], budgets, label=y, by={"country": country})
        assert result.checks[1].outcome == "over"

    def test_predicted_class_and_period(self, models, write):
        probs, y, _ = models
        days = np.array(["2024-01-05", "2024-02-05"])[np.arange(400) % 2]
        paths = write(probs[:2], y, more={"day": days})
        budgets = [Budget("churn", max=1.0, by="day"), Budget("accuracy", min=-1.0, by="predicted class")]
        result = gate(*paths, budgets, time="day", min_support=10)
        assert [c.column for c in result.checks] == ["day"] * 2 + ["predicted class"] * 3
        assert result.outcome == "kept"

    def test_excess_of_each(self, models):
        probs, _, country = models
        result = gate(
            probs[0], probs[1], [Budget("excess", max=0.9, by="country")], floor=list(probs[2:]), by={"country": country}
        )
        assert result.outcome == "kept"

    @pytest.mark.parametrize(
        ("budget", "message"),
        [
            (Budget("accuracy", max=0.1, by="country", of="new"), "only the change from old to new"),
            (Budget("log_loss", max=0.1, by="country", of="old"), "only the change from old to new"),
            (Budget("decisions(0.5)", max=0.1, by="country"), "has no value by slice"),
            (Budget("churn", max=0.1, by="country", against="minus floor"), "has no value by slice"),
            (Budget("fleiss_kappa", max=0.1, by="country"), "fleiss_kappa has no value by slice"),
            (Budget("auc", min=0.1, by="country"), "auc has no value by slice: it is neither a mean over rows"),
        ],
    )
    def test_what_has_no_value_by_slice_is_refused(self, models, budget, message):
        probs, y, country = models
        with pytest.raises(BadInput, match=message):
            gate(probs[0], probs[1], [budget], label=y, by={"country": country}, floor=list(probs[2:]))


def test_options_are_those_of_diff(models):
    probs, y, country = models
    result = gate(
        probs[0], probs[1], [Budget("churn", max=1.0)], label=y, which=["hellinger"], by={"c": country}, by_slice=["log_loss"],
        level=0.8,
    )  # fmt: skip
    assert "hellinger" in {m.name for m in result.diff.measures}
    assert "log_loss" in result.diff.slices[0].measures
    assert result.diff.level == result.checks[0].estimate.level == 0.8


def test_waived_ids_do_not_count(models, write):
    probs, y, _ = models
    paths = write(probs[:2], y)
    changed = np.nonzero(probs[0].argmax(axis=1) != probs[1].argmax(axis=1))[0]
    result = gate(*paths, [Budget("churn", max=0.0)], waive=[str(n) for n in changed], rule="point")
    assert result.outcome == "kept"
    assert result.diff.waived == len(changed)


def test_a_file_has_everything(models, write, tmp_path):
    probs, y, country = models
    write(probs, y, country)
    text = """
        old = "m0.parquet"
        new = "m1.parquet"
        floor = "m[2-6].parquet"
        by = "country"
        rule = "point"
        waive = [3, "5"]
        budgets = [{measure = "churn", max = "90%"}, {measure = "negative_flips", max = 0.001, by = "country"}]
    """
    (tmp_path / "gate.toml").write_text(text)
    result = gate_file(tmp_path / "gate.toml")
    assert [c.outcome for c in result.checks] == ["kept", "over", "over"]
    assert (result.diff.floor.retrains, result.diff.waived) == (5, 2)
    assert gate_file(tmp_path / "gate.toml", budgets=[Budget("churn", max=1.0)]).passed


def test_bad_gates(models, tmp_path):
    probs, _, _ = models
    with pytest.raises(BadInput, match="no budget was given"):
        gate(probs[0], probs[1], [])
    with pytest.raises(UnknownName, match="Did you mean 'negative_flips'"):
        gate(probs[0], probs[1], [Budget("negative_flip", max=0.1)])
    with pytest.raises(BadInput, match="a budget on excess needs retrains"):
        gate(probs[0], probs[1], [Budget("excess", max=0.5)])
    with pytest.raises(BadInput, match="a budget on churn times floor needs retrains"):
        gate(probs[0], probs[1], [Budget("churn", max=0.5, against="times floor")])
    with pytest.raises(BadInput, match=r"accuracy minus floor: only churn, .* have a noise floor"):
        gate(probs[0], probs[1], [Budget("accuracy", max=0.5, against="minus floor")], label=models[1], floor=list(probs[2:]))
    with pytest.raises(BadInput, match=r"decisions\(e\): got 'e', expected a number"):
        gate(probs[0], probs[1], [Budget("decisions(e)", max=0.5)])
    with pytest.raises(BadInput, match="cannot be read"):
        gate_file(tmp_path / "none.toml")
    (tmp_path / "gate.toml").write_text("budgets = [{measure = 'churn', max = 1}]")
    with pytest.raises(TraintwiceError, match="old is missing"):
        gate_file(tmp_path / "gate.toml")


@pytest.fixture
def again():
    rng = np.random.default_rng(0)
    return [np.where(rng.random(600) < 0.1, 1, 0) for _ in range(5)]


def test_counts_the_outcomes_of_every_ordered_pair(again):
    budget = Budget("churn", max=0.18, rule="point")
    found = self_test(again, [budget])
    over = np.array([[a is not b and gate(a, b, [budget]).outcome == "over" for b in again] for a in again])
    assert found.pairs == 20
    assert_allclose(found.over.value, over.sum() / 20)
    assert 0 < found.over.value < 1
    dropped = [np.delete(np.delete(over, m, 0), m, 1).sum() / 12 for m in range(5)]
    variance = 4 / 5 * np.sum((np.array(dropped) - np.mean(dropped)) ** 2)
    p = found.over.value
    assert_allclose([found.over.low, found.over.high], scaled_bounds(p, stats.t.ppf(0.975, 4) * np.sqrt(variance), "logit"))
    assert found.inconclusive.value == 0
    assert found.by_budget == (("churn", 20 - over.sum(), over.sum(), 0),)
    assert f"over in {100 * p:.0f} %" in found.sentence


def test_never_over_is_not_certainty(again):
    found = self_test(again, [Budget("churn", max=0.9)])
    assert (found.over.value, found.over.low) == (0, 0)
    assert_allclose(found.over.high, 1 - 0.025 ** (1 / 2))
    assert "of which 2 share no retrain" in found.sentence


def test_a_tight_budget_is_inconclusive_by_bound(again):
    found = self_test(again, [Budget("churn", max=0.18)])
    assert found.inconclusive.value == 1
    assert found.by_budget == (("churn", 0, 0, 20),)


def test_the_other_retrains_are_the_floor(again):
    budget = Budget("churn", max=2.0, against="times floor", rule="point")
    found = self_test(again, [budget])
    expected = [
        gate(a, b, [budget], floor=[c for c in again if c is not a and c is not b]).outcome
        for a in again
        for b in again
        if a is not b
    ]
    assert found.by_budget == (("churn / floor", *(expected.count(o) for o in ("kept", "over", "inconclusive"))),)


def test_slices_are_counted_apart(again, write):
    country = np.array(["AT", "BR"], dtype=object)[np.arange(600) % 2]
    budgets = [Budget("churn", max=0.9, by="country"), Budget("churn", max=0.0, by="predicted class", rule="point")]
    found = self_test(write(again, groups=country), budgets, min_support=10)
    assert found.by_budget == (
        ("churn where country is AT", 20, 0, 0),
        ("churn where country is BR", 20, 0, 0),
        ("churn where predicted class is 0", 0, 20, 0),
        ("churn where predicted class is 1", 0, 20, 0),
    )
    assert found.over.value == 1
    assert len(found.models) == 5


def test_self_test_of_periods(again, write):
    days = np.array(["2024-01-05", "2024-02-05"])[np.arange(600) % 2]
    found = self_test(write(again, more={"day": days}), [Budget("churn", max=0.9, by="day")], time="day", min_support=10)
    assert [name.split(" is ")[0] for name, *_ in found.by_budget] == ["churn where day"] * 2


@pytest.mark.parametrize(
    ("retrains", "budget", "options", "message"),
    [
        (2, Budget("churn", max=0.1), {}, "expected at least 3 retrains, got 2"),
        (4, Budget("excess", max=0.1), {}, "expected at least 5 retrains, got 4"),
        (5, Budget("churn", max=0.1), {"floor": [1]}, "leave out --floor"),
    ],
)
def test_retrains_that_cannot_be_tested_are_refused(again, retrains, budget, options, message):
    with pytest.raises(BadInput, match=message):
        self_test(again[:retrains], [budget], **options)


def test_with_nothing_changed_a_budget_against_the_floor_is_rarely_over():
    rng = np.random.default_rng(0)
    votes = (rng.random((6, 400)) < 0.15).astype(int)
    assert self_test(list(votes), [Budget("churn", max=1.0, against="times floor")]).over.value <= 0.05


def test_self_test_without_variation_between_models_has_wilsons_interval():
    """Two pairs of copies: each of four models is over against two of the other three."""
    votes = np.zeros((4, 200), int)
    votes[2:, :100] = 1
    found = self_test(list(votes), [Budget("churn", max=0.2)])
    assert found.over.value == pytest.approx(2 / 3)
    assert_allclose([found.over.low, found.over.high], wilson(2 / 3, 2, 0.95))
