"""Every method and every control on one small problem, so that each can be judged by what it must beat."""

from __future__ import annotations

from traintwice import controls, methods
from traintwice.data import Digits
from traintwice.nets import MLP
from traintwice.optimizers import AdaGrad
from traintwice.recipes import Earlier, Recipe
from traintwice.study import Experiment

SHAPE, CLASSES = (64,), 10


def methods_digits() -> Experiment:
    """Every method of both papers and every control on scikit-learn's digits: ten replicas each, 20 epochs.

    Weights are typical, none is tuned. Rows whose cost is alike may be compared with each other; all are compared with the baseline.
    """
    base = Recipe(network=MLP((128, 128)), optimizer=AdaGrad(lr=0.02), epochs=20, batch_size=64)
    pair = base.change(method=methods.ensemble(2))
    rows = {
        "baseline": base,
        "twice the epochs": controls.twice_the_epochs(base),
        "linear decay": controls.linear_decay(base),
        "cosine decay": controls.cosine_decay(base),
        "step decay": controls.step_decay(base),
        "EMA": controls.ema(base),
        "SWA": controls.swa(base),
        "snapshots of 3": controls.snapshot_ensemble(base),
        "sharpness-aware": controls.sharpness_aware(base),
        "weight decay": controls.weight_decay(base),
        "small initialisation": controls.small_initialisation(base),
        "shared initialisation": controls.shared_initialisation(base),
        "warm start": controls.warm_start(base),
        "SmeLU": controls.with_activation(base, "smelu"),
        "GELU": controls.with_activation(base, "gelu"),
        "SiLU": controls.with_activation(base, "silu"),
        "network of twice the cost": controls.wider(base, 2, SHAPE, CLASSES),
        "2 narrow networks": controls.narrow_ensemble(base, 2, SHAPE, CLASSES),
        "steady": controls.steady(base),
        "steady with peer": controls.steady_with_peer(base),
        "label smoothing": base.change(method=methods.label_smoothing()),
        "logit L2": base.change(method=methods.logit_l2()),
        "confidence penalty": base.change(method=methods.confidence_penalty()),
        "entropy": base.change(method=methods.entropy_regulariser()),
        "entropy, top 3": base.change(method=methods.entropy_regulariser(top_k=3)),
        "symmetric KL": base.change(method=methods.symmetric_kl_regulariser()),
        "ensemble of 2": pair,
        "ensemble of 2, own batches": controls.independent_ensemble(base),
        "ensemble of 2, trained on the mean": base.change(method=methods.averaged_ensemble(2)),
        "anti-distillation": base.change(method=methods.anti_distillation(2, 0.05)),
        "anti-distillation, covariance": base.change(method=methods.anti_distillation(2, 0.05, matrix="covariance")),
        "anti-distillation, probabilities": base.change(method=methods.anti_distillation(2, 0.05, signal="probabilities")),
        "anti-distillation, gauge-fixed": base.change(method=methods.anti_distillation(2, 0.05, center="class")),
        "logit L2, ensemble of 2": pair.change(method=methods.logit_l2(components=2)),
        "co-distillation": base.change(method=methods.co_distillation(1.0, ramp_epochs=4)),
        "co-distillation, L1": base.change(method=methods.co_distillation(1.0, kind="l1", ramp_epochs=4)),
        "co-distillation, stale peer": base.change(method=methods.co_distillation(1.0, kind="ce", lag_steps=13, ramp_epochs=4)),
        "co-distillation + entropy": base.change(method=methods.regularised_co_distillation(1.0, ramp_epochs=4)),
        "distillation of 2": base.change(method=methods.ensemble_distillation(), teacher=Earlier(pair)),
    }
    return Experiment("methods-digits", Digits(), rows)
