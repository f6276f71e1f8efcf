"""Estimators as trainings: churn over seeds and over data; XGBoost, LightGBM and CatBoost in `make test-frameworks`."""

from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from heavy import heavy
from traintwice import replicate
from traintwice.errors import BadInput, BadSpec, StoreError, TrainingFailed
from traintwice.integrations.estimators import EstimatorTraining
from traintwice.replication import Run

X, Y = load_breast_cancer(return_X_y=True)
NAMES = np.array(["bad", "good"])[Y]
PARTS = (X[:200], NAMES[:200], X[200:], NAMES[200:])
SOURCES = {"seeds": ["seed"], "data": ["data"]}


def estimator(name):
    options = {"n_estimators": 10, "max_depth": 3}
    if name == "sklearn":
        return HistGradientBoostingClassifier(max_iter=10)
    module = pytest.importorskip(name, reason=f"{name} is not installed (make test-frameworks)")
    if name == "xgboost":
        return module.XGBClassifier(**options, n_jobs=1)
    if name == "lightgbm":
        return module.LGBMClassifier(**options, n_jobs=1, verbose=-1)
    return module.CatBoostClassifier(
        iterations=10, depth=3, thread_count=1, verbose=False, allow_writing_files=False, random_strength=0, bootstrap_type="No"
    )


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["sklearn", "xgboost", "lightgbm", "catboost"])
def test_boosting_has_no_churn_over_seeds_and_much_over_data(name, tmp_path):
    model = estimator(name)
    parts = (X[:200], Y[:200], X[200:], Y[200:]) if name == "xgboost" else PARTS  # XGBoost takes numbers alone
    train = EstimatorTraining(model, *parts, rows="bootstrap")
    study = replicate(
        train, replicas=3, recipes={"seeds": {}, "data": {}}, vary=SOURCES, store=tmp_path / "runs", executor="in-process"
    )
    assert study.measure("seeds")["churn"].value == 0
    assert study.measure("data")["churn"].value > 0.02
    assert study.measure("data")["accuracy"].value > 0.85


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
def test_seeds_of_boosting_are_found(name):
    """With rows drawn inside the estimator, seeds have an effect."""
    module = pytest.importorskip(name, reason=f"{name} is not installed (make test-frameworks)")
    model = {
        "xgboost": lambda: module.XGBClassifier(n_estimators=10, subsample=0.5, n_jobs=1),
        "lightgbm": lambda: module.LGBMClassifier(n_estimators=10, subsample=0.5, subsample_freq=1, n_jobs=1, verbose=-1),
        "catboost": lambda: module.CatBoostClassifier(iterations=10, thread_count=1, verbose=False, allow_writing_files=False),
    }[name]()
    train = EstimatorTraining(make_pipeline(StandardScaler(), model), X[:200], Y[:200], X[200:], Y[200:])
    first, again, other = (train(Run("base", m)).probs for m in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@heavy
def test_in_processes_with_settings(tmp_path):
    train = EstimatorTraining(make_pipeline(StandardScaler(), RandomForestClassifier(5)), *PARTS)
    recipes = {"base": {}, "deep": {"randomforestclassifier__max_depth": 9}}
    study = replicate(train, replicas=2, recipes=recipes, store=tmp_path / "runs")
    assert study.measure("deep")["churn"].value > 0
    changed = EstimatorTraining(make_pipeline(StandardScaler(), RandomForestClassifier(6)), *PARTS)
    with pytest.raises(StoreError, match=r"was trained with other code .*arguments of EstimatorTraining changed since"):
        replicate(changed, replicas=3, recipes=recipes, store=tmp_path / "runs")


def shifted(run, by):
    return np.full((4, 2), 0.5) + np.array([by, -by]) * run.stream("init").normal()


def test_arguments_of_a_partial_are_part_of_the_code(tmp_path):
    options = {"replicas": 1, "store": tmp_path / "runs", "executor": "in-process"}
    replicate(partial(shifted, by=0.01), **options)
    with pytest.raises(StoreError, match="arguments of shifted changed since"):
        replicate(partial(shifted, by=0.02), **options)


def test_other_estimators():
    assert EstimatorTraining(LinearSVC(), *PARTS)(Run("base", 0)).votes.shape == (1, len(X) - 200)
    numbers = EstimatorTraining(LinearRegression(), X[:200], X[:200, 0], X[200:])(Run("base", 0))
    np.testing.assert_allclose(numbers, X[200:, 0], rtol=1e-6)
    few = EstimatorTraining(DecisionTreeClassifier(), X[:4], np.array([0, 1, 2, 2]), X[4:], rows="bootstrap")
    assert {few(Run("base", m)).probs.shape for m in range(5)} == {(1, len(X) - 4, 3)}


def test_bad_inputs(tmp_path):
    with pytest.raises(BadSpec, match="rows: got 'half', expected 'all', 'bootstrap' or a share"):
        EstimatorTraining(LinearSVC(), *PARTS, rows="half")
    with pytest.raises(BadInput, match="no training row has the label 'odd'; the labels are"):
        EstimatorTraining(LinearSVC(), *PARTS[:3], np.array(["odd"] * (len(X) - 200)))(Run("base", 0))
    with pytest.raises(TrainingFailed, match='vary: "data" has no effect'):
        replicate(EstimatorTraining(LinearSVC(), *PARTS), replicas=2, vary=["data"], store=tmp_path / "a", executor="in-process")
