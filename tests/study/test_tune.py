"""The search for weights: seeded, resumable, and reported on replicas that had no part in the choice."""

import signal
import tomllib
from dataclasses import replace

import pytest
import tomli_w

from heavy import heavy
from interrupted import interrupted
from traintwice import metrics
from traintwice._formatting import change
from traintwice.data import Digits
from traintwice.errors import BadSpec, StoreError, UnknownName
from traintwice.report import write_tuned
from traintwice.report._sheet_pages import cards_of_search
from traintwice.study import Experiment, Store, Trial, Tuning, least_change, recorded, run, search, tune
from traintwice.study._tune import front

PLAIN = {
    "name": "small",
    "replicas": 3,
    "data": {"type": "Digits", "train": 128, "validation": 40, "test": 40},
    "recipe": {
        "network": {"type": "MLP", "hidden": [8]},
        "epochs": 6,
        "batch_size": 32,
        "optimizer": {"type": "Adam", "lr": 0.01},
    },
    "rows": {"base": {}, "entropy": {"method": {"builder": "entropy_regulariser", "alpha": 0.1}}},
    "tune": {
        "row": "entropy",
        "trials": 5,
        "replicas": 2,
        "together": 2,
        "search": {"method.alpha": {"low": 0.01, "high": 0.9, "log": True}},
    },
}


@pytest.fixture(scope="module")
def tuning():
    return Tuning.from_dict(PLAIN, least=-0.05)


@pytest.fixture(scope="module")
def done(tuning, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("runs"))
    return store, tune(tuning, store=store)


def test_the_trials_are_measured_on_the_validation_split_of_other_replicas(tuning, done, tmp_path):
    _, found = done
    assert len(found.trials) == 5
    trial = found.trials[3]
    rows = {"base": PLAIN["rows"]["base"], "it": tuning.changes(trial.values)}
    by_hand = run(Experiment.from_dict({**tuning.plain, "seed": 1, "replicas": 2, "rows": rows}), store=tmp_path)
    validation = by_hand["it"].validation
    assert trial.churn == pytest.approx(metrics.churn(validation))
    assert trial.accuracy == pytest.approx(metrics.accuracy(validation))
    assert trial.calibration == pytest.approx(metrics.calibration_error(validation))
    assert trial.change == pytest.approx(trial.accuracy - metrics.accuracy(by_hand["base"].validation))
    assert all(0.01 <= t.values["method.alpha"] <= 0.9 for t in found.trials)


def test_what_is_reported_had_no_part_in_the_choice(tuning, done):
    store, found = done
    made = found.results
    reported = {made.experiment.key(row, made.data) for row in made.rows}
    assert not reported & set(store.note("searches", "small")["keys"])
    assert {record["seed"] for result in made.rows.values() for record in result.records} == {0}
    best = min((t for t in found.trials if t.allowed(-0.05)), key=lambda t: (t.churn, t.number))
    assert found.rows[found.chosen].churn == best.churn
    assert found.chosen in found.results.rows


def test_what_to_write_is_what_was_trained(tuning, done):
    _, found = done
    written = tomllib.loads(found.toml())["rows"]["entropy"]
    assert written == {"method": {"builder": "entropy_regulariser", "alpha": found.rows[found.chosen].values["method.alpha"]}}
    again = Experiment.from_dict({**tuning.plain, "rows": {"base": {}, "entropy": written}})
    assert again.rows["entropy"] == found.results.experiment.rows[found.chosen]
    assert "chosen" in str(found)
    assert found.to_dict()["write"] == found.toml()


@heavy
def test_a_search_that_a_signal_ended_tries_the_same(tuning, done, tmp_path):
    _, found = done
    (tmp_path / "study.toml").write_text(tomli_w.dumps(PLAIN))
    options = ["tune", tmp_path / "study.toml", "--min", "accuracy=-5%", "--no-report", "--jobs", "1"]
    assert interrupted(options, tmp_path / "runs", signal.SIGTERM, pattern="searches/*.json", records=1) == -signal.SIGTERM
    store = Store(tmp_path / "runs")
    assert 0 < len(recorded(tuning, store)) < 5
    list(search(tuning, store))
    assert recorded(tuning, store) == list(found.trials)
    more = replace(tuning, search=replace(tuning.search, trials=6))
    assert len(list(search(more, store))) == 1
    with pytest.raises(StoreError, match=r"a search of 'small' with other settings \(least\)"):
        recorded(replace(tuning, least=-0.2), store)


