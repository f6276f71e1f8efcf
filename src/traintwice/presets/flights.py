"""Models of a stream: retrained click-rate models on a year of flights, and what buys them least churn at equal cost."""

from __future__ import annotations

from traintwice import controls
from traintwice.data import Flights
from traintwice.methods import (
    anti_distillation,
    anti_distillation_difference,
    baseline,
    co_distillation,
    ensemble,
    entropy_regulariser,
    logit_l2,
)
from traintwice.nets import Towers
from traintwice.optimizers import AdaGrad, Adam
from traintwice.progressive import Progressive
from traintwice.recipes import Recipe
from traintwice.study import Experiment

SINGLE = Recipe(
    network=Towers(),
    method=baseline(),
    optimizer=AdaGrad(lr=0.05),
    epochs=1,
    batch_size=512,
    fixed=("initialisation",),
    progressive=Progressive(),
)
"""One network of AD's click-through rates."""

REPLICAS = 20
"""Of the rivals."""

FIRST_LOOK = 3
"""Replicas of `flights`: a few minutes on two cores. Relative PD is the mean over so many flights that three tell much."""


def flights() -> Experiment:
    """The set-up of AD's click-through rates on 327,346 flights, three replicas each: how far apart are two trainings on one stream?

    Three components with embeddings and narrowing towers, AdaGrad, one pass in the order of departure, every mini-batch predicted before
    it is trained on. Replicas share their initial weights; they differ in the order of the rows inside a moving window of 10,000, which
    stands in for the asynchronous updates of a training system. The weights λ are below the paper's 0.5 to 5: the loss scales with the
    fourth power of the logits, and those of its data are not known. The difference is of logits, as the paper's; there it is unbounded
    below, and a weight a few times larger breaks the training. "logit L2" is the control: it shrinks logits and does nothing else.
    `ad.table3` has AD Table 3 line by line, and trains nothing again that is here.
    """
    base = SINGLE.change(method=ensemble(3))
    rows = {"no AD": base}
    for weight, s in ((0.001, 1.0), (0.01, 1.0), (0.1, 1.0), (0.01, 5.0), (0.01, 10.0)):
        method = anti_distillation(3, weight)
        rows[f"AD {weight:g}, s = {s:g}"] = base.change(method=method, network=Towers(embedding_scale=s))
    rows |= {
        "no AD, s = 10": base.change(network=Towers(embedding_scale=10.0)),
        "AD covariance 0.1": base.change(method=anti_distillation(3, 0.1, matrix="covariance")),
        "AD difference 0.01": base.change(method=anti_distillation_difference(3, 0.01, signal="logits")),
        "logit L2": base.change(method=logit_l2(0.01, components=3)),
        "single network": SINGLE,
        "co-distillation": base.change(method=co_distillation(1.0)),
        "no AD, free initialisation": base.change(fixed=()),
    }
    return Experiment("flights", Flights(), rows, replicas=FIRST_LOOK)


def rivals_flights() -> Experiment:
    """The question of `rivals` for clicks: at equal cost of training and serving, what buys least churn on the stream of `flights`?

    The plain baseline is one network of `flights`; the well-fitted one has four times the rate, and L2 of 1e-3. Small initialisation is
    of the embeddings, whose variance is divided by ten, and `steady` goes without an average of its weights. Left out, because a stream
    allows none of them: averages of weights, a second epoch, and a teacher, which would have seen the whole stream. Rows that `flights`
    has too are the same replicas; the settings of the others were chosen on other replicas, by `docs/choosing.py`. Where log loss differs,
    so does how much was learnt, and a model that has learnt little differs little.
    """
    small = Towers(embedding_scale=0.1)
    fitted = SINGLE.change(optimizer=AdaGrad(lr=0.2, weight_decay=1e-3))
    steady = controls.linear_decay(SINGLE).change(network=small, optimizer=Adam(lr=2e-3, weight_decay=1.0, decoupled=True))
    rows = {
        "plain": SINGLE,
        "rate decay": controls.linear_decay(SINGLE),
        "small initialisation": SINGLE.change(network=small),
        "logit L2": SINGLE.change(method=logit_l2(0.01)),
        "entropy": SINGLE.change(method=entropy_regulariser(0.03)),
        "strong weight decay": SINGLE.change(optimizer=AdaGrad(lr=0.05, weight_decay=1e-2)),
        "steady, last weights": steady,
        "free initialisation": SINGLE.change(fixed=()),
        "well fitted": fitted,
        "co-distillation": SINGLE.change(method=co_distillation(1.0)),
        "co-distillation, well fitted": fitted.change(method=co_distillation(1.0)),
        "three times the network": SINGLE.change(network=Towers((136, 68, 34))),
        "ensemble of 3": SINGLE.change(method=ensemble(3)),
        "logit L2, ensemble of 3": SINGLE.change(method=logit_l2(0.01, components=3)),
        **{f"anti-distillation, λ = {w:g}": SINGLE.change(method=anti_distillation(3, w)) for w in (0.001, 0.01, 0.1)},
        "anti-distillation, covariance": SINGLE.change(method=anti_distillation(3, 0.1, matrix="covariance")),
        "ensemble of 3, well fitted": fitted.change(method=ensemble(3)),
        "anti-distillation, well fitted": fitted.change(method=anti_distillation(3, 0.01)),
    }
    return Experiment("rivals-flights", Flights(), rows, replicas=REPLICAS)
