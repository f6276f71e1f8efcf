"""Older copies of the components, for co-distillation with stale peers."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping

from torch import Tensor, nn

from traintwice.engine.state import State, copies_of_networks, of_networks, parts, under

EXACT_UP_TO = 8
"""Lags up to this many steps are exact, with as many copies kept; beyond, one copy is renewed every T steps."""


class Peers:
    """Copies of all components as they were T steps ago.

    Args:
        networks: the components, followed while they are trained.
        lag: T >= 1.
    Source:
        CH eq. (17), after Anil et al. 2018. Ours: at step t the weights before step max(t − T, 0) for T up to 8; beyond, those before step
        T·floor((t − 1)/T), which are 1 to T steps old.
    """

    def __init__(self, networks: list[nn.Module], lag: int) -> None:
        self.networks, self.lag = networks, lag
        self._copies: deque[list[nn.Module]] = deque(maxlen=lag + 1 if lag <= EXACT_UP_TO else 1)
        self._now: tuple[int, list[nn.Module]] = (-1, [])

    def at(self, step: int) -> list[nn.Module]:
        """The peers of a step; call it for every step, in order, before its update. Asked again within a step (sharpness-aware
        minimisation runs the networks twice), it gives the same.
        """
        if self._now[0] != step:
            self._now = (step, self._next(step))
        return self._now[1]

    def _next(self, step: int) -> list[nn.Module]:
        if self.lag <= EXACT_UP_TO:
            self._copies.append(copy.deepcopy(self.networks))
            return self._copies[0]
        if step % self.lag:
            return self._copies[0]
        renewed = copy.deepcopy(self.networks)
        in_use = self._copies[0] if self._copies else renewed
        self._copies.append(renewed)
        return in_use

    def state(self) -> State:
        """Weights of the copies, between two steps."""
        return {name: value for i, nets in enumerate(self._copies) for name, value in under(str(i), of_networks(nets)).items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Make the copies again."""
        self._copies.clear()
        self._copies.extend(copies_of_networks(self.networks, own) for own in parts(state))
