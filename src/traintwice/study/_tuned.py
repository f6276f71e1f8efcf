"""Trials of a search, and the front that it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import tomli_w

from traintwice import metrics
from traintwice._formatting import change, points
from traintwice.compare._shown import Shown
from traintwice.study._results import Results
from traintwice.study._search import Tuning
from traintwice.tables import Column, Row, Sheet, Table

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
        """Whether it is no worse in accuracy, churn and calibration, and better in one."""
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
