"""The estimators pass scikit-learn's own checks, work in its searches, and compute what they say."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_regression
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator

from heavy import heavy
from traintwice.errors import BadInput
from traintwice.integrations.estimators import (
    AntiDistilledClassifier,
    CoDistilledClassifier,
    LoggedDistillation,
    SeedAverage,
    SelectiveEnsemble,
    churn_scorer,
    least_churn,
    with_random_state,
)

NETWORK = {"hidden": (16,), "epochs": 12, "learning_rate": 0.02}
CHECKED = [
    SeedAverage(DecisionTreeClassifier(), n_fits=2),
    SeedAverage(LinearSVC(), n_fits=2),
    SeedAverage(DecisionTreeRegressor(), n_fits=2),
    SelectiveEnsemble(DecisionTreeClassifier(), n_fits=2, alpha=0.5),
    LoggedDistillation(LogisticRegression(), None),
    LoggedDistillation(Ridge(), None),
    CoDistilledClassifier(**NETWORK),
    AntiDistilledClassifier(**NETWORK),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(
            estimator,
            check,
            id=f"{type(estimator).__name__}-{i}-{check.func.__name__}",
            marks=[heavy] if isinstance(original, AntiDistilledClassifier) else [],  # all its code is the other one's too
        )
        for i, original in enumerate(CHECKED)
        for estimator, check in estimator_checks_generator(original)
    ],
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:400] / 16, y[:400], x[400:800] / 16, y[400:800]


@pytest.fixture(scope="module")
def few_digits(digits):
    """Three classes, eight pixels: fits take milliseconds."""
    x, y, new, labels = digits
    kept, tested = np.isin(y, [3, 8, 9]), np.isin(labels, [3, 8, 9])
    return x[kept][:, 10:50:5], y[kept], new[tested][:, 10:50:5], labels[tested]


def test_average_is_the_mean_of_seeded_fits(digits):
    x, y, new, _ = digits
    model = SeedAverage(RandomForestClassifier(5), n_fits=3, random_state=1).fit(x, y)
    seeds = np.random.RandomState(1).randint(2**31 - 1, size=3)
    fits = [with_random_state(RandomForestClassifier(5), int(seed)).fit(x, y) for seed in seeds]
    expected = np.mean([one.predict_proba(new) for one in fits], axis=0)
    np.testing.assert_allclose(model.predict_proba(new), expected, rtol=0, atol=1e-15)
    assert not np.array_equal(fits[0].predict_proba(new), fits[1].predict_proba(new))
    again = clone(model).fit(x, y)
    assert np.array_equal(again.predict_proba(new), model.predict_proba(new))


def test_an_average_changes_less_between_retrains_than_one_fit(digits):
    x, y, new, _ = digits

    def churn(model):
        first, second = (clone(model).set_params(random_state=seed).fit(x, y).predict(new) for seed in (0, 1))
        return (first != second).mean()

    assert churn(SeedAverage(DecisionTreeClassifier(max_features=8), n_fits=15)) < 0.6 * churn(
        DecisionTreeClassifier(max_features=8)
    )


def test_bagged_fits_that_miss_a_class_are_aligned():
    x = np.arange(12.0)[:, None]
    y = np.array(["a"] * 10 + ["b", "c"])
    model = SeedAverage(DecisionTreeClassifier(), n_fits=6, bootstrap=True, random_state=0).fit(x, y)
    assert min(len(one.classes_) for one in model.estimators_) < 3
    assert model.predict_proba(x).shape == (12, 3)
    np.testing.assert_allclose(model.predict_proba(x).sum(1), 1)
    assert set(model.predict(x)) <= {"a", "b", "c"}


def test_votes_without_probabilities_and_means_of_numbers(digits):
    x, y, new, _ = digits
    model = SeedAverage(SGDClassifier(max_iter=5, tol=None), n_fits=3, random_state=0).fit(x, y)
    assert not hasattr(model, "predict_proba")
    votes = np.stack([one.predict(new) for one in model.estimators_])
    expected = [np.bincount(column, minlength=10).argmax() for column in votes.T]
    assert np.array_equal(model.predict(new), expected)
    numbers, targets = make_regression(60, 3, random_state=0)
    average = SeedAverage(DecisionTreeRegressor(max_depth=2), n_fits=4, bootstrap=True, random_state=0).fit(numbers, targets)
    np.testing.assert_allclose(average.predict(numbers), np.mean([one.predict(numbers) for one in average.estimators_], axis=0))
    assert 0.3 < average.score(numbers, targets) < 1


def test_weights_reach_the_fits(digits):
    x, y, new, _ = digits
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    model = SeedAverage(LogisticRegression(C=0.1), n_fits=1).fit(x, y, sample_weight=weights)
    expected = LogisticRegression(C=0.1).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(model.predict_proba(new), expected.predict_proba(new), atol=1e-12)
    with pytest.raises(BadInput, match=r"KNeighborsClassifier\.fit does not take it"):
        SeedAverage(KNeighborsClassifier()).fit(x, y, sample_weight=weights)


def test_equal_fits_are_named(digits):
    x, y, *_ = digits
    with pytest.warns(UserWarning, match="has no random_state, so all fits are equal; pass bootstrap=True"):
        SeedAverage(KNeighborsClassifier()).fit(x, y)
    with pytest.raises(BadInput, match="n_fits"):
        SeedAverage(DecisionTreeClassifier(), n_fits=0).fit(x, y)


def test_seeds_are_set_at_every_depth():
    class Catboost(LogisticRegression):
        def __init__(self, random_seed=None):
            super().__init__()
            self.random_seed = random_seed

        _parameter_constraints = {}  # noqa: RUF012

    inner = make_pipeline(StandardScaler(), SeedAverage(DecisionTreeClassifier()))
    search = GridSearchCV(inner, {"seedaverage__n_fits": [2]}, cv=KFold(3, shuffle=True))
    one, same, other = with_random_state(search, 5), with_random_state(search, 5), with_random_state(search, 6)
    found = [[s.cv.random_state, s.estimator[1].random_state, s.estimator[1].estimator.random_state] for s in (one, same, other)]
    assert found[0] == found[1]
    assert len({*found[0], *found[2]}) == 6
    assert search.cv.random_state is None
    assert with_random_state(Catboost(), 1).random_seed is not None


def test_selective_ensemble_abstains_by_the_binomial_test(digits):
    x, y, new, labels = digits
    model = SelectiveEnsemble(DecisionTreeClassifier(), n_fits=12, alpha=0.1, bootstrap=True, random_state=0, abstain_label=-1)
    model.fit(x, y)
    votes = np.stack([one.predict(new) for one in model.estimators_])
    expected = []
    for column in votes.T:
        counts = np.sort(np.bincount(column, minlength=10))
        expected.append(binomtest(counts[-1], counts[-1] + counts[-2], 0.5).pvalue > 0.1)
    assert np.array_equal(model.abstains(new), expected)
    assert 0 < np.mean(expected) < 1
    predicted = model.predict(new)
    assert np.array_equal(predicted == -1, expected)
    result = model.coverage(new, labels)
    answered = ~np.array(expected)
    assert result.coverage == answered.mean()
    assert result.accuracy == (predicted == labels)[answered].mean()
    assert result.wrong == pytest.approx(result.coverage * (1 - result.accuracy))
    other = clone(model).set_params(random_state=1).fit(x, y).predict(new)
    both = answered & (other != -1)
    plain = model.set_params(abstain_label=None).predict(new)
    assert (predicted != other)[both].mean() < 0.02 < (plain != DecisionTreeClassifier().fit(x, y).predict(new)).mean()


def test_selective_ensembles_too_small_for_an_answer_are_refused(digits):
    x, y, *_ = digits
    with pytest.raises(BadInput, match=r"p = 0\.0625, above alpha = 0\.05.*at least 6"):
        SelectiveEnsemble(DecisionTreeClassifier(), n_fits=5).fit(x, y)
    with pytest.raises(BadInput, match="expected a classifier"):
        SelectiveEnsemble(DecisionTreeRegressor()).fit(x, y)
    with pytest.raises(BadInput, match="alpha"):
        SelectiveEnsemble(DecisionTreeClassifier(), alpha=1.0).fit(x, y)


def test_mixed_targets_minimise_the_cross_entropy_of_logged_distillation():
    """The gradient of the sum over rows of the loss that traintwice.losses defines is 0 at the fit."""
    torch = pytest.importorskip("torch")
    from traintwice.losses import LoggedDistillation as Loss
    from traintwice.losses import Outputs

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = (x @ rng.normal(size=(4, 3)) + rng.gumbel(size=(200, 3))).argmax(1)
    old = rng.dirichlet(np.ones(3), 200)
    weights = rng.integers(1, 4, 200).astype(float)
    fit = LoggedDistillation(LogisticRegression(C=1e10, tol=1e-10, max_iter=10_000), share=0.3).fit(x, y, weights, old)
    coefficients = torch.tensor(fit.estimators_[0].coef_.T, requires_grad=True)
    logits = torch.from_numpy(x) @ coefficients + torch.from_numpy(fit.estimators_[0].intercept_)
    rows = np.repeat(np.arange(200), weights.astype(int))
    out = Outputs(logits[rows][None], torch.from_numpy(y[rows]), teacher=torch.from_numpy(old[rows]).log())
    Loss(0.3)(out).backward()
    assert coefficients.grad.abs().max() < 1e-5


def test_share_of_one_is_the_old_model_and_of_zero_the_labels(few_digits):
    x, y, new, _ = few_digits
    old = LogisticRegression(C=0.01).fit(x[:60], y[:60])
    alone = LogisticRegression().fit(x, y).predict_proba(new)
    for share, least, most in ((0.0, 0.0, 1e-12), (0.5, 1e-3, 1.0)):
        model = LoggedDistillation(LogisticRegression(), FrozenEstimator(old), share=share).fit(x, y)
        assert least <= np.abs(model.predict_proba(new) - alone).max() <= most
    strong = LoggedDistillation(LogisticRegression(C=100, max_iter=500), FrozenEstimator(old), share=1.0).fit(x, y)
    assert np.abs(strong.predict_proba(x) - old.predict_proba(x)).max() < 0.1
    logged = LoggedDistillation(LogisticRegression(), share=0.5).fit(x, y, logged=old.predict_proba(x))
    same = LoggedDistillation(LogisticRegression(), FrozenEstimator(old), share=0.5).fit(x, y)
    np.testing.assert_allclose(logged.predict_proba(new), same.predict_proba(new), atol=1e-12)


def test_regressors_are_fitted_to_mixed_numbers():
    x, y = make_regression(80, 3, noise=5, random_state=0)
    old = np.random.default_rng(0).normal(size=80)
    model = LoggedDistillation(LinearRegression(), share=0.25).fit(x, y, logged=old)
    np.testing.assert_allclose(model.predict(x), LinearRegression().fit(x, 0.25 * old + 0.75 * y).predict(x))
    frozen = FrozenEstimator(LinearRegression().fit(x[:40], y[:40]))
    mixed = 0.5 * frozen.predict(x) + 0.5 * y
    fit = LoggedDistillation(Ridge(), frozen).fit(x, y)
    np.testing.assert_allclose(fit.predict(x), Ridge().fit(x, mixed).predict(x))
    with pytest.raises(BadInput, match=r"shape \(79,\), expected \(80,\)"):
        LoggedDistillation(Ridge()).fit(x, y, logged=old[:-1])


def test_a_logged_class_that_the_labels_lack_is_kept():
    x, y = np.arange(6.0)[:, None], np.array(["b", "c"] * 3)
    old = np.tile([0.2, 0.3, 0.5], (6, 1))
    model = LoggedDistillation(DecisionTreeClassifier(max_depth=1, random_state=0), share=1.0, classes=["a", "b", "c"])
    np.testing.assert_allclose(model.fit(x, y, logged=old).predict_proba(x), old)
    assert list(model.classes_) == ["a", "b", "c"]
    binary = LoggedDistillation(LogisticRegression(), share=1.0).fit(x, y, logged=np.linspace(0, 1, 6))
    assert list(binary.predict(x)) == ["b"] * 3 + ["c"] * 3


def test_wrong_logged_predictions_are_refused(digits):
    x, y, *_ = digits
    model, old = LoggedDistillation(LogisticRegression()), np.full((400, 10), 0.1)
    for logged, said in ((None, "no logged predictions"), (old[:, :9], "a column for each of"), (2 * old, "do not sum to 1")):
        with pytest.raises(BadInput, match=said):
            model.fit(x, y, logged=logged)
    with pytest.raises(BadInput, match="takes no sample_weight"):
        LoggedDistillation(KNeighborsClassifier()).fit(x, y, logged=old)
    with pytest.raises(BadInput, match="share"):
        LoggedDistillation(LogisticRegression(), None, share=2).fit(x, y)
    with pytest.raises(BadInput, match="expected one of them"):
        LoggedDistillation(LogisticRegression(), FrozenEstimator(LogisticRegression())).fit(x, y, logged=old)


def test_a_search_trades_accuracy_for_churn(few_digits):
    x, y, new, labels = few_digits
    old = LogisticRegression(C=0.05).fit(x[:60], y[:60])
    pipeline = make_pipeline(StandardScaler(with_std=False), LoggedDistillation(LogisticRegression(max_iter=500), share=0.5))
    pipeline[-1].old = FrozenEstimator(
        make_pipeline(StandardScaler(with_std=False), LogisticRegression(C=0.05)).fit(x[:60], y[:60])
    )
    search = GridSearchCV(
        LoggedDistillation(LogisticRegression(max_iter=500), FrozenEstimator(old)),
        {"share": [0.0, 0.5, 1.0]},
        scoring={"accuracy": "accuracy", "churn": churn_scorer(old)},
        refit=least_churn(max_drop=1.0),
        cv=3,
    ).fit(x, y)
    assert search.best_params_ == {"share": 1.0}
    churn = -search.cv_results_["mean_test_churn"]
    assert churn[0] > churn[1] > churn[2]
    assert churn_scorer(old)(search, new) == -np.mean(search.predict(new) != old.predict(new))
    scores = cross_validate(pipeline, x, y, cv=3, params=None)
    assert scores["test_score"].min() > 0.6
    per_row = GridSearchCV(LoggedDistillation(LogisticRegression(max_iter=500), classes=[3, 8, 9]), {"share": [0.2, 0.8]}, cv=3)
    assert per_row.fit(x, y, logged=old.predict_proba(x)).score(new, labels) > 0.6
    with pytest.raises(BadInput, match="no score named 'churn'"):
        least_churn()({"mean_test_accuracy": [0.5]})


@pytest.mark.parametrize("kind", [CoDistilledClassifier, AntiDistilledClassifier])
def test_networks_train_as_the_loop_by_hand(kind, digits):
    torch = pytest.importorskip("torch")
    from traintwice.losses import Outputs
    from traintwice.methods import anti_distillation, co_distillation
    from traintwice.nets import MLP
    from traintwice.randomness import stream

    x, y, new, labels = digits
    model = kind(hidden=(32,), epochs=5, batch_size=32, learning_rate=5e-3, random_state=3)
    before = torch.get_rng_state()
    model.fit(x, y)
    assert torch.equal(before, torch.get_rng_state())
    seed = np.random.RandomState(3).randint(2**31 - 1)
    method = co_distillation() if kind is CoDistilledClassifier else anti_distillation(2, 0.05, center="class")
    networks = torch.nn.ModuleList(
        MLP((32,)).build((64,), 10, stream(seed, "initialisation", component=j)).double() for j in range(2)
    )
    optimizer = torch.optim.Adam(networks.parameters(), lr=5e-3)
    step = 0
    for epoch in range(5):
        for rows in np.split(stream(seed, "order", epoch=epoch).permutation(400), range(32, 400, 32)):
            logits = torch.stack([network(torch.from_numpy(x[rows])) for network in networks])
            loss = method.loss(Outputs(logits, torch.from_numpy(y[rows])), step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    with torch.no_grad():
        probs = torch.stack([torch.softmax(network(torch.from_numpy(new)), -1) for network in networks])
    expected = probs[0] if kind is CoDistilledClassifier else probs.mean(0)
    np.testing.assert_allclose(model.predict_proba(new), expected.numpy(), atol=1e-10)
    assert model.score(new, labels) > 0.7
    search = GridSearchCV(make_pipeline(StandardScaler(), model), {f"{kind.__name__.lower()}__weight": [0.01, 0.1]}, cv=2)
    assert search.fit(x, y).score(new, labels) > 0.7


def test_importing_loads_no_torch():
    code = "import sys, traintwice.integrations.estimators; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
