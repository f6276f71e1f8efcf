"""The ready experiments: the methods of both papers on handwritten digits, and click models on a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traintwice.study import Experiment

FIRST_LOOK = 3
"""Replicas of `flights`: a few minutes on two cores. Relative PD averages over so many flights that three give a narrow interval."""


def digits() -> Experiment:
    """Seven recipes on scikit-learn's digits, ten replicas each: 797 training, 200 validation, 800 test examples.

    Network and optimiser are those of the anti-distillation paper at a tenth of the width. The weights of the methods are typical, not
    tuned. The study shows how a study works and how wide intervals with ten replicas are. It is not evidence about large networks.
    """
    from traintwice.data import Digits
    from traintwice.methods import anti_distillation, co_distillation, ensemble, entropy_regulariser
    from traintwice.nets import MLP
    from traintwice.optimizers import AdaGrad
    from traintwice.recipes import Recipe
    from traintwice.schedules import LinearDecay
    from traintwice.study import Experiment

    base = Recipe(network=MLP((128, 128)), optimizer=AdaGrad(lr=0.02), epochs=25, batch_size=64)
    return Experiment(
        "digits",
        Digits(),
        {
            "baseline": base,
            "learning-rate decay": base.change(lr_schedule=LinearDecay()),
            "twice the epochs": base.change(epochs=50),
            "ensemble of 2": base.change(method=ensemble(2)),
            "anti-distillation of 2": base.change(method=anti_distillation(2, weight=0.05)),
            "co-distillation": base.change(method=co_distillation(weight=1.0, ramp_epochs=5)),
            "entropy regulariser": base.change(method=entropy_regulariser(alpha=0.1)),
        },
    )


def flights() -> Experiment:
    """Recipes for click-through rates on 327,346 flights, three replicas each: how much do two trainings on one stream disagree?

    Three components with embeddings and narrowing towers, AdaGrad, one pass in the order of departure. Every mini-batch is predicted
    before it is trained on. Replicas share their initial weights. They differ in the order of the rows inside a moving window of 10,000,
    which models the asynchronous updates of a training system. The weights λ are below the 0.5 to 5 of the anti-distillation paper: the
    loss scales with the fourth power of the logits, and the logits of the paper's data are unknown. The difference loss is on logits, as in
    the paper; it is unbounded below, and a weight a few times larger makes the training diverge. "logit L2" is a control that only shrinks
    logits.
    """
    from traintwice.data import Flights
    from traintwice.methods import anti_distillation, anti_distillation_difference, baseline, co_distillation, ensemble, logit_l2
    from traintwice.nets import Towers
    from traintwice.optimizers import AdaGrad
    from traintwice.progressive import Progressive
    from traintwice.recipes import Recipe
    from traintwice.study import Experiment

    single = Recipe(
        network=Towers(),
        method=baseline(),
        optimizer=AdaGrad(lr=0.05),
        epochs=1,
        batch_size=512,
        fixed=("initialisation",),
        progressive=Progressive(),
    )
    base = single.change(method=ensemble(3))
    rows = {"no AD": base}
    for weight, s in ((0.001, 1.0), (0.01, 1.0), (0.1, 1.0), (0.01, 5.0), (0.01, 10.0)):
        method = anti_distillation(3, weight)
        rows[f"AD {weight:g}, s = {s:g}"] = base.change(method=method, network=Towers(embedding_scale=s))
    rows |= {
        "no AD, s = 10": base.change(network=Towers(embedding_scale=10.0)),
        "AD covariance 0.1": base.change(method=anti_distillation(3, 0.1, matrix="covariance")),
        "AD difference 0.01": base.change(method=anti_distillation_difference(3, 0.01, signal="logits")),
        "logit L2": base.change(method=logit_l2(0.01, components=3)),
        "single network": single,
        "co-distillation": base.change(method=co_distillation(1.0)),
        "no AD, free initialisation": base.change(fixed=()),
    }
    return Experiment("flights", Flights(), rows, replicas=FIRST_LOOK)
