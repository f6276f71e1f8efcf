"""Which method has the least churn at equal cost, on pictures and on clicks. Neither paper has this comparison."""

from __future__ import annotations

from collections.abc import Callable

from traintwice import controls, methods
from traintwice.averaging import EMA
from traintwice.data import Flights, MNIST5k
from traintwice.nets import LeNet5, Towers
from traintwice.optimizers import AdaGrad, Adam
from traintwice.presets import flights
from traintwice.recipes import Recipe
from traintwice.schedules import LinearDecay
from traintwice.study import Experiment
from traintwice_reproduction.studies.claims import REPLICAS, STAGES, Stage, distilled

RIVAL_STAGES: dict[str, Stage] = {**STAGES, "lenet": Stage(MNIST5k(), LeNet5(), 10, 64, rate=4e-3, strong_rate=4e-3)}
"""The stages of the claims, and a convolutional network. The network is trained one replica at a time and for fewer epochs: twenty replicas
of every row take half an hour on two cores. Its rates were chosen on other replicas (`python -m traintwice_reproduction choices lenet`)."""


def rivals(stage: str) -> Experiment:
    """Methods at equal cost of training and serving, against a plain and a well-regularised baseline: which has the least churn?

    The plain baseline is Adam at 1e-3 with linear decay to 0. The well-regularised baseline has decoupled weight decay of 1 and twice
    the rate. LeNet5 has a rate of 4e-3 in both. `steady` forgets its initialisation.
    """
    s = RIVAL_STAGES[stage]
    constant = Recipe(network=s.network, optimizer=Adam(lr=s.rate), epochs=s.epochs, batch_size=s.batch_size)
    plain = constant.change(lr_schedule=LinearDecay())
    strong = plain.change(optimizer=Adam(lr=s.strong_rate, weight_decay=1.0, decoupled=True))
    steady = controls.steady(constant)
    rows = {
        "plain": plain,
        "constant rate": constant,
        "constant rate, EMA": constant.change(averaging=EMA()),
        "EMA": plain.change(averaging=EMA()),
        "small initialisation": controls.small_initialisation(plain),
        "logit L2": plain.change(method=methods.logit_l2()),
        "entropy": plain.change(method=methods.entropy_regulariser(0.1)),
        "strong weight decay": strong,
        "steady": steady,
    }
    two_for_one = {
        "twice the epochs": controls.twice_the_epochs,
        "co-distillation": lambda r: r.change(method=methods.co_distillation(1.0)),
    }
    two_for_two = {
        "ensemble of 2": lambda r: r.change(method=methods.ensemble(2)),
        "anti-distillation": lambda r: r.change(method=methods.anti_distillation(2, 0.02)),
    }
    makers: dict[str, Callable[[Recipe], Recipe]] = {**two_for_one, **two_for_two, "distillation of 2": distilled}
    for suffix, base in (("", plain), (", strong weight decay", strong)):
        rows |= {f"{name}{suffix}": make(base) for name, make in makers.items()}
    rows["co-distillation, steady"] = controls.steady_with_peer(constant)
    rows["ensemble of 2, steady"] = steady.change(method=methods.ensemble(2))
    return Experiment(f"rivals-{stage}", s.data, rows, replicas=REPLICAS)


def rivals_flights() -> Experiment:
    """The question of `rivals` for clicks: at equal cost of training and serving, what has the least churn on the stream of `flights`?

    The plain baseline is the single network of `flights`; the well-fitted baseline has four times its rate and L2 of 1e-3. Small
    initialisation divides the variance of the embeddings by ten, and `steady` does not average its weights. A stream excludes averages of
    weights, a second epoch, and a teacher, which would have seen the whole stream. Rows that `flights` has too are the same replicas. The
    settings of the others were chosen on other replicas (`python -m traintwice_reproduction choices flights`). A row with a different log
    loss has learned a different amount, and a model that has learned little disagrees little.
    """
    single = flights().rows["single network"]
    small = Towers(embedding_scale=0.1)
    fitted = single.change(optimizer=AdaGrad(lr=0.2, weight_decay=1e-3))
    steady = controls.linear_decay(single).change(network=small, optimizer=Adam(lr=2e-3, weight_decay=1.0, decoupled=True))
    rows = {
        "plain": single,
        "rate decay": controls.linear_decay(single),
        "small initialisation": single.change(network=small),
        "logit L2": single.change(method=methods.logit_l2(0.01)),
        "entropy": single.change(method=methods.entropy_regulariser(0.03)),
        "strong weight decay": single.change(optimizer=AdaGrad(lr=0.05, weight_decay=1e-2)),
        "steady, last weights": steady,
        "free initialisation": single.change(fixed=()),
        "well fitted": fitted,
        "co-distillation": single.change(method=methods.co_distillation(1.0)),
        "co-distillation, well fitted": fitted.change(method=methods.co_distillation(1.0)),
        "three times the network": single.change(network=Towers((136, 68, 34))),
        "ensemble of 3": single.change(method=methods.ensemble(3)),
        "logit L2, ensemble of 3": single.change(method=methods.logit_l2(0.01, components=3)),
        **{f"anti-distillation, λ = {w:g}": single.change(method=methods.anti_distillation(3, w)) for w in (0.001, 0.01, 0.1)},
        "anti-distillation, covariance": single.change(method=methods.anti_distillation(3, 0.1, matrix="covariance")),
        "ensemble of 3, well fitted": fitted.change(method=methods.ensemble(3)),
        "anti-distillation, well fitted": fitted.change(method=methods.anti_distillation(3, 0.01)),
    }
    return Experiment("rivals-flights", Flights(), rows, replicas=REPLICAS)
