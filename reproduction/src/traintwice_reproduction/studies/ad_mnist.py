"""Anti-distillation on all of MNIST with the network and the optimiser of the AD paper, next to the plainest rivals."""

from __future__ import annotations

from traintwice.averaging import EMA
from traintwice.components import OwnBatches
from traintwice.data import MNIST
from traintwice.methods import anti_distillation, ensemble, logit_l2
from traintwice.nets import MLP
from traintwice.optimizers import AdaGrad
from traintwice.recipes import Recipe
from traintwice.schedules import LinearDecay
from traintwice.study import Experiment

EPOCHS = 10
"""The paper trains for 150."""


def ad_mnist() -> Experiment:
    """AD Table 1 on all 60,000 pictures of MNIST at a fifteenth of the paper's epochs, with rivals of one and of two networks.

    784-1200-1200-10, AdaGrad at 0.02, 59,000 pictures for training and 1,000 for validation, twenty replicas.
    """
    base = Recipe(network=MLP((1200, 1200)), optimizer=AdaGrad(lr=0.02, accumulator=0.1), epochs=EPOCHS, batch_size=128)
    pair = base.change(method=ensemble(2))
    rows = {
        "ensemble of 2": pair,
        **{f"anti-distillation, {weight:g}": base.change(method=anti_distillation(2, weight)) for weight in (0.1, 0.5, 0.02)},
        "one network": base,
        "EMA": base.change(averaging=EMA()),
        "linear decay": base.change(lr_schedule=LinearDecay()),
        "ensemble of 2, linear decay": pair.change(lr_schedule=LinearDecay()),
        "logit L2, ensemble of 2": base.change(method=logit_l2(components=2)),
        "ensemble of 2, own batches": pair.change(own_batches=OwnBatches()),
    }
    return Experiment("ad-mnist", MNIST(train=59_000, validation=1_000), rows, replicas=20)
