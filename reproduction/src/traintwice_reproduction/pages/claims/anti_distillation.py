"""Claims of AD, "Anti-Distillation: Improving Reproducibility of Deep Networks"."""

from __future__ import annotations

from traintwice_reproduction.pages.claims.claim import Claim

PAIR, AD = "ensemble of 2", "AD, λ = 0.05"
CHOSEN, INVERSE, PROBABILITIES = "AD, chosen λ", "AD, difference (inverse), chosen λ", "AD, probabilities, chosen λ"
"""Rows whose λ was chosen on other replicas and the validation split."""

NO, CLICKS = "no AD", "AD 0.01, s = 1"
PD, PD_T = "relative_pairwise", "relative_pairwise (T)"
"""Relative PD of two trainings, as trained and at matched temperature."""

ON_PICTURES: tuple[Claim, ...] = (
    Claim("AD §1", "an ensemble has less prediction difference than one network", PAIR, "single network", "churn", "lower"),
    Claim("AD Table 1", "anti-distillation lowers Δ₁ of an ensemble of two", AD, PAIR, "delta_1", "lower"),
    Claim("AD Table 1", "and the share of flipped labels, Δᴴ", AD, PAIR, "churn", "lower"),
    Claim("AD Table 1", "and Δᴸ", AD, PAIR, "delta_label", "lower"),
    Claim("AD Table 1", "accuracy is not affected", AD, PAIR, "accuracy", "same"),
    Claim("AD Table 1", "log loss is not affected", AD, PAIR, "log_loss", "same"),
    Claim("AD Table 1", "the smallest strength does it too (λ = 0.02)", "AD, λ = 0.02", PAIR, "churn", "lower"),
    Claim("AD Table 1", "λ = 0.1 too", "AD, λ = 0.1", PAIR, "churn", "lower"),
    Claim("AD Table 2", "λ = 0.5, the strength of Table 2, too", "AD, λ = 0.5", PAIR, "churn", "lower"),
    Claim("AD §5", "too much strength (λ = 1) degrades accuracy", "AD, λ = 1", AD, "accuracy", "lower"),
    Claim("AD §5", "too much strength (λ = 1) degrades PD", "AD, λ = 1", AD, "delta_1", "higher"),
    Claim("AD §5", "the covariance loss behaves like the second moment", "AD, covariance", AD, "delta_1", "same"),
    Claim("AD §5", "and so do both at chosen λ", "AD, covariance, chosen λ", CHOSEN, "delta_1", "same"),
    Claim("AD §5", "AD on probabilities does not improve PD", PROBABILITIES, PAIR, "delta_1", "not lower"),
    Claim(
        "AD §5",
        "nor at the strength of the second moment (λ = 0.05)",
        "AD, probabilities, λ = 0.05",
        PAIR,
        "delta_1",
        "not lower",
    ),
    Claim("AD §5", "nor at a large strength (λ = 100)", "AD, probabilities, λ = 100", PAIR, "delta_1", "not lower"),
    Claim("AD Table 2", "PD falls with more components, without AD", "ensemble of 4", PAIR, "delta_1", "lower"),
    Claim("AD Table 2", "yet Δᴸ rises with more components, without AD", "ensemble of 4", PAIR, "delta_label", "higher"),
    Claim("AD Table 2", "PD falls with more components, with AD", "AD, 4 components", AD, "delta_1", "lower"),
    Claim("AD Table 2", "two components with AD beat four without", AD, "ensemble of 4", "delta_1", "lower"),
    Claim("AD Table 2", "and they beat eight without", AD, "ensemble of 8", "delta_1", "lower"),
    Claim("AD §4", "de-correlation is superior to pushing single predictions apart", CHOSEN, INVERSE, "churn", "lower"),
    Claim("ours", "does pushing single predictions apart (inverse) lower churn?", INVERSE, PAIR, "churn", "open"),
    Claim(
        "ours",
        "and at a weight that dwarfs the label loss (λ = 0.0005)?",
        "AD, difference (inverse), λ = 0.0005",
        PAIR,
        "churn",
        "open",
    ),
    Claim("ours", "does the covariance loss lower churn?", "AD, covariance, chosen λ", PAIR, "churn", "open"),
    Claim("ours", "does AD on probabilities lower churn?", PROBABILITIES, PAIR, "churn", "open"),
    Claim("ours", "is Δ₁ lower at matched temperature?", AD, PAIR, "delta_1 (T)", "open"),
    Claim("ours", "does AD differ from a plain penalty on the logits?", AD, "logit L2, ensemble of 2", "churn", "open"),
    Claim("ours", "does the penalty on the logits alone lower churn?", "logit L2, ensemble of 2", PAIR, "churn", "open"),
    Claim("ours", "with the gauge fixed, is churn still lower?", "AD, gauge fixed", PAIR, "churn", "open"),
    Claim("ours", "do independent batches of the components do as much?", "ensemble of 2, own batches", PAIR, "churn", "open"),
    Claim("ours", "is anything left of AD when the rate decays to 0?", "AD, decay", "ensemble of 2, decay", "churn", "open"),
    Claim("ours", "does decay alone beat AD?", "ensemble of 2, decay", AD, "churn", "open"),
)
"""Of `traintwice run claims.ad-STAGE`."""