def test_the_front(tuning):
    def trial(number, accuracy, churn, calibration, change=0.0):
        return Trial(number, {"method.alpha": number / 10}, accuracy, churn, calibration, change)

    trials = [
        trial(1, 0.9, 0.05, 0.1),
        trial(2, 0.9, 0.06, 0.2),  # worse than 1
        trial(3, 0.91, 0.07, 0.1),
        trial(4, 0.5, 0.0, 0.0, change=-0.4),  # not allowed
        trial(5, 0.9, 0.08, 0.01),
        Trial(6, {"method.alpha": 0.6}),  # diverged
    ]
    assert [t.number for t in front(tuning, trials)] == [1, 3, 5]
    two = replace(tuning, search=replace(tuning.search, front=2))
    assert [t.number for t in front(two, trials)] == [1, 5]
    assert [t.number for t in front(tuning, trials[3:4])] == [4]


def test_the_page_has_cards_of_the_choice(done, tmp_path):
    _, found = done
    setting, churn, accuracy = cards_of_search(found)
    assert setting.answer == found.chosen
    assert [c.title for c in (churn, accuracy)] == ["Churn", "Accuracy"]
    for card, measure in ((churn, metrics.churn), (accuracy, metrics.accuracy)):
        difference = found.results.compare(measure)[found.chosen]
        assert card.value == change(difference.estimate, "fraction")
        assert (card.answer == "inconclusive") == (not difference.significant)
    page = write_tuned(found, tmp_path).read_text()
    assert page.count('<li class="card') == 3
    assert "prefers-color-scheme: dark" in page
    nothing = cards_of_search(replace(found, chosen=None))
    assert [(c.answer, c.concern) for c in nothing] == [("none keeps the accuracy", "inconclusive")]


def test_without_an_allowed_trial_nothing_is_recommended(tuning, tmp_path):
    strict = replace(tuning, least=0.0, search=replace(tuning.search, trials=1))
    none = replace(strict, search=replace(strict.search, search={"optimizer.lr": {"low": 1e-6, "high": 2e-6}}))
    found = tune(none, store=tmp_path)
    assert found.chosen is None
    assert found.toml() == ""
    assert "No setting keeps the accuracy" in str(found)


def test_a_study_with_a_search_runs_as_it_is(tmp_path):
    (tmp_path / "study.toml").write_text('name = "a"\n[data]\ntype = "Digits"\n[rows.base]\n[tune]\nrow = "x"\n')
    assert Experiment.read(tmp_path / "study.toml").data == Digits()


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"row": "other"}, UnknownName, "no row of the study named 'other'"),
        ({"row": "base"}, BadSpec, "got the baseline 'base'"),
        ({"seed": 0}, BadSpec, "the seed of the study"),
        ({"search": {}}, BadSpec, "search: got none"),
        (
            {"search": {"method.alpha": {"low": 1.0, "high": 0.1}}},
            BadSpec,
            r"tune: search\.method\.alpha: Range: got 1\.0 to 0\.1",
        ),
        ({"search": {"method.wait": {"low": 0.1, "high": 0.2}}}, UnknownName, "no setting of entropy_regulariser named 'wait'"),
        ({"search": {"method.alpha.x": {"low": 0.1, "high": 2.0}}}, BadSpec, "'alpha' is not a table in rows"),
        ({"trials": 0}, BadSpec, "trials: got 0"),
        ({"trails": 3}, UnknownName, "Did you mean 'trials'"),
    ],
)
def test_a_search_that_cannot_be(changed, error, message):
    with pytest.raises(error, match=message):
        Tuning.from_dict({**PLAIN, "tune": {**PLAIN["tune"], **changed}}, least=-0.01)


@pytest.mark.parametrize("text", ["accuracy", "churn=-1%", "accuracy=1%", "accuracy=-x", "accuracy=-1"])
def test_bad_limits(text):
    with pytest.raises(BadSpec, match="expected accuracy= and a change"):
        least_change(text)


def test_a_limit():
    assert least_change("accuracy=-0.1%") == pytest.approx(-0.001)
