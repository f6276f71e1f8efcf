"""The charts of a comparison, all for its page or one by one for a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from traintwice._names import no_attribute
from traintwice._typed import typed
from traintwice.compare._results import Diff
from traintwice.errors import Undefined, require
from traintwice.gates._budgets import GateResult

require("altair", extra="report", purpose="a chart")

import altair as alt  # noqa: E402

from traintwice.report._comparison_charts import confidence_chart, density_chart, flow_chart  # noqa: E402
from traintwice.report._slice_charts import forest_chart, periods_chart  # noqa: E402
from traintwice.report._style import Figure  # noqa: E402


def _overall(diff: Diff) -> float:
    return next((m.estimate.value for m in diff.measures if m.name == "churn"), 0.0)


CHARTS: dict[str, Callable[[Diff], Figure | None]] = {
    "density": lambda diff: None if diff.joint is None else density_chart(diff.joint),
    "flow": flow_chart,
    "slices": lambda diff: forest_chart("slices", "slices", diff.slices, _overall(diff), diff.predicted),
    "predicted": lambda diff: forest_chart("predicted", "predicted classes", diff.predicted, _overall(diff), diff.slices),
    "periods": lambda diff: periods_chart(diff),
    "confidence": confidence_chart,
}
"""Every chart of a comparison by name; None where a comparison has no numbers for it."""

NEEDS = {
    "density": "probabilities or numbers",
    "flow": "labels that change",
    "slices": "a column of groups (by=…)",
    "predicted": "classes with enough rows",
    "periods": "a column of time (time=…)",
    "confidence": "probabilities",
}
"""What a comparison must have for a chart."""


class Plots:
    """The charts of a comparison as Altair charts: ``found.plot.slices()``. Calling it draws the first chart that there is.

    Args:
        diff: of two models.
    """

    def __init__(self, diff: Diff) -> None:
        self._diff = diff

    def __call__(self) -> Any:
        """The first of the charts for which there are numbers.

        Raises:
            Undefined: there are numbers for none.
        """
        for name in ("slices", *CHARTS):
            if (figure := CHARTS[name](self._diff)) is not None:
                return _altair(figure)
        raise Undefined("plot: this comparison has no numbers for any chart")

    def density(self) -> Any:
        """Old against new: scores, confidence or numbers."""
        return self._chart("density")

    def flow(self) -> Any:
        """Where predicted classes went."""
        return self._chart("flow")

    def slices(self) -> Any:
        """Churn of each slice with its interval, and its noise floor if there are retrains."""
        return self._chart("slices")

    def predicted(self) -> Any:
        """The same by the class that the old model predicts."""
        return self._chart("predicted")

    def periods(self) -> Any:
        """Churn and the change of accuracy over time."""
        return self._chart("periods")

    def confidence(self) -> Any:
        """Churn by the confidence of the old model."""
        return self._chart("confidence")

    def _chart(self, name: str) -> Any:
        figure = CHARTS[name](self._diff)
        if figure is None:
            raise Undefined(f"plot.{name}: this comparison does not have what the chart needs: {NEEDS[name]}")
        return _altair(figure)

    def __dir__(self) -> list[str]:
        return sorted(CHARTS)

    def __repr__(self) -> str:
        return f"charts: {', '.join(f'plot.{name}()' for name in CHARTS)}"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise no_attribute("'plot'", name, CHARTS)


def _altair(figure: Figure) -> Any:
    """A chart of Altair, on white as notebooks may be dark."""
    return alt.Chart.from_dict({**figure.wide, "config": {**figure.wide["config"], "background": "white"}})


@typed
def plots_of(result: Diff | GateResult) -> Plots:
    """The charts of a comparison, or of the comparison that a gate rests on.

    Raises:
        MissingExtra: Altair is not installed.
    """
    return Plots(result.diff if isinstance(result, GateResult) else result)
