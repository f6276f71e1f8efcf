"""Every method and every control on one small problem, each next to the alternatives of equal cost."""

from __future__ import annotations

from dataclasses import replace

from traintwice import controls, methods
from traintwice.components import Component, OwnBatches
from traintwice.data import Digits
from traintwice.losses import CrossEntropy, LabelSmoothing, Only
from traintwice.nets import MLP, SharedTrunk
from traintwice.optimizers import AdaGrad
from traintwice.recipes import Earlier, Recipe
from traintwice.study import Experiment

SHAPE, CLASSES = (64,), 10
NETWORK = MLP((128, 128))
RAMP_EPOCHS = 4
LAMBDA = 0.05
LAMBDA_INVERSE = 0.0005
"""λ of the inverse form. One over a distance between probabilities is large: λ of the other forms would outweigh the label loss."""


def methods_digits() -> Experiment:
    """Every method of both papers in each of its forms, and every control, on scikit-learn's digits: ten replicas each, 20 epochs.

    Weights are typical and not tuned. Rows of equal cost may be compared with each other; all are compared with the baseline.
    """
    base = Recipe(network=NETWORK, optimizer=AdaGrad(lr=0.02), epochs=20, batch_size=64)
    rows = {
        "baseline": base.change(method=methods.baseline()),
        **_controls(base),
        **_single(base),
        **_ensembles(base),
        **_anti_distilled(base),
        **_co_distilled(base),
        **_taught(base),
        **_later(base),
    }
    return Experiment("methods-digits", Digits(), rows)


def _controls(base: Recipe) -> dict[str, Recipe]:
    return {
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
        "input scale 5": base.change(network=replace(NETWORK, input_scale=5.0)),
        "input scale 10": base.change(network=replace(NETWORK, input_scale=10.0)),
        "shared initialisation": controls.shared_initialisation(base),
        "warm start": controls.warm_start(base),
        "SmeLU": controls.with_activation(base, "smelu"),
        "GELU": controls.with_activation(base, "gelu"),
        "SiLU": controls.with_activation(base, "silu"),
        "network of twice the cost": controls.wider(base, 2, SHAPE, CLASSES),
        "2 narrow networks": controls.narrow_ensemble(base, 2, SHAPE, CLASSES),
        "steady": controls.steady(base),
        "steady with peer": controls.steady_with_peer(base),
    }


def _single(base: Recipe) -> dict[str, Recipe]:
    """One network, another loss."""
    found = {
        "label smoothing": methods.label_smoothing(),
        "logit L2": methods.logit_l2(),
        "confidence penalty": methods.confidence_penalty(),
        "entropy": methods.entropy_regulariser(),
        "entropy, top 3": methods.entropy_regulariser(top_k=3),
        "symmetric KL": methods.symmetric_kl_regulariser(),
        "symmetric KL, capped": methods.symmetric_kl_regulariser(cap=3.0),
        "symmetric KL, capped, top 3": methods.symmetric_kl_regulariser(cap=1.0, top_k=3),
    }
    return {name: base.change(method=method) for name, method in found.items()}


def _ensembles(base: Recipe) -> dict[str, Recipe]:
    """Several networks without a coupling loss: what is kept of them, and what they share."""
    pair = base.change(method=methods.ensemble(2))
    labels = (methods.Term(Only(CrossEntropy(), (0,))), methods.Term(Only(LabelSmoothing(), (1,))))
    unlike = (Component(), Component(network=MLP((96, 96, 96), activation="gelu"), optimizer=AdaGrad(lr=0.03)))
    return {
        "ensemble of 2": pair,
        "ensemble of 2, mean of logits": base.change(method=methods.ensemble(2, keep="mean-logit")),
        "ensemble of 2, gate": base.change(method=methods.ensemble(2, keep="gate")),
        "ensemble of 2, own batches": controls.independent_ensemble(base),
        "ensemble of 2, unlike": pair.change(method=methods.Method(labels, 2, "mean-prob"), components=unlike),
        "ensemble of 2, shared trunk": pair.change(network=SharedTrunk((128,), (128,))),
        "ensemble of 2, trained on the mean": base.change(method=methods.averaged_ensemble(2)),
        "logit L2, ensemble of 2": base.change(method=methods.logit_l2(components=2)),
        "ensemble of 3": base.change(method=methods.ensemble(3)),
    }


