"""Label loss of the examples that only one component sees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from traintwice.errors import BadInput
from traintwice.losses._cross_entropy import CrossEntropy
from traintwice.losses._outputs import Outputs


@dataclass(frozen=True)
class OwnCrossEntropy:
    r"""Cross entropy of a component's own examples, without those that all components see: mean over them, sum over components.

        L = Σ_j mean over b not in the shared part of −log f_jb[y_jb]

    With it, the labels of the shared part are not read, so that components agree on it and learn from their own samples.

    Shapes: logits ``*M J B K``, labels ``*M J B``, ``shared`` a slice of the batch -> ``*M``. Units: nats, >= 0. Without
    a shared part it is `CrossEntropy`.
    Source: Prastalo & Jablonka 2026 (twin-bootstrap: each network learns the labels of its own bootstrap).

    Example:
        >>> logits = torch.tensor([[[2.0, 0.0], [0.0, 9.0]]])
        >>> out = Outputs(logits, torch.tensor([[0, 0]]), shared=slice(1, 2))
        >>> round(OwnCrossEntropy()(out).item(), 4)  # the first example alone
        0.1269
    """

    def __call__(self, out: Outputs) -> Tensor:
        if out.shared is None:
            return CrossEntropy()(out)
        batch = out.logits.shape[-2]
        start, stop, _ = out.shared.indices(batch)
        if stop - start >= batch:
            raise BadInput(f"Outputs.shared: {out.shared} has all {batch} examples, and OwnCrossEntropy reads the others")
        labels = out.label_of_component
        logits = torch.cat([out.logits[..., :start, :], out.logits[..., stop:, :]], dim=-2)
        own = torch.cat([labels[..., :start], labels[..., stop:]], dim=-1)
        return CrossEntropy()(
            replace(out, logits=logits, labels=own, peers=None, teacher=None, gate=None, signals=None, shared=None)
        )
