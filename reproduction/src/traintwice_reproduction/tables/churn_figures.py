"""The figures of CH, "On the Reproducibility of Neural Network Predictions"."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from traintwice import metrics
from traintwice.losses import CrossEntropy, Entropy, Outputs
from traintwice.methods import co_distillation, entropy_regulariser, symmetric_kl_regulariser
from traintwice.metrics import Metric
from traintwice.recipes import Recipe
from traintwice_reproduction.tables import printed
from traintwice_reproduction.tables.artefact import Artefact, Part, PartResults, Printed, Scale
from traintwice_reproduction.tables.benchmarks import Benchmark, of_churn
from traintwice_reproduction.tables.churn_rows import (
    ALPHAS,
    BASELINE,
    BETAS,
    CE,
    CE_LIVE,
    CO,
    ENTROPY,
    SKL,
    ramp_epochs,
    stale_co_distillation,
)
from traintwice_reproduction.tables.flags import flag_notes
from traintwice_reproduction.tables.layouts import measured, rows_table
from traintwice_reproduction.tables.side_by_side import PaperTable

if TYPE_CHECKING:
    from traintwice.report._style import Figure

SWEPT: tuple[tuple[str, Metric, float], ...] = (
    ("entropy (nats)", metrics.prediction_entropy, 1.0),
    ("accuracy (%)", metrics.accuracy, 100.0),
    ("churn (%)", metrics.churn, 100.0),
)
COLUMNS = (
    measured(metrics.prediction_entropy, "Entropy"),
    measured(metrics.accuracy, "Accuracy"),
    measured(metrics.churn, "Churn"),
    measured(metrics.surrogate_churn, "SChurn₁"),
)
CURVES = 201
"""Points of the curve of a function."""


def _sweep(benchmark: Benchmark, scale: Scale, regulariser: str) -> dict[str, Recipe]:
    """The baseline, every α of a regulariser and every β of the co-distillation."""
    base, k = benchmark.base, benchmark.top_k
    make = entropy_regulariser if regulariser == "entropy" else symmetric_kl_regulariser
    rows = {BASELINE: base}
    rows |= {f"α = {value:g}": base.change(method=make(value, top_k=k)) for value in ALPHAS[scale]}
    return rows | {f"β = {value:g}": _co(base, value) for value in BETAS[scale]}


def _co(base: Recipe, value: float, kind: Literal["skl", "ce"] = "skl") -> Recipe:
    return base.change(method=co_distillation(value, kind=kind, ramp_epochs=ramp_epochs(base)))


def _part(benchmark: Benchmark, rows: dict[str, Recipe], known: Printed, printed_for: str) -> tuple[Part, ...]:
    numbers = {row: of for row, of in known.items() if row in rows}
    return (benchmark.part(rows, numbers, printed_for=printed_for),)


IMAGENET, CIFAR_100 = "ImageNet, ResNet-v2-50", "CIFAR-100, ResNet-56"


def _known(data: str, *methods: str) -> Printed:
    """Points of a figure whose numbers the paper prints: the baseline, and methods at their chosen weights.

    Source: CH Tables 2 and 5; the paper prints no numbers in its figures.
    """
    table = printed.read(printed.CH_TABLE_2[data], ("train", "accuracy", "churn", "surrogate_churn", "correct", "incorrect"))
    weights = printed.weights_of(data)
    points = {BASELINE: BASELINE}
    for method in methods:
        symbol, key = ("β", "beta") if method == CO else ("α", "alpha")
        points[f"{symbol} = {weights[method][key]}"] = method
    return {point: {key: table[row][key] for key in ("accuracy", "churn", "surrogate_churn")} for point, row in points.items()}


FIGURE_1, FIGURE_3 = _known(IMAGENET, ENTROPY, CO), _known(CIFAR_100, SKL, CO)


def _figure_1_parts(scale: Scale) -> tuple[Part, ...]:
    """Renormalised entropy of the ten largest predictions (three on ten classes), for every α and β; two other forms at the largest α."""
    benchmark = of_churn(scale)[0 if scale == "small" else 2]
    benchmark = replace(benchmark, top_k=3 if scale == "small" else 10)
    rows, alpha = _sweep(benchmark, scale, "entropy"), ALPHAS[scale][-1]
    other = {
        "over all classes": entropy_regulariser(alpha),
        "partial sum": entropy_regulariser(alpha, top_k=benchmark.top_k, renormalise=False),
    }
    rows |= {f"{form}, α = {alpha:g}": benchmark.base.change(method=method) for form, method in other.items()}
    return _part(benchmark, rows, FIGURE_1, IMAGENET)


def _figure_3_parts(scale: Scale) -> tuple[Part, ...]:
    """Symmetric KL, for every α and β."""
    benchmark = of_churn(scale)[1]
    return _part(benchmark, _sweep(benchmark, scale, "symmetric-kl"), FIGURE_3, CIFAR_100)


def _in_words(known: Printed, printed_for: str, symbol: str, metric: Metric) -> str:
    """The paper's numbers of a panel: "the paper, ImageNet: 76 at 0, 76.39 at 0.2"; "" for none."""
    at = {row.partition("= ")[2] or "0": of for row, of in known.items() if row == BASELINE or row.startswith(symbol)}
    numbers = ", ".join(f"{of[name].split()[0]} at {x}" for x, of in at.items() if (name := metric.definition.name) in of)
    return f"the paper, {printed_for.partition(',')[0]}: {numbers}" if numbers else ""


