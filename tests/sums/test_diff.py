"""Comparisons from sums give every number, interval, slice and verdict of comparisons of the rows."""

import math

import pyarrow as pa
import pytest
from models import assert_equal, assert_same, model, sums_of

from traintwice import Budget, diff, gate
from traintwice.errors import BadInput
from traintwice.sums import diff_sums, gate_sums, read

CASES = {
    "score": ({"score": "p", "thresholds": [0.5, 0.3]}, {}),
    "score clustered": ({"score": "p", "cluster": ["user"], "thresholds": [0.5]}, {}),
    "score weighted": ({"score": "p", "weight": "w", "thresholds": [0.5]}, {}),
    "score weighted and clustered": ({"score": "p", "weight": "w", "cluster": "user"}, {"labelled": "all"}),
    "four classes": ({"probs": ["p_0", "p_1", "p_2", "p_3"]}, {"classes": 4}),
    "two columns": ({"probs": ["p_0", "p_1"]}, {"labelled": "all"}),
    "labels clustered by two columns": ({"pred": "yhat", "cluster": ["user", "segment"]}, {"classes": 5}),
    "no labels": ({"score": "p", "label": None}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_number_is_that_of_the_rows(case):
    options, how = CASES[case]
    kind = next(k for k in ("score", "probs", "pred") if k in options)
    old, new = (model(seed, kind, **how) for seed in (1, 2))
    options = {"label": "y", "by": ["country", "segment"]} | options
    found = diff_sums(sums_of(old, new, **options), min_support=20)
    predicted = options.pop(kind)
    if options["label"] is None:
        old, new = (table.drop_columns("y") for table in (old, new))
    expected = diff(old, new, probs=predicted, min_support=20, details=True, which=["log_loss"], **{**options, "id": "id"})
    measures = {"churn", *({"total_variation"} if kind != "pred" else ())}
    measures |= {"negative_flips", "positive_flips", "churn_correct"} if options["label"] else set()
    assert_equal(found, expected, expected_measures=measures)
    assert ("log_loss" in {q.name for q in found.quality}) == (kind != "pred" and options["label"] is not None)
    assert "needs the rows" in found.left_out["regressed"]
    assert found.regressed == ()
    assert "regressed" in str(found.to_dict()["left_out"])


def test_an_infinite_loss():
    old, new = (model(seed) for seed in (1, 2))
    p = new["p"].to_numpy().copy()
    y = new["y"].to_numpy(zero_copy_only=False)
    p[(y == 1).argmax()] = 0.0
    new = new.set_column(new.column_names.index("p"), "p", pa.array(p))
    found = diff_sums(sums_of(old, new, score="p", label="y"))
    expected = diff(old, new, id="id", label="y", probs="p", details=True)
    ours, theirs = (next(q for q in d.quality if q.name == "log_loss") for d in (found, expected))
    assert ours.new.value == theirs.new.value == math.inf
    assert_same(ours.old.to_dict(), theirs.old.to_dict())
    assert ours.p_value is theirs.p_value is None
    assert found.infinite == {"log_loss": "in 1 row of the new model"}


def test_identical_models():
    old = model(1)
    found = diff_sums(sums_of(old, old, score="p", label="y"))
    assert found.identical == (("v1", "v2"),)
    assert found["churn"].value == 0


def test_names_of_classes():
    names = pa.array(["ham", "spam"])
    old, new = (model(seed, "pred", labelled="all") for seed in (1, 2))
    texts = [t.set_column(t.column_names.index(c), c, names.take(t[c])) for t in (old, new) for c in ("y",)]
    texts = [t.set_column(t.column_names.index("yhat"), "yhat", names.take(t["yhat"])) for t in texts]
    found = diff_sums(sums_of(*texts, pred="yhat", label="y", classes=["ham", "spam"]), min_support=20)
    expected = diff(
        *texts, id="id", probs="yhat", label="y", classes=["ham", "spam"], positive="spam", min_support=20, details=True
    )
    assert_equal(found, expected, expected_measures={"churn", "negative_flips"})
    assert [s.value for s in found.predicted] == [s.value for s in expected.predicted]


def test_the_gate():
    old, new = (model(seed, labelled="all") for seed in (1, 2))
    lines = sums_of(old, new, score="p", label="y", by="country", thresholds=[0.5])
    budgets = [Budget("churn", max=0.3), Budget("accuracy", min=-0.001), Budget("decisions(0.5)", max=0.01)]
    budgets += [Budget("churn", max=0.2, by="country"), Budget("negative_flips", max=0.02, by="country", where="AT")]
    found = gate_sums(lines, budgets, min_support=20)
    expected = gate(old, new, budgets, id="id", label="y", probs="p", min_support=20)
    assert [(c.outcome, c.reason) for c in found.checks] == [(c.outcome, c.reason) for c in expected.checks]
    assert found.outcome == expected.outcome
    bad = {
        "no slices of 'planet'": Budget("churn", max=0.1, by="planet"),
        "no decisions at 0.7": Budget("decisions(0.7)", max=0.1),
        "needs the rows": Budget("auc", min=-0.1),
        r"needs the rows.*": Budget("swapped(10)", max=0.1),
        "by slice: needs the rows": Budget("log_loss", max=0.1, by="country"),
        "a noise floor needs the rows of retrains": Budget("churn", max=1.5, against="times floor"),
    }
    for message, budget in bad.items():
        with pytest.raises(BadInput, match=message):
            gate_sums(read(lines), [budget])


def test_options_out_of_range():
    lines = sums_of(model(1), model(2), score="p")
    for options in ({"level": 2}, {"min_support": 0}, {"same_within": 1.5}, {"on_missing": "maybe"}):
        with pytest.raises(BadInput, match=next(iter(options))):
            diff_sums(lines, **options)