ON_CLICKS: tuple[Claim, ...] = (
    Claim("AD §1", "an ensemble has less prediction difference than one network", NO, "single network", PD, "lower"),
    Claim("AD Table 3", "anti-distillation lowers relative PD of an ensemble of three (λ = 0.01)", CLICKS, NO, PD, "lower"),
    Claim("AD Table 3", "a smaller strength does it too (λ = 0.001)", "AD 0.001, s = 1", NO, PD, "lower"),
    Claim("AD Table 3", "a larger one too (λ = 0.1)", "AD 0.1, s = 1", NO, PD, "lower"),
    Claim("AD Table 3", "the covariance loss does it too", "AD covariance 0.1", NO, PD, "lower"),
    Claim("AD Table 3", "and less than the second moment at the same λ", "AD 0.1, s = 1", "AD covariance 0.1", PD, "lower"),
    Claim("AD Table 3", "the difference loss does it too (λ = 0.01)", "AD difference 0.01", NO, PD, "lower"),
    Claim("AD Table 3", "and less than the second moment at the same λ", CLICKS, "AD difference 0.01", PD, "lower"),
    Claim("AD §5", "a larger s adds to it", "AD 0.01, s = 10", CLICKS, PD, "lower"),
    Claim("AD §5", "without effect on accuracy", "AD 0.01, s = 10", CLICKS, "accuracy", "same"),
    Claim("AD §5", "more of the loss costs accuracy: log loss rises (λ = 0.01)", CLICKS, NO, "log_loss", "higher"),
    Claim("AD §5", "and at λ = 0.001", "AD 0.001, s = 1", NO, "log_loss", "higher"),
    Claim("ours", "does a larger s alone lower it?", "no AD, s = 10", NO, PD, "open"),
    Claim("ours", "is relative PD lower at matched temperature (λ = 0.01)?", CLICKS, NO, PD_T, "open"),
    Claim("ours", "the same for λ = 0.001", "AD 0.001, s = 1", NO, PD_T, "open"),
    Claim("ours", "the same for λ = 0.1", "AD 0.1, s = 1", NO, PD_T, "open"),
    Claim("ours", "the same for the covariance loss", "AD covariance 0.1", NO, PD_T, "open"),
    Claim("ours", "the same for a plain penalty on the logits", "logit L2", NO, PD_T, "open"),
    Claim("ours", "does AD (λ = 0.001) differ from that penalty?", "AD 0.001, s = 1", "logit L2", PD_T, "open"),
    Claim("ours", "what AD (λ = 0.01) does to churn", CLICKS, NO, "churn", "open"),
    Claim("ours", "what that penalty does to log loss", "logit L2", NO, "log_loss", "open"),
    Claim("ours", "do initial weights of each replica's own raise it?", "no AD, free initialisation", NO, PD, "open"),
)
"""Of `traintwice run flights`."""
