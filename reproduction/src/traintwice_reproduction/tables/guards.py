"""Rows in which a loss term dwarfs the label loss, or that predict worse than a constant."""

from __future__ import annotations

import numpy as np
import torch

from traintwice import metrics
from traintwice.losses import CrossEntropy, Loss, Outputs
from traintwice_reproduction.tables.artefact import PartResults

DWARFS = 1.0
"""Weighted term over label loss above which a term is reported."""


def fourth_power(p: PartResults) -> float:
    """Σ_k (mean z_k²)² of the baseline's logits: the size of the second-moment loss, AD eq. (5), of one pair of equal components."""
    z = p.results.baseline.logits["test"].astype(np.float64)
    return float((np.square(z).mean(axis=(0, 1, 2)) ** 2).sum())


def coupling_of(p: PartResults, row: str) -> tuple[float, Loss] | None:
    """Weight and loss of the term of a row that couples its components; None without one, or with a schedule or a memory."""
    for term in p.results[row].recipe.method.terms:
        if getattr(term.loss, "couples", False) and isinstance(term.weight, float | int) and not hasattr(term.loss, "init"):
            return float(term.weight), term.loss
    return None


def pull(p: PartResults, row: str) -> float | None:
    """λ·L of a row's coupling term over the cross entropy, both at the logits of the baseline in mini-batches of the recipe.

    A value of 5 reads: the first thing that the term does to a network trained without it is five times the label loss. None for a row
    without such a term, or with another number of components than the baseline.
    """
    coupling, base = coupling_of(p, row), p.results.baseline
    if coupling is None or base.recipe.method.components != p.results[row].recipe.method.components:
        return None
    weight, loss = coupling
    size, labels = p.results[row].recipe.batch_size, torch.from_numpy(p.results.data.test.labels)
    z = torch.from_numpy(base.logits["test"].astype(np.float64))
    weighted = label = 0.0
    for start in range(0, len(labels) - len(labels) % size or len(labels), size):
        rows = slice(start, start + size)
        out = Outputs(z[:, :, rows], labels[rows].expand(len(z), -1))
        weighted += weight * float(loss(out).mean())
        label += float(CrossEntropy()(out).mean())
    return abs(weighted) / label


def guards(p: PartResults) -> list[str]:
    """A sentence for each row that should not be read as a method at a sensible weight."""
    labels = np.asarray(p.results.data.test.labels)
    shares = np.bincount(labels, minlength=p.results.data.classes) / len(labels)
    constant = float(shares.max())
    constant_loss = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    found = []
    for row in p.results.rows:
        if (size := pull(p, row)) is not None and size > DWARFS:
            found.append(f"{row}: at the logits of {p.results.baseline.name} its term is {size:.3g} times the label loss.")
        accuracy, loss = (p.results.estimate(m, row) for m in (metrics.accuracy, metrics.log_loss))
        if accuracy is not None and accuracy.value < constant:
            found.append(
                f"{row}: accuracy {100 * accuracy.value:.4g} % is below that of a constant predictor, {100 * constant:.4g} %."
            )
        if loss is not None and loss.value > constant_loss:
            found.append(f"{row}: log loss {loss.value:.4g} is above that of the class shares, {constant_loss:.4g}.")
    return found
