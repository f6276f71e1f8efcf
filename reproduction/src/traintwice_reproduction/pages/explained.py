"""Explanations of docs/evidence/findings.md, with kept numbers."""

from __future__ import annotations

from typing import Any

from traintwice_reproduction.kept import KEPT, read

FIGURE_1 = KEPT / "tables" / "churn.figure1.small.json"


def top_k_entropy() -> str:
    """What came out for the form of CH Figure 1, and why its three forms differ."""
    (table,) = read(FIGURE_1)["tables"]
    rows: dict[str, list[dict[str, Any]]] = {name: cells for name, *cells in table["rows"]}
    entropy, churn = (table["header"].index(title) - 1 for title in ("Entropy", "Churn"))
    first, last = rows["Baseline"], rows["α = 0.4"]
    return TOP_K.format(
        entropy=f"{first[entropy]['ours']} to {last[entropy]['ours']}",
        churn=f"{first[churn]['ours']} to {last[churn]['ours']}",
        whole=rows["over all classes, α = 0.4"][entropy]["ours"],
        partial=rows["partial sum, α = 0.4"][entropy]["ours"],
    )


TOP_K = """\
CH Figure 1 is about the entropy of the k largest predictions, and there our result differs: in `churn.figure1`, digits with k = 3 of 10
classes, renormalised, the entropy goes from {entropy} and churn from {churn} as α goes from 0 to 0.4. At α = 0.4 over
all classes the entropy is {whole}, with the partial sum {partial}. The forms differ in what they do to
a class t outside the k largest, with probability f_t and logit z_t:

- *Over all classes*, ∂H/∂z_t = −f_t (log f_t + H): every class with f_t below exp(−H) is pushed down.
- *Renormalised*, q = f / Σ f over the k largest (the default): ∂H/∂z_t = 0. Only the cross entropy pushes such a class down, and the
  factor 1 − α weakens it, so after a short training more probability is left outside the k largest.
- *Partial sum*, −Σ f log f over the k largest: ∂H/∂z_t = f_t Σ f_i (1 + log f_i), which pushes down only where Σ f_i exceeds the
  partial sum itself, that is where the prediction is confident already.

The paper does not state its form. With k = 10 of 1,000 classes and 90 epochs little probability is outside the k largest, which the
small study does not reproduce."""
