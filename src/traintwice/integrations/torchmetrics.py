"""The measures as torchmetrics metrics, accumulated over batches and merged over processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from traintwice._arrays import to_numpy
from traintwice.compare._estimates import interval
from traintwice.compare._inputs import named
from traintwice.errors import BadInput, require
from traintwice.metrics import Accumulator, Metric
from traintwice.types import Estimate

require("torch", extra="metrics", purpose="traintwice.integrations.torchmetrics")
require("torchmetrics", extra="metrics", purpose="traintwice.integrations.torchmetrics")

import torch  # noqa: E402
import torchmetrics  # noqa: E402
from torch import Tensor  # noqa: E402
from torchmetrics.utilities.distributed import gather_all_tensors  # noqa: E402

__all__ = ["ReplicaMetric"]


class ReplicaMetric(torchmetrics.Metric):
    r"""A measure of several replicas as a `torchmetrics.Metric`.

    Args:
        metric: a one-pass metric of `traintwice.metrics`, or its name.
        options: of the metric, such as ``{"alpha": 2.0}``.
        kwargs: of `torchmetrics.Metric`, such as ``dist_sync_on_step``.

    ``update(predictions, labels, weights)`` reads probabilities ``M N K`` or predicted labels ``M N`` as a tensor, or a sequence of M
    tensors, one of each model. ``compute()`` returns the value over all examples of all processes as a float64 scalar; `estimate`
    returns it with its interval. The state is one row of float64 numbers with a length that does not depend on the examples.

    Raises:
        MissingExtra: torchmetrics is not installed (on import). UnknownName: an unknown metric. BadInput: the metric needs all examples
            together, or the predictions are invalid.
    Source:
        Ours. ``forward`` updates twice (``full_state_update``), because a plain sum does not merge the state.
    Example:
        >>> churn = ReplicaMetric("churn")
        >>> churn.update(torch.tensor([[0, 1, 1, 2], [0, 1, 2, 2]]))
        >>> churn.update([torch.tensor([1, 1]), torch.tensor([1, 0])])
        >>> churn.compute()
        tensor(0.3333, dtype=torch.float64)
    """

    is_differentiable = False
    full_state_update = True

    def __init__(self, metric: Metric | str, *, options: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        gather = kwargs.pop("dist_sync_fn", None) or gather_all_tensors
        super().__init__(dist_sync_fn=partial(_gathered, gather), **kwargs)
        self.metric = named(metric)
        self.options = dict(options or {})
        self._empty = partial(Accumulator, self.metric, **self.options)
        definition = self._empty().definition
        # a MetricCollection shares one update between metrics with equal states of the same name
        bound = ", ".join(f"{key}={value!r}" for key, value in sorted(self.options.items()))
        self._state = f"sums_of_{definition.name}" + (f"({bound})" if bound else "")
        self.add_state(self._state, torch.zeros(0, dtype=torch.float64), dist_reduce_fx=partial(_merged, self._empty))

    def update(self, predictions: Tensor | Sequence[Tensor], labels: Tensor | None = None, weights: Tensor | None = None) -> None:
        """Add examples, see the class."""
        if not isinstance(predictions, Tensor):
            predictions = torch.stack(list(predictions))
        seen = self._accumulator().update(_readable(predictions), _readable(labels), _readable(weights))
        setattr(self, self._state, torch.from_numpy(seen.pack()).to(self.device))

    def compute(self) -> Tensor:
        """The value over all examples, a scalar.

        Raises:
            BadInput: there are no examples. Undefined: the metric is undefined on them.
        """
        return torch.tensor(self._accumulator().compute().value, dtype=torch.float64, device=self.device)

    def estimate(self, level: float = 0.95) -> Estimate:
        """The value with its interval, over the examples of all processes."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync, should_unsync=self._should_unsync):
            return interval(self._accumulator().compute(), level=level)

    def merge_state(self, incoming_state: dict[str, Any] | torchmetrics.Metric) -> None:
        """Add the examples of another metric of the same measure, or of its ``metric_state``.

        Raises:
            BadInput: another measure, other options, or another number of replicas.
        """
        state: dict[str, Any] = incoming_state if isinstance(incoming_state, dict) else incoming_state.metric_state
        if set(state) != {self._state}:
            raise BadInput(f"merge_state: got {', '.join(state) or 'nothing'}, expected {self._state}")
        seen = self._accumulator().merge_packed(to_numpy(state[self._state]))
        setattr(self, self._state, torch.from_numpy(seen.pack()).to(self.device))
        self._computed = None
        self._update_count += 1 if isinstance(incoming_state, dict) else incoming_state.update_count

    def sync(
        self,
        dist_sync_fn: Callable[..., Any] | None = None,
        process_group: Any | None = None,
        should_sync: bool = True,
        distributed_available: Callable[..., Any] | None = None,
    ) -> None:
        """As in `torchmetrics.Metric`; processes without examples are ignored."""
        super().sync(dist_sync_fn or self.dist_sync_fn, process_group, should_sync, distributed_available)

    def set_dtype(self, dst_type: str | torch.dtype) -> ReplicaMetric:
        """Accepts float64 only, in which counts are exact.

        Raises:
            BadInput: another type.
        """
        if dst_type not in (torch.float64, "torch.float64", "float64"):
            raise BadInput(f"set_dtype: got {dst_type}, expected torch.float64; the sums would no longer be exact")
        return self

    def _accumulator(self) -> Accumulator:
        """An accumulator with the current state."""
        return self._empty().merge_packed(to_numpy(getattr(self, self._state)))


def _readable(tensor: Tensor | None) -> Tensor | None:
    """The tensor without its graph, in a type that NumPy has."""
    if tensor is None:
        return None
    return tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()


def _merged(empty: Callable[[], Accumulator], stacked: Tensor) -> Tensor:
    """The sums of all processes, from the stacked sums of each process."""
    total = empty()
    for row in to_numpy(stacked):
        if row.any():  # all zeros: a process without examples
            total.merge_packed(row)
    return torch.from_numpy(total.pack()).to(stacked.device)


def _gathered(gather: Callable[..., list[Tensor]], state: Tensor, group: Any = None) -> list[Tensor]:
    """The states of all processes; zeros for a process without examples, so that states can be stacked."""
    states = gather(state, group)
    longest = max(len(s) for s in states)
    if any(len(s) not in (0, longest) for s in states):
        lengths = ", ".join(str(len(s)) for s in states)
        raise BadInput(
            f"got sums of {lengths} numbers from the processes, expected equal lengths: all processes must see the same models"
        )
    return [s if len(s) else s.new_zeros(longest) for s in states]