def _swept(name: str, first: str, known: Printed) -> Any:
    def drawn(parts: tuple[PartResults, ...]) -> tuple[Figure, ...]:
        from traintwice_reproduction.tables.charts import panels

        (p,) = parts
        names = {"α": first, "β": "Co-distill SKL, β"}
        records, grey = [], {}
        for symbol, title in names.items():
            rows = {0.0: BASELINE} | {float(row.partition("= ")[2]): row for row in p.results.rows if row.startswith(symbol)}
            for column, metric, _ in SWEPT:
                grey[title, column] = _in_words(known, p.part.printed_for, symbol, metric)
            for value, row in rows.items():
                for column, metric, times in SWEPT:
                    records.append({"row": title, "column": column, "x": value, **_ends(p, metric, row, times)})
        text = f"{name}: prediction entropy, accuracy and churn against the weight of {first} and of co-distillation; 0 is the baseline."
        text = _flagged(text, p)
        charts = panels(
            name, text, records, across="weight", rows=list(names.values()), columns=[column for column, _, _ in SWEPT], grey=grey
        )
        return (charts,)

    return drawn


def _ends(p: PartResults, metric: Metric, row: str, times: float) -> dict[str, float | None]:
    e = p.results.estimate(metric, row)
    if e is None:
        return {"value": None, "low": None, "high": None}
    return {"value": times * e.value, "low": times * e.low, "high": times * e.high}


def _figure_2_parts(scale: Scale) -> tuple[Part, ...]:
    """Confidence of three rows, and churn against error for three kinds of co-distillation and every β."""
    benchmark = of_churn(scale)[0 if scale == "small" else 2]
    base, k = benchmark.base, benchmark.top_k
    rows = {BASELINE: base, "Entropy": base.change(method=entropy_regulariser(0.2, top_k=k))}
    make: dict[str, Callable[[float], Recipe]] = {
        CO: lambda value: _co(base, value),
        CE: lambda value: base.change(method=stale_co_distillation(benchmark, value)),
        CE_LIVE: lambda value: _co(base, value, "ce"),
    }
    rows |= {f"{kind}, β = {value:g}": made(value) for kind, made in make.items() for value in BETAS[scale]}
    return _part(benchmark, rows, _known(IMAGENET), IMAGENET)


