"""Embeddings and numbers into a tower of narrowing layers: the network for click-through rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn

from traintwice._typed import typed
from traintwice.data._dataset import Columns, TableShape
from traintwice.errors import BadSpec
from traintwice.nets._network import ACTIVATIONS, Activation, check_settings, linear

TRUNCATED_AT = 2.0
"""Standard deviations of the untruncated normal at which the initial weights end."""


@dataclass(frozen=True)
@typed
class Towers:
    r"""An embedding for each categorical column, together with the numeric columns, through ``hidden`` layers to one logit.

    Weights are drawn from a normal distribution truncated at two standard deviations, of variance 1/fan in after the truncation;
    embeddings of variance s/embedding. Biases are zero. For two classes the network has one output z, returned as logits (0, z).

    Args:
        hidden: widths of the layers, each >= 1 and at most that of the layer before.
        embedding: width of the embedding of every categorical column, >= 1.
        activation: as of `MLP`.
        embedding_scale: s, factor on the variance of the initial embeddings, > 0.
        sparse: gradients of the embeddings hold the rows of a batch only. The AdaGrad steps are the same; this is faster for large
            vocabularies (from about a million rows). Needs AdaGrad, or SGD without momentum, and no weight decay, clipping or
            sharpness.
    Raises:
        BadSpec: a setting outside its range, or data that are not a table.
    Source:
        AD section 5 (CTR): sparse embeddings into towers of narrowing ReLU layers, truncated normal initialisation "with a standard
        variance normalized by the layer width", s of AD Table 3. Ours: the widths; truncation at two standard deviations; the variance
        of an embedding follows its own width; one table with the categories of all columns.
    Example:
        >>> shape = TableShape.of(Columns(("distance",), ("carrier", "origin"), (16, 3)))
        >>> net = Towers((8, 4), embedding=2).build(shape, 2, np.random.default_rng(0))
        >>> sum(p.numel() for p in net.parameters()), tuple(net(torch.zeros(5, 3)).shape)
        (127, (5, 2))
    """

    hidden: tuple[int, ...] = (64, 32, 16)
    embedding: int = 8
    activation: Activation = "relu"
    embedding_scale: float = 1.0
    sparse: bool = False

    def __post_init__(self) -> None:
        name = type(self).__name__
        if any(width < 1 for width in self.hidden) or any(b > a for a, b in pairwise(self.hidden)):
            raise BadSpec(f"{name}.hidden: got {list(self.hidden)}, expected widths of at least 1, none above the one before")
        if self.embedding < 1:
            raise BadSpec(f"{name}.embedding: got {self.embedding}, expected at least 1")
        check_settings(self)

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module; first the table of embeddings is drawn, then the layers in order."""
        columns = self._columns(shape)
        return self._tower(columns, classes, self._table(columns, rng), rng)

    def _columns(self, shape: tuple[int, ...]) -> Columns:
        if not isinstance(shape, TableShape):
            raise BadSpec(
                f"{type(self).__name__}: got inputs of shape {tuple(shape)} without named columns, expected a table such as the flights; "
                "use an MLP for plain numbers"
            )
        return shape.columns

    def _table(self, columns: Columns, rng: np.random.Generator) -> nn.Embedding:
        table: nn.Embedding = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Embedding, columns.vocabulary, self.embedding, sparse=self.sparse
        )
        if self.sparse:
            torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]  # the default warns
        with torch.no_grad():
            table.weight.copy_(truncated_normal((columns.vocabulary, self.embedding), self.embedding_scale / self.embedding, rng))
        return table

    def _tower(self, columns: Columns, classes: int, table: nn.Embedding, rng: np.random.Generator) -> nn.Module:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(self._widths(columns, classes)):
            layers += [linear(truncated_normal((fan_out, fan_in), 1.0 / fan_in, rng)), ACTIVATIONS[self.activation]()]
        return Tower(table, nn.Sequential(*layers[:-1]), columns)

    def _widths(self, columns: Columns, classes: int) -> list[int]:
        first = len(columns.numeric) + len(columns.categorical) * self.embedding
        return [first, *self.hidden, 1 if classes == 2 else classes]

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The widths of the tower and of the embeddings.

        >>> Towers((8, 4), embedding=2).describe(TableShape.of(Columns(("distance",), ("carrier",), (16,))), 2)
        'tower 3-8-4-1, embeddings of 2'
        """
        widths = self._widths(self._columns(shape), classes)
        return f"tower {'-'.join(map(str, widths))}, embeddings of {self.embedding}"

    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Of the tower; the lookup of an embedding has no multiplication."""
        return sum(a * b for a, b in pairwise(self._widths(self._columns(shape), classes)))


@dataclass(frozen=True)
@typed
class SharedTowers(Towers):
    """`Towers` whose components share the embeddings; each component has its own tower.

    Args:
        hidden, embedding, activation, embedding_scale, sparse: as of `Towers`.
    Source:
        AD section 4 (components may share parts). Ours: the embeddings are drawn from the stream of the first component and
        trained by its optimiser, with the gradients of all components.
    """

    def build_together(self, shape: tuple[int, ...], classes: int, rngs: Sequence[np.random.Generator]) -> list[nn.Module]:
        """One module for each component; the table of embeddings is the same object in all modules."""
        columns = self._columns(shape)
        table = self._table(columns, rngs[0])
        return [self._tower(columns, classes, table, rng) for rng in rngs]

    def shared_multiply_adds(self, shape: tuple[int, ...]) -> int:
        """0: the lookup of an embedding has no multiplication."""
        return 0


class Tower(nn.Module):
    """Rows of a table to logits: their numeric columns and the embeddings of all categories, through the layers."""

    offsets: Tensor

    def __init__(self, table: nn.Embedding, layers: nn.Sequential, columns: Columns) -> None:
        super().__init__()
        self.table, self.layers = table, layers
        self.numeric = len(columns.numeric)
        self.register_buffer("offsets", torch.from_numpy(columns.offsets), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``B K`` of rows ``B columns``."""
        codes = x[:, self.numeric :].long() + self.offsets
        z = self.layers(torch.cat([x[:, : self.numeric], self.table(codes).flatten(1)], dim=1))
        return torch.cat([torch.zeros_like(z), z], dim=1) if z.shape[1] == 1 else z


def truncated_normal(shape: tuple[int, ...], variance: float, rng: np.random.Generator) -> Tensor:
    """Normal numbers truncated at two standard deviations and scaled to a variance, each from one uniform number.

    >>> drawn = truncated_normal((10_000,), 4.0, np.random.default_rng(0))
    >>> round(drawn.var().item(), 1), drawn.abs().max().item() < 2 * 2 / 0.8796
    (4.0, True)
    """
    c = TRUNCATED_AT
    inside = special.ndtr(c) - special.ndtr(-c)
    kept = 1.0 - 2.0 * c * np.exp(-(c**2) / 2) / np.sqrt(2 * np.pi) / inside  # variance of the standard normal between ±c
    drawn = special.ndtri(rng.uniform(special.ndtr(-c), special.ndtr(c), size=shape))
    return torch.from_numpy((sqrt(variance / kept) * drawn).astype(np.float32))