def _anti_distilled(base: Recipe) -> dict[str, Recipe]:
    found = {
        "anti-distillation": methods.anti_distillation(2, LAMBDA),
        "anti-distillation, covariance": methods.anti_distillation(2, LAMBDA, matrix="covariance"),
        "anti-distillation, residue": methods.anti_distillation(2, LAMBDA, matrix="residue"),
        "anti-distillation, probabilities": methods.anti_distillation(2, LAMBDA, signal="probabilities"),
        "anti-distillation, gauge-fixed": methods.anti_distillation(2, LAMBDA, center="class"),
        "anti-distillation, normalised": methods.anti_distillation(2, LAMBDA, normalize=True),
        "anti-distillation, running": methods.anti_distillation(2, LAMBDA, rho=0.9),
        "anti-distillation, difference": methods.anti_distillation_difference(2, LAMBDA),
        "anti-distillation, L1 difference": methods.anti_distillation_difference(2, LAMBDA, power=1.0),
        "anti-distillation, inverse difference": methods.anti_distillation_difference(2, LAMBDA_INVERSE, form="inverse"),
        "anti-distillation, cross entropy": methods.anti_distillation_cross_entropy(2, LAMBDA),
        "anti-distillation of 3": methods.anti_distillation(3, LAMBDA),
        "anti-distillation of 3, Gram-Schmidt": methods.anti_distillation_gram_schmidt(3, LAMBDA),
    }
    plain = base.change(method=methods.anti_distillation(2, LAMBDA))
    return {
        **{name: base.change(method=method) for name, method in found.items()},
        "anti-distillation, shared trunk": plain.change(network=SharedTrunk((128,), (128,))),
        "anti-distillation, own batches": plain.change(own_batches=OwnBatches(0.5)),
    }


def _co_distilled(base: Recipe) -> dict[str, Recipe]:
    found = {
        "co-distillation": methods.co_distillation(1.0, ramp_epochs=RAMP_EPOCHS),
        "co-distillation, L1": methods.co_distillation(1.0, kind="l1", ramp_epochs=RAMP_EPOCHS),
        "co-distillation, live peer": methods.co_distillation(1.0, kind="ce", ramp_epochs=RAMP_EPOCHS),
        "co-distillation, stale peer": methods.co_distillation(1.0, kind="ce", lag_steps=13, ramp_epochs=RAMP_EPOCHS),
        "co-distillation, joint CE": methods.co_distillation(1.0, kind="joint-ce", ramp_epochs=RAMP_EPOCHS),
        "co-distillation of 3": methods.co_distillation(1.0, components=3, ramp_epochs=RAMP_EPOCHS),
        "co-distillation, both kept": methods.co_distillation(1.0, ramp_epochs=RAMP_EPOCHS, keep="mean-prob"),
        "co-distillation + entropy": methods.regularised_co_distillation(1.0, ramp_epochs=RAMP_EPOCHS),
        "co-distillation + symmetric KL": methods.regularised_co_distillation(
            1.0, regulariser="symmetric-kl", cap=3.0, ramp_epochs=RAMP_EPOCHS
        ),
    }
    return {name: base.change(method=method) for name, method in found.items()}


def _taught(base: Recipe) -> dict[str, Recipe]:
    """Students of an ensemble, and of one deployed model that is the same for all replicas."""
    pair = base.change(method=methods.ensemble(2))
    deployed = {
        "logged distillation": methods.logged_distillation(),
        "anchor": methods.anchor(),
        "focal distillation": methods.focal_distillation(),
    }
    return {
        "distillation of 2": base.change(method=methods.ensemble_distillation(), teacher=Earlier(pair)),
        "distillation of 2, one teacher": base.change(method=methods.ensemble_distillation(), teacher=Earlier(pair, "first")),
        **{name: base.change(method=method, teacher=Earlier(base, "first")) for name, method in deployed.items()},
    }


def _later(base: Recipe) -> dict[str, Recipe]:
    """Methods of later papers, and draws of the training data."""
    pair = base.change(method=methods.ensemble(2))
    return {
        "elodi": base.change(method=methods.elodi(0.2, top_k=3), teacher=Earlier(pair)),
        "neighbour smoothing": base.change(method=methods.neighbour_smoothing(), teacher=Earlier(base)),
        "weight interpolation": controls.weight_interpolation(base),
        "gated fusion": controls.gated_fusion(base),
        "bagging": controls.bagging(base),
        "twin-bootstrap": controls.twin_bootstrap(base),
        "other data": controls.data_draws(base),
    }
