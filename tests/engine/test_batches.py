import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traintwice.engine import _batches as batches_module
from traintwice.engine._batches import batches, in_batches, shuffled
from traintwice.progressive import Progressive
from traintwice.recipes import Recipe


def order_of(examples, window, seed=0):
    return np.concatenate(list(shuffled(examples, window, lambda block: np.random.default_rng((seed, block)))))


@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 5), st.integers(1, 50))
def test_is_a_permutation_that_moves_no_row_as_far_as_the_window(examples, window, seed, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches_module, "LEAST_BLOCK", block)
        order = order_of(examples, window, seed)
    assert sorted(order.tolist()) == list(range(examples))
    assert abs(order - np.arange(examples)).max() < window


def test_a_window_of_one_keeps_the_order():
    np.testing.assert_array_equal(order_of(1000, 1), np.arange(1000))


def test_rows_cross_the_borders_of_blocks(monkeypatch):
    monkeypatch.setattr(batches_module, "LEAST_BLOCK", 100)
    order = order_of(1000, 100)
    place = np.argsort(order)
    for border in range(100, 1000, 100):
        assert place[border - 40 : border].max() > place[border : border + 40].min()


def test_shuffles_as_much_at_the_beginning_as_elsewhere():
    moved = np.mean([abs(order_of(5000, 500, seed) - np.arange(5000)) for seed in range(20)], axis=0)
    assert moved[1000:4000].mean() == pytest.approx(500 / 4, rel=0.1)
    assert moved[:500].mean() > 0.5 * moved[1000:4000].mean()


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 7))
def test_batches_hold_the_same_rows_in_the_same_order(sizes, size):
    rows = np.arange(sum(sizes))
    found = list(in_batches(iter(np.split(rows, np.cumsum(sizes)[:-1])), size))
    np.testing.assert_array_equal(np.concatenate(found) if found else rows, rows)
    assert all(len(batch) == size for batch in found[:-1])


def test_replicas_have_orders_of_their_own_unless_it_is_fixed():
    recipe = Recipe(epochs=1, batch_size=8, progressive=Progressive(20))

    def order(recipe, replica, seed=0):
        return np.concatenate([b.rows.numpy() for b in batches(recipe, 100, seed=seed, replica=replica, epoch=0)])

    np.testing.assert_array_equal(order(recipe, 3), order(recipe, 3))
    assert (order(recipe, 3) != order(recipe, 4)).any()
    assert (order(recipe, 3) != order(recipe, 3, seed=1)).any()
    fixed = recipe.change(fixed=("order",))
    np.testing.assert_array_equal(order(fixed, 3), order(fixed, 4))
