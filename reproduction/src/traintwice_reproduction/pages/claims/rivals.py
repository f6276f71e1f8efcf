"""Questions of ours: which method has the least churn at equal cost."""

from __future__ import annotations

from traintwice_reproduction.pages.claims.anti_distillation import PD, PD_T
from traintwice_reproduction.pages.claims.claim import Claim

RIVALS_OF_CLICKS: tuple[tuple[str, str, str, str], ...] = (
    ("1x/1x", "rate decay against a constant rate", "rate decay", "plain"),
    ("1x/1x", "small initial embeddings", "small initialisation", "plain"),
    ("1x/1x", "logit L2", "logit L2", "plain"),
    ("1x/1x", "entropy regulariser", "entropy", "plain"),
    ("1x/1x", "strong weight decay", "strong weight decay", "plain"),
    ("1x/1x", "steady without an average", "steady, last weights", "plain"),
    ("1x/1x", "a better fit: rate of 0.2, weight decay", "well fitted", "plain"),
    ("1x/1x", "steady against that fit", "steady, last weights", "well fitted"),
    ("1x/1x", "initial weights of each replica's own", "free initialisation", "plain"),
    ("2x/1x", "co-distillation", "co-distillation", "plain"),
    ("2x/1x", "the same on a better fit", "co-distillation, well fitted", "well fitted"),
    ("3x/3x", "ensemble", "ensemble of 3", "plain"),
    ("3x/3x", "ensemble against one larger network", "ensemble of 3", "three times the network"),
    ("3x/3x", "anti-distillation against an ensemble", "anti-distillation, λ = 0.01", "ensemble of 3"),
    ("3x/3x", "less of it", "anti-distillation, λ = 0.001", "ensemble of 3"),
    ("3x/3x", "more of it", "anti-distillation, λ = 0.1", "ensemble of 3"),
    ("3x/3x", "its covariance", "anti-distillation, covariance", "ensemble of 3"),
    ("3x/3x", "logit L2 of an ensemble", "logit L2, ensemble of 3", "ensemble of 3"),
    ("3x/3x", "anti-distillation against it", "anti-distillation, λ = 0.001", "logit L2, ensemble of 3"),
    (
        "3x/3x",
        "anti-distillation on a better fit",
        "anti-distillation, well fitted",
        "ensemble of 3, well fitted",
    ),
    ("1x/1x to 3x/3x", "steady, served once, against an ensemble", "steady, last weights", "ensemble of 3"),
)
"""Cost to train and serve, comparison in words, row, reference; each for churn, and for relative PD at matched temperature."""

STRONG = "strong weight decay"
ON_STRONG: tuple[tuple[str, str], ...] = (
    ("2x/1x", "twice the epochs"),
    ("2x/1x", "co-distillation"),
    ("3x/1x", "distillation of 2"),
    ("2x/2x", "ensemble of 2"),
    ("2x/2x", "anti-distillation"),
)
"""Cost and method of rows on the well-regularised baseline, each compared with that baseline alone."""

ON_PICTURES: tuple[Claim, ...] = (
    Claim("ours, 1x/1x", "rate decay against a constant rate", "plain", "constant rate", "churn", "open"),
    Claim("ours, 1x/1x", "EMA at a constant rate", "constant rate, EMA", "constant rate", "churn", "open"),
    Claim("ours, 1x/1x", "EMA on top of decay", "EMA", "plain", "churn", "open"),
    Claim("ours, 1x/1x", "small initialisation", "small initialisation", "plain", "churn", "open"),
    Claim("ours, 1x/1x", "logit L2", "logit L2", "plain", "churn", "open"),
    Claim("ours, 1x/1x", "entropy regulariser", "entropy", "plain", "churn", "open"),
    Claim("ours, 1x/1x", "strong weight decay", "strong weight decay", "plain", "churn", "open"),
    Claim("ours, 1x/1x", "steady", "steady", "plain", "churn", "open"),
    Claim("ours, 1x/1x", "steady against strong weight decay", "steady", "strong weight decay", "churn", "open"),
    Claim("ours, 2x/1x", "co-distillation", "co-distillation", "plain", "churn", "open"),
    Claim("ours, 2x/1x", "co-distillation against twice the epochs", "co-distillation", "twice the epochs", "churn", "open"),
    Claim(
        "ours, 2x/1x",
        "the same on strong weight decay",
        "co-distillation, strong weight decay",
        "twice the epochs, strong weight decay",
        "churn",
        "open",
    ),
    Claim("ours, 2x/1x", "co-distilled steady against steady", "co-distillation, steady", "steady", "churn", "open"),
    Claim("ours, 3x/1x", "distillation against co-distillation", "distillation of 2", "co-distillation", "churn", "open"),
    Claim("ours, 2x/2x", "ensemble", "ensemble of 2", "plain", "churn", "open"),
    Claim("ours, 2x/2x", "anti-distillation against an ensemble", "anti-distillation", "ensemble of 2", "churn", "open"),
    Claim(
        "ours, 2x/2x",
        "the same on strong weight decay",
        "anti-distillation, strong weight decay",
        "ensemble of 2, strong weight decay",
        "churn",
        "open",
    ),
    *(
        Claim(f"ours, {cost}", f"{name} on strong weight decay", f"{name}, {STRONG}", STRONG, "churn", "open")
        for cost, name in ON_STRONG
    ),
    Claim("ours", "steady, served once, against an ensemble of two plain networks", "steady", "ensemble of 2", "churn", "open"),
    Claim("ours, 2x/2x", "ensemble of two steady networks against steady", "ensemble of 2, steady", "steady", "churn", "open"),
)
"""Of `traintwice run rivals-STAGE`."""

ON_CLICKS: tuple[Claim, ...] = (
    *(
        Claim(f"ours, {cost}", text, row, reference, metric, "open")
        for cost, text, row, reference in RIVALS_OF_CLICKS
        for metric in ("churn", PD_T)
    ),
    Claim(
        "AD §5", "AD on probabilities does not improve PD", "anti-distillation, probabilities", "ensemble of 3", PD, "not lower"
    ),
)
"""Of `traintwice run rivals-flights`."""
