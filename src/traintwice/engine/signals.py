"""Outputs of named sub-networks of every component, for losses that read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from traintwice.engine.building import Selected
from traintwice.errors import BadSpec


class Signals:
    """Records what named sub-networks give while the components are run.

    Args:
        networks: the components.
        names: of sub-networks, as in ``network.named_modules()`` ("3" is the fourth layer of a sequence), whether or not a component
            sees all features.
    Raises:
        BadSpec: a component has no sub-network of that name.
    Source:
        AD section 4: the loss may act on sub-networks of the components.
    """

    def __init__(self, networks: list[nn.Module], names: frozenset[str]) -> None:
        self.networks = [network.network if isinstance(network, Selected) else network for network in networks]
        self.names = sorted(names)
        for j, network in enumerate(self.networks):
            known = [name for name, _ in network.named_modules() if name]
            for name in self.names:
                if name not in known:
                    raise BadSpec(f"signal {name!r}: component {j} has no sub-network of that name; it has {', '.join(known)}")

    @contextmanager
    def recording(self) -> Iterator[Mapping[str, Tensor] | None]:
        """Within the block, run every component once, in order; the signals ``J B D`` are there afterwards."""
        if not self.names:
            yield None
            return
        seen: dict[str, list[Tensor]] = {name: [] for name in self.names}
        found: dict[str, Tensor] = {}
        hooks = [
            network.get_submodule(name).register_forward_hook(lambda _m, _x, y, name=name: seen[name].append(y.flatten(1)))
            for name in self.names
            for network in _distinct(self.networks, name)
        ]
        try:
            yield found
            found.update({name: torch.stack(parts) for name, parts in seen.items()})
        finally:
            for hook in hooks:
                hook.remove()


def _distinct(networks: list[nn.Module], name: str) -> list[nn.Module]:
    """One component for each sub-network object: a shared one must not be recorded twice in a run."""
    return list({id(network.get_submodule(name)): network for network in networks}.values())
