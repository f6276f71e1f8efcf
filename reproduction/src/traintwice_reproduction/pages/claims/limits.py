"""Claims that cannot be tested with these data and machines, and contradictions inside the papers."""

from __future__ import annotations

UNTESTED: tuple[tuple[str, str, str], ...] = (
    (
        "AD Table 1",
        "Δ₁ falls 21 times on the 60,000 images of MNIST, 1200 wide, 150 epochs",
        "a GPU for hours: `traintwice run ad.table1 --scale paper`",
    ),
    (
        "AD Table 3",
        "on hundreds of billions of advertisements",
        "private data; `traintwice run ad.table3` is the same comparison on flights",
    ),
    (
        "CH Table 2",
        "on CIFAR-10, CIFAR-100, ImageNet, iNaturalist and SVHN with the paper's networks and 90 to 450 epochs",
        "the data and a GPU for days: `traintwice run churn.table2 --scale paper`",
    ),
    (
        "CH Tables 1 and 6",
        "hardware alone causes churn, on TPU and GPU",
        "a GPU: `traintwice run churn.table6 --device cuda`; on a CPU it is emulated",
    ),
)
"""Source, claim that cannot be tested here, and what would test it."""

ELSEWHERE: tuple[tuple[str, str, str], ...] = (
    (
        "CH App. E",
        "with everything fixed, weights are identical after 10,000 steps on a CPU",
        "`traintwice check --steps 10000` compares the bits of two trainings on your machine",
    ),
)
"""Source, claim, and the command that tests it."""

CONTRADICTIONS: tuple[str, ...] = (
    "CH Table 1: “fixed initialisation always decreases churn”, but 11.08 → 11.20 without augmentation.",
    "CH Table 3: by the text, entropy without weight decay lowers churn, but 8.4 → 8.45 on CIFAR-10.",
    "CH Table 2: the symmetric KL regulariser alone has higher churn on CIFAR-10 (5.72 → 5.79) and ImageNet (15.22 → 15.32).",
    "CH Table 2: co-distillation (SKL) outperforms distillation by the text, but distillation has lower churn where the model is right: "
    "2.05 against 2.49 on CIFAR-10, 7.79 against 9.08 on CIFAR-100, 4.92 against 5.11 on ImageNet.",
    "CH Table 2: the methods reduce churn where the model is right by the text, but co-distillation with CE raises it on CIFAR-10, "
    "2.62 → 3.03.",
    "CH Table 2: SKL performs better than CE by the text, but CE has lower SChurn on ImageNet (18.38 against 28.66) and SVHN "
    "(10.44 against 12.2).",
    "CH: co-distillation “does not affect” the confidence (appendix D) and reduces it (section 5, Figure 1).",
    "AD Table 2: Δᴸ rises with J without anti-distillation (.0183 → .0237), but by the text all measures improve.",
    "AD Table 1: a log loss of .615 at 99.2 % accuracy is unexplained.",
)
"""Contradictions inside the papers."""