def _figure_2(parts: tuple[PartResults, ...]) -> tuple[Figure, ...]:
    from traintwice_reproduction.tables.charts import curves

    (p,) = parts
    middle = [row for row in p.results.rows if _kind(row) == CO]
    shown = [BASELINE, "Entropy", middle[len(middle) // 2]]
    left = []
    for row in shown:
        probs = np.asarray(p.results[row].test.probs)
        two = np.sort(probs, axis=-1)[..., -2:]
        density, ends = np.histogram(two[..., 1] - two[..., 0], bins=20, range=(0.0, 1.0))
        share = density / density.sum()
        left += [
            {"x": float(x), "y": 100 * float(y), "kind": row, "order": i}
            for i, (x, y) in enumerate(zip((ends[:-1] + ends[1:]) / 2, share, strict=True))
        ]
    right = []
    for kind in (CE, CE_LIVE, CO):
        for order, row in enumerate([BASELINE, *[r for r in p.results.rows if _kind(r) == kind]]):
            x, y = (_ends(p, metric, row, 100.0) for metric in (metrics.error, metrics.churn))
            ends_of = {f"{axis}_{end}": found[end] for axis, found in (("x", x), ("y", y)) for end in ("low", "high")}
            right.append({"x": x["value"], "y": y["value"], "kind": kind, "order": order, **ends_of})
    return (
        curves(
            "confidence",
            "Left panel of CH Figure 2: distribution of the confidence γ, the largest prediction minus the second.",
            left,
            across=("confidence γ",),
            up="share of predictions (%)",
            kinds=shown,
        ),
        curves(
            "churn-error",
            _flagged(
                "Right panel of CH Figure 2: churn against error for every β and kind of co-distillation, from the baseline on.",
                p,
            ),
            right,
            across=("error (%)",),
            up="churn (%)",
            kinds=[CE, CE_LIVE, CO],
            points=True,
            grey=_known_of_figure_2(p.part.printed_for),
        ),
    )


def _kind(row: str) -> str:
    """Name of a row without its β."""
    return row.rpartition(", β = ")[0]


def _flagged(text: str, p: PartResults) -> str:
    """Text of a figure with a sentence for each flagged row."""
    return " ".join([text, *flag_notes(p)])


def _known_of_figure_2(data: str) -> str:
    """Points of the right panel whose numbers are in CH Tables 2 and 5."""
    table = printed.read(printed.CH_TABLE_2[data], ("train", "accuracy", "churn", "surrogate_churn", "correct", "incorrect"))
    weights = printed.weights_of(data)
    names = {BASELINE: "baseline"} | {row: f"{kind}, β = {weights[row]['beta']}" for row, kind in ((CE, "CE"), (CO, "SKL"))}
    accuracy, churn = ({row: table[row][key].split()[0] for row in names} for key in ("accuracy", "churn"))
    points = "; ".join(f"{name}: {100 - float(accuracy[row]):.4g}, {churn[row]}" for row, name in names.items())
    return f"the paper, {data.partition(',')[0]}, error and churn of {points}"


def _nothing(scale: Scale) -> tuple[Part, ...]:
    """No parts: the figure shows a function."""
    return ()


def _figure_4(parts: tuple[PartResults, ...]) -> tuple[Figure, ...]:
    """Eq. (6) on two classes, over probability and over logit, computed by the losses that train."""
    from traintwice_reproduction.tables.charts import curves

    records = []
    for panel, low, high in (("log-loss of the probability p", 0.005, 0.995), ("logistic loss of the logit f", -6.0, 6.0)):
        x = np.linspace(low, high, CURVES)
        z = np.log(x / (1 - x)) if low > 0 else x
        for alpha in (0.0, 0.1, 0.2, 0.4):
            records += _curve(panel, f"α = {alpha:g}", x, regularised_log_loss(z, alpha))
    return (
        curves(
            "regularised-loss",
            "CH Figure 4: the entropy-regularised loss on two classes; a larger α lowers it where the classifier is confident.",
            records,
            across=("probability p", "logit f"),
            up="loss (nats)",
            kinds=[f"α = {alpha:g}" for alpha in (0.0, 0.1, 0.2, 0.4)],
            panel_names=("log-loss of the probability p", "logistic loss of the logit f"),
        ),
    )


def regularised_log_loss(logits: np.ndarray, alpha: float) -> np.ndarray:
    """(1 − α)·CE + α·H on two classes for the positive label, at each logit.

    >>> regularised_log_loss(np.array([0.0]), 0.5).round(4).tolist()  # ln 2, whatever α
    [0.6931]
    """
    z = torch.from_numpy(np.stack([np.zeros_like(logits), logits], axis=-1))
    found = []
    for row in z:
        out = Outputs(row.reshape(1, 1, 2), torch.ones(1, dtype=torch.int64))
        found.append(float((1 - alpha) * CrossEntropy()(out) + alpha * Entropy()(out)))
    return np.array(found)


def _figure_5(parts: tuple[PartResults, ...]) -> tuple[Figure, ...]:
    """−log σ(f/τ) for four temperatures."""
    from traintwice_reproduction.tables.charts import curves

    x, temperatures = np.linspace(-6.0, 6.0, CURVES), (0.5, 1.0, 2.0, 4.0)
    records = []
    for t in temperatures:
        records += _curve("", f"τ = {t:g}", x, np.logaddexp(0.0, -x / t))
    return (
        curves(
            "temperature",
            "CH Figure 5: the logistic loss at four temperatures; a confident mistake still costs more than a confident hit.",
            records,
            across=("logit f",),
            up="loss (nats)",
            kinds=[f"τ = {t:g}" for t in temperatures],
        ),
    )


def _curve(panel: str, kind: str, x: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    points = enumerate(zip(x.tolist(), y.tolist(), strict=True))
    return [{"panel": panel, "kind": kind, "order": i, "x": a, "y": b} for i, (a, b) in points if math.isfinite(b)]


def _table(title: str) -> Any:
    def made(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
        return (rows_table(title, parts, COLUMNS, first="Row"),)

    return made


def _no_table(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    return ()


FIGURES = (
    Artefact(
        "churn.figure1",
        "CH Figure 1: entropy, accuracy and churn as α of the top-k entropy and β of the co-distillation vary",
        _figure_1_parts,
        _table("CH Figure 1: top-k entropy and co-distillation"),
        _swept("figure1", "top-k entropy, α", FIGURE_1),
        version=2,
    ),
    Artefact(
        "churn.figure2",
        "CH Figure 2: confidence, and churn against error as β varies",
        _figure_2_parts,
        _table("CH Figure 2: confidence, and churn against error"),
        _figure_2,
        version=2,
    ),
    Artefact(
        "churn.figure3",
        "CH Figure 3: entropy, accuracy and churn as α of the symmetric KL and β of the co-distillation vary",
        _figure_3_parts,
        _table("CH Figure 3: symmetric KL and co-distillation"),
        _swept("figure3", "symmetric KL, α", FIGURE_3),
    ),
    Artefact("churn.figure4", "CH Figure 4: the entropy-regularised loss on two classes", _nothing, _no_table, _figure_4),
    Artefact("churn.figure5", "CH Figure 5: the logistic loss at other temperatures", _nothing, _no_table, _figure_5),
)
"""In the paper's order."""
