"""A first look at models of a stream: retrained click-rate models on a year of flights."""

from __future__ import annotations

from traintwice.data import Flights
from traintwice.methods import anti_distillation, anti_distillation_difference, baseline, co_distillation, ensemble, logit_l2
from traintwice.nets import Towers
from traintwice.optimizers import AdaGrad
from traintwice.progressive import Progressive
from traintwice.recipes import Recipe
from traintwice.study import Experiment


def flights() -> Experiment:
    """The set-up of AD's click-through rates on 327,346 flights, ten replicas each: how far apart are two trainings on one stream?

    Three components with embeddings and narrowing towers, AdaGrad, one pass in the order of departure, every mini-batch predicted before
    it is trained on. Replicas share their initial weights; they differ in the order of the rows inside a moving window of 10,000, which
    stands in for the asynchronous updates of a training system. The weights λ are below the paper's 0.5 to 5: the loss scales with the
    fourth power of the logits, and those of its data are not known. The difference is of logits, as the paper's; there it is unbounded
    below, and a weight a few times larger breaks the training. "logit L2" is the control: it shrinks logits and does nothing else.
    `ad.table3` has AD Table 3 line by line, and trains nothing again that is here.
    """
    base = Recipe(
        network=Towers(),
        method=ensemble(3),
        optimizer=AdaGrad(lr=0.05),
        epochs=1,
        batch_size=512,
        fixed=("initialisation",),
        progressive=Progressive(),
    )
    rows = {"no AD": base}
    for weight, s in ((0.001, 1.0), (0.01, 1.0), (0.1, 1.0), (0.01, 5.0), (0.01, 10.0)):
        method = anti_distillation(3, weight)
        rows[f"AD {weight:g}, s = {s:g}"] = base.change(method=method, network=Towers(embedding_scale=s))
    rows |= {
        "no AD, s = 10": base.change(network=Towers(embedding_scale=10.0)),
        "AD covariance 0.1": base.change(method=anti_distillation(3, 0.1, matrix="covariance")),
        "AD difference 0.01": base.change(method=anti_distillation_difference(3, 0.01, signal="logits")),
        "logit L2": base.change(method=logit_l2(0.01, components=3)),
        "single network": base.change(method=baseline()),
        "co-distillation": base.change(method=co_distillation(1.0)),
        "no AD, free initialisation": base.change(fixed=()),
    }
    return Experiment("flights", Flights(), rows)
