"""Tables and columns in Python: pandas, Polars, Arrow, relations of DuckDB, labels that are text."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from traintwice.compare import diff
from traintwice.errors import BadInput
from traintwice.predictions import open_predictions

FRAME = pd.DataFrame({"id": [4, 2, 9], "p_0": [0.7, 0.2, 0.4], "p_1": [0.3, 0.8, 0.6], "y": [0, 1, 1]})
CONNECTION = duckdb.connect()  # kept: before 1.5 a relation does not keep its own
TABLES = {
    "pandas": lambda: FRAME,
    "index of pandas": lambda: FRAME.set_index("id"),
    "Polars": lambda: pl.from_pandas(FRAME),
    "lazy Polars": lambda: pl.from_pandas(FRAME).lazy(),
    "Arrow": lambda: pa.Table.from_pandas(FRAME),
    "DuckDB": lambda: CONNECTION.from_arrow(pa.Table.from_pandas(FRAME)),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_table(kind):
    with open_predictions([TABLES[kind]()]) as opened:
        found = opened.read()
    assert found.ids.tolist() == [4, 2, 9]
    assert found.probs[0].tolist() == FRAME[["p_0", "p_1"]].to_numpy().tolist()
    assert found.labels.tolist() == [0, 1, 1]


def churn(found):
    return {m.name: m.estimate.value for m in found.measures}["churn"]


@pytest.mark.parametrize("of", [pd.Series, pl.Series, np.array])
def test_columns_are_arrays(of):
    found = diff(of([0.1, 0.9, 0.8]), of([0.1, 0.2, 0.8]), label=of([0, 1, 1]))
    assert churn(found) == pytest.approx(1 / 3)
    assert {q.name: (q.old.value, q.new.value) for q in found.quality}["accuracy"] == pytest.approx((1, 2 / 3))


@pytest.mark.parametrize("of", [pd.Series, pl.Series, np.array])
def test_labels_that_are_text(of):
    found = diff(of(["cat", "dog", "fox", "dog"]), of(["cat", "cat", "fox", "dog"]), label=of(["cat", "dog", "cat", "dog"]))
    assert churn(found) == 0.25
    assert found.alignment.class_names == ("cat", "dog", "fox")
    assert {q.name: (q.old.value, q.new.value) for q in found.quality}["accuracy"] == (0.75, 0.5)


def test_probabilities_with_labels_that_are_text():
    old, new = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.9, 0.1], [0.7, 0.3]])
    found = diff(old, new, label=np.array(["no", "yes"]), classes=["no", "yes"])
    assert {q.name: (q.old.value, q.new.value) for q in found.quality}["accuracy"] == (1, 0.5)


def test_an_array_next_to_tables():
    new = FRAME.assign(p_0=[0.1, 0.2, 0.4], p_1=[0.9, 0.8, 0.6])
    found = diff(
        FRAME.drop(columns="y"), new.drop(columns="y"), label=np.array([0, 1, 0]), by=np.array(["a", "b", "a"]), min_support=1
    )
    assert {q.name: (q.old.value, q.new.value) for q in found.quality}["accuracy"] == pytest.approx((2 / 3, 1 / 3))
    assert "by" in {s.column for s in found.slices}


def names_of(labels, names):
    return np.array([names[k] for k in labels])


@pytest.mark.parametrize("names", [(0, 1, 2), (1, 2, 3), ("cat", "dog", "fox")])
@pytest.mark.parametrize("soft", [True, False])
def test_fitted_estimators(names, soft):
    from sklearn.linear_model import LogisticRegression, RidgeClassifier

    stream = np.random.default_rng(0)
    inputs, truth = stream.normal(size=(60, 4)), stream.integers(0, 3, 60)
    labels = names_of(truth, names)
    kind = LogisticRegression if soft else RidgeClassifier
    old, new = (kind().fit(inputs[rows], labels[rows]) for rows in (slice(0, 40), slice(20, 60)))
    found = diff(old, new, X=inputs, label=labels)
    assert churn(found) == pytest.approx((old.predict(inputs) != new.predict(inputs)).mean())
    quality = {q.name: (q.old.value, q.new.value) for q in found.quality}
    assert quality["accuracy"] == pytest.approx((old.score(inputs, labels), new.score(inputs, labels)))
    assert ("log_loss" in quality) == soft


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("low", [False, -1, 1, 1.0, 0.0, 0])
def test_classes_of_fitted_estimators_that_do_not_count_from_0(soft, low):
    from sklearn.linear_model import LogisticRegression, RidgeClassifier

    rng = np.random.default_rng(0)
    inputs, kind = rng.normal(size=(60, 2)), type(low)
    high = kind(low + 2) if low == -1 else kind(low + 1)
    labels = np.where(inputs[:, 0] + rng.normal(size=60) > 0, high, low)
    old, new = ((LogisticRegression if soft else RidgeClassifier)().fit(inputs[:n], labels[:n]) for n in (20, 60))
    found = diff(old, new, X=inputs, label=labels)
    quality = {q.name: (q.old.value, q.new.value) for q in found.quality}
    assert quality["accuracy"] == pytest.approx((old.score(inputs, labels), new.score(inputs, labels)))
    assert found["churn"].value == (old.predict(inputs) != new.predict(inputs)).mean()


def test_fitted_regressors():
    from sklearn.linear_model import LinearRegression

    inputs = np.random.default_rng(0).normal(size=(30, 2))
    old, new = (LinearRegression().fit(inputs[:n], inputs[:n, 0] ** 2) for n in (15, 30))
    assert diff(old, new, X=inputs).regression


PLAIN = FRAME.drop(columns="y")
REFUSED = {
    "another length": (lambda: diff(PLAIN, PLAIN, label=np.array([0, 1])), "the table has 3 rows and 'label of rows' 2 entries"),
    "tables in another order": (
        lambda: diff(PLAIN, PLAIN.iloc[[1, 0, 2]].reset_index(drop=True), label=np.array([0, 1, 1])),
        "2 of 3 rows have another label",
    ),
    "another index": (lambda: diff(pd.Series([0.1, 0.9]), pd.Series([0.1, 0.2], index=[1, 0])), "have different indices"),
    "another index by position": (
        lambda: diff(*(pd.DataFrame({"p": [0.1, 0.9]}, index=index) for index in ([0, 1], [1, 0])), by_position=True),
        "have different indices",
    ),
    "no class in common": (lambda: diff(np.array(["a", "b"]), np.array(["c", "d"])), "different label maps"),
    "no estimator": (lambda: diff(np.array([0, 1]), np.array([0, 1]), X=np.zeros((2, 1))), "expected a fitted estimator"),
    "an array with a file": (lambda: diff("a.csv", "b.csv", label=np.array([0, 1])), "no such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(case):
    act, message = REFUSED[case]
    with pytest.raises(BadInput, match=message):
        act()
