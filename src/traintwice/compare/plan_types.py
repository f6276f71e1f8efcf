"""How many replicas and rows are needed, as data."""

from __future__ import annotations

from dataclasses import dataclass
from traintwice.compare.results import Shown


@dataclass(frozen=True)
class Components:
    """Parts of the variance of a churn.

        V(M, N) = 4·ζ₁/M + 2·ζ₂/(M(M − 1)) + σ_u²/N

    Attributes:
        churn: the number they belong to.
        zeta_1: variance of a replica's own mean churn with all others.
        zeta_2: variance that is left to a single pair.
        sigma_u: standard deviation over rows of the share of disagreeing pairs.
        source: where they come from, in words.
    """

    churn: float
    zeta_1: float
    zeta_2: float
    sigma_u: float
    source: str


@dataclass(frozen=True)
class PlanRow:
    """One way to plan.

    Attributes:
        replicas: M, of each of the two recipes.
        rows: N.
        standard_error: of one recipe's churn.
        detects: smallest difference of two recipes' churn found with the power asked for.
        power: chance of finding the difference asked for; None where none was.
        enough: whether that reaches what was asked for.
    """

    replicas: int
    rows: int
    standard_error: float
    detects: float
    power: float | None
    enough: bool


@dataclass(frozen=True)
class Plan(Shown):
    """What would be seen with so many replicas and rows. Made by `plan`.

    Attributes:
        components: the parts of the variance.
        detect: difference in churn to be found; None where none was asked for.
        level: of the test, one minus its error rate.
        wanted_power: chance of finding ``detect``.
        table: rows by number of replicas, then of rows.
        smallest: the cheapest row (replicas times rows) that is enough; None where none is.
        sentence: what it comes to.
    """

    components: Components
    detect: float | None
    level: float
    wanted_power: float
    table: tuple[PlanRow, ...]
    smallest: PlanRow | None
    sentence: str
