"""A search for the weights of a method, by accuracy, churn and calibration on the validation split; reported on other replicas."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import cast

from traintwice import metrics
from traintwice._typed import typed
from traintwice.data import Dataset
from traintwice.engine import DEFAULT_EXECUTION, Execution
from traintwice.errors import StoreError, require
from traintwice.randomness import RandomSource, stream
from traintwice.specs import identity
from traintwice.study._chain import as_store
from traintwice.study._checkpoint import EVERY_MINUTE
from traintwice.study._experiment import Experiment
from traintwice.study._plan import Plan, plan
from traintwice.study._results import Results, gather
from traintwice.study._runner import run, train_tasks
from traintwice.study._search import Tuning
from traintwice.study._store import Store
from traintwice.study._tuned import Trial, Tuned

DIGITS = 3
"""Significant digits of the values that are tried, so that what is written into a study is what was trained."""

RANDOM = 6
"""Trials before the search models what it has seen."""


@typed
def tune(
    tuning: Tuning, *, store: str | os.PathLike[str] | Store = "traintwice-runs", execution: Execution = DEFAULT_EXECUTION
) -> Tuned:
    """Search the settings of a row by accuracy, churn and calibration, and report the front on other replicas.

    The search reads the validation split of replicas with the seed of the search. What is reported is the test split of the replicas
    of the study. After an interruption the same call continues, with the same trials.

    Args:
        tuning: the study, the search, and the smallest change of accuracy that is allowed.
        store: directory of finished replicas; made where it does not exist.
        execution: engine, device, precision and number of worker processes.
    Raises:
        MissingExtra: Optuna is not installed. StoreError: the store has a search of that name with other settings. TrainingFailed: a
        replica could not be trained.
    Source:
        Ours: a multi-objective tree-structured Parzen estimator (Optuna) under the constraint on the accuracy, seeded by trial. CH chose
        its weights by the smallest churn on the replicas that it reports; here they are apart.
    """
    opened = as_store(store)
    for _ in search(tuning, opened, execution=execution):
        pass
    made = final(tuning, recorded(tuning, opened))
    return tuned(tuning, recorded(tuning, opened), run(made, store=opened, execution=execution))


@typed
def search(tuning: Tuning, store: Store, *, execution: Execution = DEFAULT_EXECUTION) -> Generator[Trial, None, None]:
    """Try what has not been tried yet; yields each trial once it is recorded."""
    require("optuna", extra="tune", purpose="traintwice tune")
    trials, data = recorded(tuning, store), tuning.study.data.load()
    keys: dict[str, str] = {}
    if trials:
        keys = (store.note("searches", tuning.study.name) or {}).get("keys", {})
    while len(trials) < tuning.search.trials:
        first, last = len(trials), min(len(trials) + tuning.search.together, tuning.search.trials)
        proposed = _proposed(tuning, trials, last - first)
        rows = {f"trial {first + i}": values for i, values in enumerate(proposed)}
        experiment = tuning.experiment(rows, name=tuning.study.name, seed=tuning.seed, replicas=tuning.search.replicas)
        results = _trained(experiment, data, store, execution)
        keys |= {experiment.key(row, data): row for row in experiment.rows}
        found = [_measured(results, first + i, values) for i, values in enumerate(proposed)]
        trials = [*trials, *found]
        store.save_note("searches", tuning.study.name, {**tuning.to_dict(), "trials": [asdict(t) for t in trials], "keys": keys})
        yield from found


@typed
def recorded(tuning: Tuning, store: Store) -> list[Trial]:
    """The trials in the record of a search, at most as many as are wanted.

    Raises:
        StoreError: the record is of a search with other settings.
    """
    known = store.note("searches", tuning.study.name)
    if known is None:
        return []
    here = tuning.to_dict()
    for plain in (known, here):
        plain["tune"] = {**plain["tune"], "trials": 0, "front": 0}
        plain["study"] = {**plain["study"], "replicas": 0}
    changed = [key for key in here if known.get(key) != here[key]]
    if changed:
        raise StoreError(
            f"{store.path}: has a search of {tuning.study.name!r} with other settings ({', '.join(changed)}); give the study another name, "
            "or use another --store"
        )
    return [Trial(**plain) for plain in known["trials"]][: tuning.search.trials]


def _trained(experiment: Experiment, data: Dataset, store: Store, execution: Execution) -> Results:
    """Results of an experiment that the store does not list as a study."""
    made: Plan = plan(experiment, data, store, execution=execution)
    for row, key in made.keys.items():
        store.prepare(key, identity(experiment.rows[row], data.digest, experiment.seed))
    for task in made.missing:
        store.prepare(task.key, identity(task.recipe, data.digest, experiment.seed))
    for _ in train_tasks(experiment.data, experiment.seed, store, made, EVERY_MINUTE, None):
        pass
    return gather(experiment, store, data)


def _measured(results: Results, number: int, values: Mapping[str, float]) -> Trial:
    row = f"trial {number}"
    if row not in results.rows:
        return Trial(number, dict(values))
    found, base = results[row].validation, float(metrics.accuracy(results.baseline.validation))
    accuracy = float(metrics.accuracy(found))
    churn, calibration = float(metrics.churn(found)), float(metrics.calibration_error(found))
    return Trial(number, dict(values), accuracy, churn, calibration, accuracy - base)


def _proposed(tuning: Tuning, trials: list[Trial], count: int) -> list[dict[str, float]]:
    """The values of the next trials; they depend on the trials before and on the seed alone."""
    import optuna

    ranges = tuning.search.ranges()
    spaces: dict[str, optuna.distributions.BaseDistribution] = {
        path: optuna.distributions.FloatDistribution(r.low, r.high, log=r.log) for path, r in ranges.items()
    }
    seed = int(stream(tuning.seed, cast(RandomSource, "search"), epoch=len(trials)).integers(2**31))
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM)
        made = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
        for t in trials:
            if t.change is not None and t.accuracy is not None and t.churn is not None and t.calibration is not None:
                given = optuna.create_trial(
                    params=dict(t.values),
                    distributions=spaces,
                    values=[t.accuracy, t.churn, t.calibration],
                    constraints={"accuracy": tuning.least - t.change},
                )
                made.add_trial(given)
        return [_rounded(made.ask(spaces).params, tuning) for _ in range(count)]
    finally:
        optuna.logging.set_verbosity(before)


def _rounded(values: Mapping[str, float], tuning: Tuning) -> dict[str, float]:
    ranges = tuning.search.ranges()
    return {path: min(max(float(f"{v:.{DIGITS}g}"), ranges[path].low), ranges[path].high) for path, v in values.items()}


def front(tuning: Tuning, trials: list[Trial]) -> list[Trial]:
    """The trials to report, lowest churn first: allowed, and better than any other in accuracy, churn or calibration.

    Where no trial is allowed, the one of the highest accuracy.
    """
    whole = [t for t in trials if t.change is not None]
    allowed = [t for t in whole if t.allowed(tuning.least)]
    if not allowed:
        return sorted(whole, key=lambda t: -(t.accuracy or 0))[:1]
    best = sorted((t for t in allowed if not any(o.dominates(t) for o in allowed)), key=lambda t: (t.churn or 0, t.number))
    distinct = list({tuple(t.values.items()): t for t in reversed(best)}.values())[::-1]
    most = min(tuning.search.front, len(distinct))
    return [distinct[round(i * (len(distinct) - 1) / max(most - 1, 1))] for i in range(most)]


@typed
def final(tuning: Tuning, trials: list[Trial]) -> Experiment:
    """The baseline and the front, on the replicas of the study.

    Raises:
        StoreError: every trial diverged.
    """
    chosen = front(tuning, trials)
    if not chosen:
        raise StoreError("every trial diverged; search a range of smaller weights")
    study = tuning.study
    rows = {row_name(tuning, trial): trial.values for trial in chosen}
    return tuning.experiment(rows, name=f"{study.name[:58]}-tuned", seed=study.seed, replicas=study.replicas)


def row_name(tuning: Tuning, trial: Trial) -> str:
    """Name of a trial's row, such as "ema, weight 0.31"."""
    values = ", ".join(f"{path.rpartition('.')[2]} {value:g}" for path, value in trial.values.items())
    return f"{tuning.search.row}, {values}"[:80]


@typed
def tuned(tuning: Tuning, trials: list[Trial], results: Results) -> Tuned:
    """The outcome, from the trials and the results of `final`."""
    rows = {row_name(tuning, trial): trial for trial in front(tuning, trials)}
    first = next(iter(rows.items()))
    chosen = first[0] if first[1].allowed(tuning.least) and first[0] in results.rows else None
    return Tuned(tuning, tuple(trials), chosen, rows, results)
