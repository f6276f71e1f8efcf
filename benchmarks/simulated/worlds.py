"""Worlds: how the errors of replicas on rows come about.

In a world of two classes replica m is right on row n where z_mn = a_n + sqrt(ρ) r_m + sqrt(1 − ρ) e_mn is positive. a_n is how easy
the row is, r_m the factor of the replica, e_mn independent noise; r and e are standard normal. The probability of the right class is
the logistic function of 2 z_mn. Rows are independent, or all rows of a cluster are equally easy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize, special, stats

from traintwice import metrics
from traintwice.metrics import Metric
from traintwice.predictions import Predictions

QUANTILES = (np.arange(100_000) + 0.5) / 100_000


@dataclass(frozen=True)
class World:
    """A way to draw predictions.

    Attributes:
        name: for the table.
        meaning: the same in a sentence.
        churn: between two replicas, over all replicas and rows (two classes).
        shared: ρ, the share of the latent variance that a replica's own factor has.
        tail: degrees of freedom of the distribution of a_n; infinite is normal.
        icc: correlation, inside clusters, of whether two replicas disagree; 0 means independent rows.
        classes: K.
        rows: the numbers of rows that are tried.
        cluster: rows of a cluster.
        fixed_gap: the factors of the replicas are added to z as they are, ρ being 0: models that are fixed and differ in quality.
    """

    name: str
    meaning: str
    churn: float = 0.1
    shared: float = 0.0
    tail: float = np.inf
    icc: float = 0.0
    classes: int = 2
    rows: tuple[int, ...] = (300, 1_000)
    cluster: int = 1
    fixed_gap: bool = False

    def draw(
        self, rng: np.random.Generator, factors: np.ndarray, rows: int, common: np.ndarray | None = None
    ) -> tuple[Predictions, np.ndarray]:
        """Predictions of some replicas on new rows, and how easy the rows are.

        Args:
            factors: r_m, shape ``M`` or ``M N``; of two models that are fixed, what distinguishes them.
            common: shape ``M N``, noise that replaces half of the variance of e_mn: two recipes with the same streams.
        """
        if self.classes > 2:
            return self._draw_many_classes(rng, factors, rows), np.zeros(rows)
        ease = self.ease(rng, rows)
        return self.predict(rng, factors, ease, common), ease

    def ease(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """a_n of new rows."""
        if self.icc:
            # flips have probability f = Beta/2 in a cluster, an error π with 2 π (1 − π) = f
            size = (0.25 * 2 * self.churn * (1 - 2 * self.churn)) / (self.icc * self.churn * (1 - self.churn)) - 1
            flips = rng.beta(2 * self.churn * size, (1 - 2 * self.churn) * size, -(-rows // self.cluster)) / 2
            ease = -special.ndtri(np.clip((1 - np.sqrt(1 - 2 * flips)) / 2, 1e-12, None))
            return np.repeat(ease, self.cluster)[:rows]
        shape = rng.normal(size=rows) if np.isinf(self.tail) else rng.standard_t(self.tail, rows)
        return centre(self.churn, self.tail) + shape

    def predict(
        self,
        rng: np.random.Generator,
        factors: np.ndarray,
        ease: np.ndarray,
        common: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> Predictions:
        """New replicas with these factors on rows of this ease."""
        own = factors if factors.ndim == 2 else factors[:, None]
        e = rng.normal(size=(len(own), len(ease)))
        e = e if common is None else np.sqrt(0.5) * (e + common)
        z = ease + (1.0 if self.fixed_gap else np.sqrt(self.shared)) * own + np.sqrt(1 - self.shared) * e
        if labels is None:
            labels = rng.integers(2, size=len(ease))
        right = special.expit(2 * z)
        one = np.where(labels == 1, right, 1 - right)
        clusters = np.arange(len(ease)) // self.cluster if self.cluster > 1 else None
        return Predictions(np.stack([1 - one, one], axis=2), labels, clusters=clusters)

    def _draw_many_classes(self, rng: np.random.Generator, factors: np.ndarray, rows: int) -> Predictions:
        base = rng.standard_normal((rows, self.classes), dtype=np.float32)
        labels = rng.integers(self.classes, size=rows)
        base[np.arange(rows), labels] += 4.0
        logits = 2 * (base + 0.6 * rng.standard_normal((len(factors), rows, self.classes), dtype=np.float32))
        if self.fixed_gap:
            logits[:, np.arange(rows), labels] += factors[:, None]
        return Predictions(special.softmax(logits.astype(np.float64), axis=2), labels)

    def truth(self, which: tuple[Metric, ...], factors: np.ndarray | None = None, size: int = 2_000_000) -> dict[str, float]:
        """The value of each measure over all rows: over all replicas, or for two models with given factors.

        Every row has two replicas of its own, so that the mean over rows is a mean over replicas too.
        """
        rng, rows = np.random.default_rng(20_260_101), 200_000 if self.classes == 2 else 10_000
        size = size if self.classes == 2 else size // 20
        single = World(**{**vars(self), "cluster": 1})
        sums = [metrics.Accumulator(m) for m in which]
        for _ in range(size // rows):
            own = rng.normal(size=(2, rows)) if factors is None else factors
            block, _ = single.draw(rng, own, rows)
            for s in sums:
                s.add(block)
        return {m.__name__: s.compute().value for m, s in zip(which, sums, strict=True)}


@cache
def centre(churn: float, tail: float = np.inf) -> float:
    """The mean of a_n that gives this churn."""
    shape = special.ndtri(QUANTILES) if np.isinf(tail) else stats.t.ppf(QUANTILES, tail)

    def of(mean: float) -> float:
        error = special.ndtr(-(mean + shape))
        return float(np.mean(2 * error * (1 - error)))

    return float(optimize.brentq(lambda mean: of(mean) - churn, 0.0, 40.0))


INDEPENDENT = World("independent", "Replicas err independently of one another on every row.")
SHARED = tuple(
    World(
        f"shared factor {rho}",
        f"A replica that errs on one row errs more on all rows: {100 * rho:.0f} % of the latent variance is a factor of the replica.",
        shared=rho,
    )
    for rho in (0.2, 0.5)
)
HEAVY = World("heavy tail", "Ease has a heavy tail (Student's t with 2 degrees of freedom).", tail=2.0)
RARE = tuple(
    World(f"churn {100 * churn:g} %", f"Two replicas disagree on {1000 * churn:g} of 1,000 rows.", churn=churn, rows=(1_000,))
    for churn in (0.001, 0.002)
)
MANY = World("100 classes", "100 classes; replicas confuse the same classes of a row.", classes=100, rows=(300,))
CLUSTERED = tuple(
    World(
        f"clusters, ICC {icc}",
        f"100 clusters of 20 rows; whether two replicas disagree correlates by {icc} inside a cluster.",
        icc=icc,
        cluster=20,
        rows=(2_000,),
    )
    for icc in (0.05, 0.2, 0.3)
)
RARE_CLUSTERED = World(
    "clusters, churn 0.2 %",
    "Clusters of 20 rows; two replicas disagree on 2 of 1,000 rows, and that correlates by 0.2 inside a cluster.",
    churn=0.002,
    icc=0.2,
    cluster=20,
    rows=(2_000, 10_000),
)
WORLDS = (INDEPENDENT, *SHARED, HEAVY, *RARE, MANY, *CLUSTERED, RARE_CLUSTERED)
