"""The rivals at equal cost: on a convolutional network, and on a stream."""

import numpy as np
import pytest

from traintwice.data import MNIST5k
from traintwice.engine import train
from traintwice.nets import LeNet5
from traintwice.presets import flights
from traintwice_reproduction.studies import rivals, rivals_flights


def test_a_convolutional_network_has_the_rivals_of_linear_layers():
    linear, convolutional = rivals("mnist-5k"), rivals("lenet")
    assert list(linear.rows) == list(convolutional.rows)
    assert linear.replicas == convolutional.replicas == 20
    assert all(isinstance(recipe.network, LeNet5) for recipe in convolutional.rows.values())

    def costs(study, shape):
        base = study.rows[study.baseline]
        return {row: recipe.cost(base, shape, 10) for row, recipe in study.rows.items()}

    assert costs(linear, (784,)) == costs(convolutional, (1, 28, 28))


@pytest.mark.parametrize("row", ["plain", "steady"])
def test_a_row_of_it_learns(row):
    data = MNIST5k(train=500, validation=50, test=200).load()
    recipe = rivals("lenet").rows[row].change(epochs=3, batch_size=16)
    logits = train(recipe, data, seed=0, replica=0).outputs["test"][0]
    assert np.mean(logits.argmax(-1) == data.test.labels) > 0.5


def test_rivals_of_clicks_that_flights_has_too_are_the_same_replicas():
    first, found = flights().rows, rivals_flights().rows
    same = {
        "plain": "single network",
        "co-distillation": "co-distillation",
        "ensemble of 3": "no AD",
        "logit L2, ensemble of 3": "logit L2",
        "anti-distillation, λ = 0.001": "AD 0.001, s = 1",
        "anti-distillation, λ = 0.01": "AD 0.01, s = 1",
        "anti-distillation, λ = 0.1": "AD 0.1, s = 1",
        "anti-distillation, covariance": "AD covariance 0.1",
    }
    assert {row: found[row] for row in same} == {row: first[name] for row, name in same.items()}
    assert rivals_flights().data == flights().data
    assert rivals_flights().seed == flights().seed


def test_the_larger_network_costs_what_three_do():
    study, shape = rivals_flights(), rivals_flights().data.load().shape
    cost = study.rows["three times the network"].cost(study.rows["plain"], shape, 2)
    assert cost.train == cost.serve == pytest.approx(3, rel=0.02)
