"""Every claim of both papers that these studies can test, and further questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "same", "not lower", "open"]
"""Claimed direction of the first row against the second: "same" is a difference within `MARGIN`, "not lower" is at most `MARGIN` lower,
"open" is a question of ours without a direction."""

MARGIN = 0.01
"""Differences up to one percentage point count as none."""


@dataclass(frozen=True)
class Claim:
    """A claim as a comparison of two rows of a study.

    Args:
        source: paper and section, table or figure.
        text: the claim in our words.
        row, reference: rows of the study.
        metric: name; "(T)" at matched temperature.
        direction: of the claim.
    """

    source: str
    text: str
    row: str
    reference: str
    metric: str
    direction: Direction


PAIR, AD = "ensemble of 2", "AD, λ = 0.05"
BASE, CO, CE = "baseline", "co-distillation SKL, β = 1", "co-distillation CE, independent"
NO, CLICKS = "no AD", "AD 0.01, s = 1"
PD, PD_T = "relative_pairwise", "relative_pairwise (T)"
"""Relative PD of two trainings, as trained and at matched temperature."""

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

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "claims.ad": (
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
        Claim("AD §5", "AD on probabilities does not improve PD", "AD, probabilities", PAIR, "delta_1", "not lower"),
        Claim("AD Table 2", "PD falls with more components, without AD", "ensemble of 4", PAIR, "delta_1", "lower"),
        Claim("AD Table 2", "yet Δᴸ rises with more components, without AD", "ensemble of 4", PAIR, "delta_label", "higher"),
        Claim("AD Table 2", "PD falls with more components, with AD", "AD, 4 components", AD, "delta_1", "lower"),
        Claim("AD Table 2", "two components with AD beat four without", AD, "ensemble of 4", "delta_1", "lower"),
        Claim(
            "AD §4",
            "de-correlation is superior to pushing single predictions apart",
            AD,
            "AD, difference (inverse)",
            "churn",
            "lower",
        ),
        Claim("ours", "is Δ₁ lower at matched temperature?", AD, PAIR, "delta_1 (T)", "open"),
        Claim("ours", "does AD differ from a plain penalty on the logits?", AD, "logit L2, ensemble of 2", "churn", "open"),
        Claim("ours", "does the penalty on the logits alone lower churn?", "logit L2, ensemble of 2", PAIR, "churn", "open"),
        Claim("ours", "with the gauge fixed, is churn still lower?", "AD, gauge fixed", PAIR, "churn", "open"),
        Claim(
            "ours", "do independent batches of the components do as much?", "ensemble of 2, own batches", PAIR, "churn", "open"
        ),
        Claim("ours", "is anything left of AD when the rate decays to 0?", "AD, decay", "ensemble of 2, decay", "churn", "open"),
        Claim("ours", "does decay alone beat AD?", "ensemble of 2, decay", AD, "churn", "open"),
    ),
    "flights": (
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
    ),
    "claims.churn": (
        Claim("CH Table 2", "the entropy regulariser lowers SChurn", "entropy", BASE, "surrogate_churn", "lower"),
        Claim("CH Table 2", "the entropy regulariser lowers churn", "entropy", BASE, "churn", "lower"),
        Claim("CH Table 2", "the symmetric KL regulariser lowers SChurn", "symmetric KL", BASE, "surrogate_churn", "lower"),
        Claim("CH §3.1", "the symmetric KL regulariser lowers churn", "symmetric KL", BASE, "churn", "lower"),
        Claim(
            "CH Table 4", "the entropy regulariser raises the calibration error", "entropy", BASE, "calibration_error", "higher"
        ),
        Claim("CH Fig. 1", "it lowers churn by lowering the entropy", "entropy", BASE, "prediction_entropy", "lower"),
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
        Claim("CH App. C", "joint updates are better than independent ones", "co-distillation CE, joint", CE, "churn", "lower"),
        Claim("CH App. C", "a linear ramp is better than a step", CO, "co-distillation SKL, β = 1, step", "churn", "lower"),
        Claim(
            "CH Table 2", "with the entropy regulariser churn falls further", "co-distillation + entropy", CO, "churn", "lower"
        ),
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
        Claim(
            "ours", "does co-distillation beat as much training spent on more epochs?", CO, "twice the epochs", "churn", "open"
        ),
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
    ),
    "rivals": (
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
        Claim(
            "ours", "steady, served once, against an ensemble of two plain networks", "steady", "ensemble of 2", "churn", "open"
        ),
        Claim(
            "ours, 2x/2x", "ensemble of two steady networks against steady", "ensemble of 2, steady", "steady", "churn", "open"
        ),
    ),
    "rivals-flights": tuple(
        Claim(f"ours, {cost}", text, row, reference, metric, "open")
        for cost, text, row, reference in RIVALS_OF_CLICKS
        for metric in ("churn", PD_T)
    ),
}
"""By study or family of studies: one study for each of `studies.claims.STAGES`, or of `studies.rivals.RIVAL_STAGES` for the rivals."""

TABLED: dict[str, tuple[str, ...]] = {"rivals": ("churn", "accuracy"), "rivals-flights": ("churn", PD, PD_T, "log_loss")}
"""Metrics in which every row of a study is compared with the first row."""

FIVE: tuple[tuple[str, str, str, str], ...] = (
    ("claims.ad", "Anti-distillation of two components against a plain ensemble of two", AD, PAIR),
    ("claims.ad", "A plain penalty on the logits against the same ensemble", "logit L2, ensemble of 2", PAIR),
    ("claims.churn", "Co-distillation (SKL, β = 1) against its baseline", CO, BASE),
    ("claims.churn", "The entropy regulariser against its baseline", "entropy", BASE),
    ("rivals", "A recipe that forgets its initialisation (`steady`) against rate decay, at the same cost", "steady", "plain"),
)
"""Comparisons of churn in the README: study, in words, row, reference."""

UNTESTED: tuple[tuple[str, str, str], ...] = (
    (
        "AD Table 2",
        "two components with AD beat eight without",
        "twenty replicas of ensembles of eight; `traintwice run ad.table2` shows ten",
    ),
    (
        "AD §5",
        "on clicks, anti-distillation of probabilities does not improve PD",
        'a row of `traintwice run flights` with `signal = "probabilities"`',
    ),
    (
        "CH Fig. 2",
        "the regularisers raise the confidence in the predictions, and in App. D the symmetric KL does not",
        "a measure of confidence with an interval; the entropy of Fig. 1 is tested above",
    ),
    (
        "CH App. E",
        "with everything fixed, weights are identical after 10,000 steps on a CPU",
        "`traintwice check --steps 10000`, on your machine",
    ),
    (
        "AD Table 1",
        "Δ₁ falls 21 times on the 60,000 images of MNIST, 1200 wide, 150 epochs",
        "`traintwice run ad.table1 --scale paper`",
    ),
    (
        "AD Table 3",
        "on hundreds of billions of advertisements",
        "private data; `traintwice run ad.table3` is the same comparison on flights",
    ),
    (
        "CH Table 2",
        "on CIFAR-10, CIFAR-100, ImageNet and iNaturalist with residual networks",
        "`traintwice run churn.table2 --scale paper`",
    ),
    (
        "ours",
        "averages of weights, twice the epochs and distillation on a stream",
        "nothing: a stream has a single pass, and its predictions are those of the current weights",
    ),
    ("CH Table 6", "hardware alone makes churn, on GPU", "needs a GPU; emulated in `traintwice run churn.table6`"),
)
"""Source, claim that cannot be tested here, and what would test it."""

CONTRADICTIONS: tuple[str, ...] = (
    "CH Table 1: “fixed initialisation always decreases churn”, against 11.08 → 11.20 without augmentation.",
    "CH Table 3: by the text, entropy without weight decay improves churn, against 8.40 → 8.45 on CIFAR-10.",
    "CH Table 2: the symmetric KL regulariser alone is worse on CIFAR-10 (5.72 → 5.79) and ImageNet (15.22 → 15.32).",
    "CH: co-distillation “does not affect” the confidence (appendix D) and reduces it (section 4, Figure 1).",
    "CH Table 6: by the marks of its header identical input data lowers churn to 2.73; by its text identical initialisation does.",
    "AD Table 2: Δᴸ rises with J without anti-distillation, while by the text all measures improve.",
    "AD Table 1: a log loss of .615 at 99.2 % accuracy is unexplained.",
)
"""Contradictions inside the papers."""
