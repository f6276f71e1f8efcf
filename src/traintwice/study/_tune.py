"""A search for the weights of a method, by accuracy, churn and calibration on the validation split; reported on other replicas."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import tomli_w

from traintwice import metrics
from traintwice._formatting import change, points
from traintwice._typed import typed
from traintwice.compare._shown import Shown
from traintwice.data import Dataset
from traintwice.engine import DEFAULT_EXECUTION, Execution
from traintwice.errors import StoreError, require
from traintwice.randomness import RandomSource, stream
from traintwice.study._experiment import Experiment
from traintwice.study._plan import plan
from traintwice.study._results import Results, gather
from traintwice.study._runner import prepare_folders, run
from traintwice.study._search import Tuning
from traintwice.study._store import EVERY_MINUTE, Store, as_store
from traintwice.study._workers import train_tasks
from traintwice.tables import Column, Row, Sheet, Table

DIGITS = 3
"""Significant digits of the values that are tried, so that what is written into a study is what was trained."""

RANDOM = 6
"""Trials before the search models what it has seen."""

COLUMNS = (
    Column("accuracy", "accuracy", "fraction"),
    Column("churn", "churn", "fraction"),
    Column("calibration", "calibration error", "fraction"),
    Column("log_loss", "log loss"),
    Column("churn_change", "Δ churn", "points"),
    Column("accuracy_change", "Δ accuracy", "points"),
    Column("chosen", "", "text"),
)


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, on the validation split and the replicas of the search.

    Attributes:
        number: from 0.
        values: of the settings, by path.
        accuracy, churn, calibration: means over the replicas, calibration as expected calibration error; None where replicas diverged.
        change: of the accuracy from the baseline.
    """

    number: int
    values: Mapping[str, float]
    accuracy: float | None = None
    churn: float | None = None
    calibration: float | None = None
    change: float | None = None

    def allowed(self, least: float) -> bool:
        """Whether the accuracy changes by no less than ``least``."""
        return self.change is not None and self.change >= least

    def dominates(self, other: Trial) -> bool:
        """Whether it is at least as good in accuracy, churn and calibration, and better in one."""
        mine, its = ((-(t.accuracy or 0), t.churn or 0, t.calibration or 0) for t in (self, other))
        return mine != its and all(a <= b for a, b in zip(mine, its, strict=True))


@dataclass(frozen=True, repr=False)
class Tuned(Shown):
    """What a search found. Made by `traintwice.tune`.

    Attributes:
        tuning: the study and its search.
        trials: in their order.
        chosen: row of ``results`` with the lowest churn on the validation split among the trials that keep the accuracy; None where no
            trial does.
        rows: row of ``results`` to its trial; the front of the trials.
        results: the baseline and the rows, on the replicas and the test split of the study: none of them had a part in the choice.
    """

    tuning: Tuning
    trials: tuple[Trial, ...]
    chosen: str | None
    rows: Mapping[str, Trial]
    results: Results

    def toml(self) -> str:
        """What to write into the study; empty where no trial keeps the accuracy."""
        if self.chosen is None:
            return ""
        return tomli_w.dumps({"rows": {self.tuning.search.row: self.tuning.changes(self.rows[self.chosen].values)}})

    def calibration(self, row: str) -> float:
        """Expected calibration error of a row of the results."""
        return float(metrics.calibration_error(self.results[row].test))

    def sheet(self) -> Sheet:
        """The front on the replicas of the study, and what to write into it."""
        results, search = self.results, self.tuning.search
        changes = {m: results.compare(m) for m in (metrics.churn, metrics.accuracy)}
        rows = [
            Row(
                row,
                {
                    "accuracy": results.estimate(metrics.accuracy, row),
                    "churn": results.estimate(metrics.churn, row),
                    "calibration": self.calibration(row),
                    "log_loss": results.estimate(metrics.log_loss, row),
                    "churn_change": changes[metrics.churn][row].estimate if row in changes[metrics.churn] else None,
                    "accuracy_change": changes[metrics.accuracy][row].estimate if row in changes[metrics.accuracy] else None,
                    "chosen": "chosen" if row == self.chosen else "",
                },
            )
            for row in results.rows
        ]
        least = f"accuracy {points(self.tuning.least)} or more"
        if self.chosen is None:
            verdict = f"No setting keeps the accuracy ({least}): leave the study as it is, or search other ranges."
        else:
            of = changes[metrics.churn][self.chosen], changes[metrics.accuracy][self.chosen]
            said = [
                f"{what} {change(d.estimate, 'fraction')}{'' if d.significant else ' (inconclusive)'}"
                for what, d in zip(("churn", "accuracy"), of, strict=True)
            ]
            base = results.baseline.name
            verdict = f"{self.chosen}: {' and '.join(said)} against {base}, on replicas that had no part in the choice."
        notes = (
            f"Chosen on the validation split of {search.replicas} replicas with seed {self.tuning.seed}: the lowest churn of "
            f"{len(self.trials)} trials with {least}, compared with the baseline. All numbers above are those of the test split of "
            f"{results.experiment.replicas} replicas with seed {results.experiment.seed}.",
            "Calibration: expected calibration error, without an interval. Differences are paired by replica and Holm-adjusted.",
        )
        write = (("Write into the study", self.toml().strip().replace("\n", "; ")),) if self.chosen else ()
        headline = f"{self.tuning.study.name} · {search.row} · {', '.join(search.search)} · {len(self.trials)} trials"
        return Sheet(headline, verdict, paragraphs=write, tables=(Table("", COLUMNS, tuple(rows)),), notes=notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": 1,
            **self.tuning.to_dict(),
            "trials": [asdict(trial) for trial in self.trials],
            "chosen": self.chosen,
            "values": None if self.chosen is None else dict(self.rows[self.chosen].values),
            "write": self.toml(),
            "calibration": {row: self.calibration(row) for row in self.results.rows},
            "results": self.results.to_dict(),
        }


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
    made = plan(experiment, data, store, execution=execution)
    prepare_folders(experiment, data, store, made)
    for _ in train_tasks(store, made, EVERY_MINUTE):
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
    """The trials to report, lowest churn first: allowed, and not dominated; where no trial is allowed, the most accurate one."""
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
