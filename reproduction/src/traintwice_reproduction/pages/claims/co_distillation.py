"""Claims of CH, "On the Reproducibility of Neural Network Predictions"."""

from __future__ import annotations

from traintwice_reproduction.pages.claims.claim import Claim

BASE, CO, CE = "baseline", "co-distillation SKL, β = 1", "co-distillation CE"
CE_LINEAR, CE_LIVE, CE_JOINT = f"{CE}, linear ramp", f"{CE}, live peers, linear ramp", f"{CE}, joint, linear ramp"
"""The cross entropy of eq. (17) has stale peers, and the method of Anil et al. a step as its ramp. Ours: live peers, and joint updates."""

TOP = "entropy, top 3"
"""Three classes of ten replace the ten of a thousand of CH Figure 1."""

ON_PICTURES: tuple[Claim, ...] = (
    Claim("CH Table 2", "the entropy regulariser lowers SChurn", "entropy", BASE, "surrogate_churn", "lower"),
    Claim("CH Table 2", "the entropy regulariser lowers churn", "entropy", BASE, "churn", "lower"),
    Claim("CH Table 2", "the symmetric KL regulariser lowers SChurn", "symmetric KL", BASE, "surrogate_churn", "lower"),
    Claim("CH §3.1", "the symmetric KL regulariser lowers churn", "symmetric KL", BASE, "churn", "lower"),
    Claim("CH Table 4", "the entropy regulariser raises the calibration error", "entropy", BASE, "calibration_error", "higher"),
    Claim("CH §3.1", "over all classes it lowers the entropy", "entropy", BASE, "prediction_entropy", "lower"),
    Claim("CH Fig. 1", "its top-k form lowers the entropy", TOP, BASE, "prediction_entropy", "lower"),
    Claim("CH Fig. 1", "and lowers churn", TOP, BASE, "churn", "lower"),
    Claim("CH Fig. 2", "the entropy regulariser raises the confidence", "entropy", BASE, "confidence", "higher"),
    Claim("CH §3.1", "the symmetric KL regulariser raises the confidence", "symmetric KL", BASE, "confidence", "higher"),
    Claim("CH App. D", "co-distillation does not affect the confidence", CO, BASE, "confidence", "same"),
    Claim("CH Table 2", "co-distillation (SKL) lowers churn", CO, BASE, "churn", "lower"),
    Claim("CH Table 2", "co-distillation (SKL) lowers SChurn", CO, BASE, "surrogate_churn", "lower"),
    Claim("CH Table 2", "co-distillation (SKL) raises accuracy", CO, BASE, "accuracy", "higher"),
    Claim("CH Fig. 1", "co-distillation raises the entropy", CO, BASE, "prediction_entropy", "higher"),
    Claim("CH Table 4", "co-distillation lowers the calibration error", CO, BASE, "calibration_error", "lower"),
    Claim("CH Table 2", "churn falls where the model is right", CO, BASE, "churn_correct", "lower"),
    Claim("CH Table 2", "churn falls where the model is wrong", CO, BASE, "churn_incorrect", "lower"),
    Claim("CH Table 5", "at a printed weight too (β = 0.05)", "co-distillation SKL, β = 0.05", BASE, "churn", "lower"),
    Claim("CH Table 2", "co-distillation with CE lowers churn", CE, BASE, "churn", "lower"),
    Claim("CH Table 2", "SKL is better than CE", CO, CE, "churn", "lower"),
    Claim("CH §3.2", "SKL is better than L1", CO, "co-distillation L1, β = 1", "churn", "lower"),
    Claim("CH App. C", "joint updates of (9) are better than independent ones of (17)", CO, CE_LINEAR, "churn", "lower"),
    Claim("CH App. C", "a linear ramp is better than a step", CO, "co-distillation SKL, β = 1, step", "churn", "lower"),
    Claim("CH Table 2", "with the entropy regulariser churn falls further", "co-distillation + entropy", CO, "churn", "lower"),
    Claim("CH App. D", "with the symmetric KL too", "co-distillation + symmetric KL", CO, "churn", "lower"),
    Claim("CH §4", "co-distillation beats distillation of an ensemble", CO, "distillation of 2", "churn", "lower"),
    Claim("CH Table 2", "distillation of an ensemble lowers churn", "distillation of 2", BASE, "churn", "lower"),
    Claim(
        "CH Table 7",
        "co-distillation with entropy is as good as an ensemble",
        "co-distillation + entropy",
        "ensemble of 2",
        "churn",
        "same",
    ),
    Claim("CH Table 1", "fixed initialisation always decreases churn", "shared initialisation", BASE, "churn", "lower"),
    Claim(
        "CH §4",
        "fixed initialisation under co-distillation does not affect churn",
        "co-distillation, shared initialisation",
        CO,
        "churn",
        "same",
    ),
    Claim("CH Table 1", "identical order does not decrease churn", "same order", BASE, "churn", "not lower"),
    Claim("CH Table 1", "removing augmentation increases churn", "no augmentation", BASE, "churn", "higher"),
    Claim("CH Table 3", "without weight decay churn is higher", "no weight decay", BASE, "churn", "higher"),
    Claim(
        "CH Table 3",
        "without weight decay the entropy regulariser lowers churn",
        "no weight decay, entropy",
        "no weight decay",
        "churn",
        "lower",
    ),
    Claim(
        "CH Table 3",
        "without weight decay co-distillation lowers churn",
        "no weight decay, co-distillation",
        "no weight decay",
        "churn",
        "lower",
    ),
    Claim("ours", "does co-distillation beat as much training spent on more epochs?", CO, "twice the epochs", "churn", "open"),
    Claim("ours", "is SChurn of co-distillation lower at matched temperature?", CO, BASE, "surrogate_churn (T)", "open"),
    Claim(
        "ours",
        "is SChurn of the entropy regulariser lower at matched temperature?",
        "entropy",
        BASE,
        "surrogate_churn (T)",
        "open",
    ),
    Claim("ours", "does the ramp matter at all?", CO, "co-distillation SKL, β = 1, no ramp", "churn", "open"),
    Claim(
        "ours",
        "does the partial sum over the top 3 lower the entropy?",
        f"{TOP}, partial sum",
        BASE,
        "prediction_entropy",
        "open",
    ),
    Claim("ours", "does CE with live peers lower churn?", CE_LIVE, BASE, "churn", "open"),
    Claim("ours", "is SKL better than CE with live peers?", CO, CE_LIVE, "churn", "open"),
    Claim("ours", "are live peers better than stale ones?", CE_LIVE, CE_LINEAR, "churn", "open"),
    Claim("ours", "is a linear ramp better than a step, with CE?", CE_LINEAR, CE, "churn", "open"),
    Claim("ours", "is a joint CE better than independent updates with live peers?", CE_JOINT, CE_LIVE, "churn", "open"),
)
"""Of `traintwice run claims.churn-STAGE`."""
