"""Every claim of both papers that these studies can test, and further questions."""

from traintwice_reproduction.pages.claims import anti_distillation, co_distillation, rivals
from traintwice_reproduction.pages.claims.anti_distillation import AD, PAIR, PD, PD_T
from traintwice_reproduction.pages.claims.claim import NEAR, NOT_RUN, Claim, is_near, margin, outcome, verdict
from traintwice_reproduction.pages.claims.limits import CONTRADICTIONS, ELSEWHERE, UNTESTED

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "claims.ad": anti_distillation.ON_PICTURES,
    "flights": anti_distillation.ON_CLICKS,
    "claims.churn": co_distillation.ON_PICTURES,
    "rivals": rivals.ON_PICTURES,
    "rivals-flights": rivals.ON_CLICKS,
}
"""By study or family of studies: one study for each of `studies.claims.STAGES`, or of `studies.rivals.RIVAL_STAGES` for the rivals."""

TABLED: dict[str, tuple[str, ...]] = {"rivals": ("churn", "accuracy"), "rivals-flights": ("churn", PD, PD_T, "log_loss")}
"""Metrics in which every row of a study is compared with the first row."""

FIVE: tuple[tuple[str, str, str, str], ...] = (
    ("claims.ad", "Anti-distillation of two components against a plain ensemble of two", AD, PAIR),
    ("claims.ad", "A plain penalty on the logits against the same ensemble", "logit L2, ensemble of 2", PAIR),
    (
        "claims.churn",
        "Co-distillation (SKL, β = 1) against its baseline",
        co_distillation.CO,
        co_distillation.BASE,
    ),
    ("claims.churn", "The entropy regulariser against its baseline", "entropy", co_distillation.BASE),
    ("rivals", "A recipe that forgets its initialisation (`steady`) against rate decay, at the same cost", "steady", "plain"),
)
"""Comparisons of churn in the README: study, in words, row, reference."""

__all__ = [
    "AD",
    "CLAIMS",
    "CONTRADICTIONS",
    "ELSEWHERE",
    "FIVE",
    "NEAR",
    "NOT_RUN",
    "PAIR",
    "PD_T",
    "TABLED",
    "UNTESTED",
    "Claim",
    "is_near",
    "margin",
    "outcome",
    "verdict",
]
