"""A first study, in under a minute: the methods of both papers and simple alternatives on handwritten digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traintwice.study import Experiment


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
