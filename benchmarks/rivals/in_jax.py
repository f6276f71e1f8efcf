"""Hand-written JAX: the whole training of all networks as one compiled function, `jit(vmap(scan(step)))`.

For networks of convolutions `lax.map` takes the place of `vmap`, which would make grouped convolutions of them: slow on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rivals.case import Case, NotHere
from traintwice.nets import MLP, LeNet5
from traintwice.nets._resnet import ResidualUnit, ResNet
from traintwice.optimizers import SGD

Arrays = Any
"""Nested lists of arrays, one entry for each layer."""

BN_MOMENTUM, BN_EPS = 0.1, 1e-5


def jax_loop(case: Case) -> Callable[[], None]:
    """All networks from the same initial weights as the other rivals', each with an order of its own."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError as error:
        raise NotHere(f"not installed ({error})") from None
    kind = {MLP: (_mlp, _mlp_weights), LeNet5: (_lenet5, _lenet5_weights), ResNet: (_resnet, _resnet_weights)}
    forward, weights_of = kind[type(case.network)]
    each = [weights_of(case.build(replica)) for replica in range(case.replicas)]
    weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    pixels = case.data.train.inputs
    inputs = jnp.asarray(np.moveaxis(pixels, 1, -1) if pixels.ndim == 4 else pixels)  # XLA is fastest with channels last
    labels = jnp.asarray(case.data.train.labels.astype(np.int32))
    strides = [stride if unit == 0 else 1 for units, _, stride in getattr(case.network, "blocks", ()) for unit in range(units)]

    def loss_of(trained: Arrays, kept: Arrays, x: Any, y: Any) -> Any:
        logits, kept = forward(trained, kept, x, strides) if forward is _resnet else (forward(trained, x), kept)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean(), kept

    def step(carried: Arrays, rows: Any) -> tuple[Arrays, None]:
        trained, kept, memory = carried
        gradients, kept = jax.grad(loss_of, has_aux=True)(trained, kept, inputs[rows], labels[rows])
        trained, memory = _update(case, trained, memory, gradients)
        return (trained, kept, memory), None

    def train(begin: Arrays, orders: Any) -> Arrays:
        trained, kept = begin
        plain = isinstance(case.optimizer, SGD) and not case.optimizer.momentum
        start = 0.0 if isinstance(case.optimizer, SGD) else 0.1
        memory = () if plain else jax.tree.map(lambda w: jnp.full_like(w, start), trained)
        return jax.lax.scan(step, (trained, kept, memory), orders)[0]

    over = jax.vmap(train) if forward is _mlp else (lambda begin, orders: jax.lax.map(lambda both: train(*both), (begin, orders)))
    compiled = jax.jit(over)

    def run() -> None:
        jax.block_until_ready(compiled(weights, _orders(case)))

    run()
    return run


def _orders(case: Case) -> np.ndarray:
    """Rows of every step of every network, R steps batch."""
    rng = np.random.default_rng(0)
    count = case.batch * case.steps
    orders = [[rng.permutation(count) for _ in range(case.epochs)] for _ in range(case.replicas)]
    return np.asarray(orders, dtype=np.int32).reshape(case.replicas, case.steps * case.epochs, case.batch)


def _update(case: Case, trained: Arrays, memory: Arrays, gradients: Arrays) -> tuple[Arrays, Arrays]:
    import jax
    import jax.numpy as jnp

    lr = case.optimizer.lr
    if isinstance(case.optimizer, SGD) and not case.optimizer.momentum:
        return jax.tree.map(lambda w, g: w - lr * g, trained, gradients), memory
    if isinstance(case.optimizer, SGD):
        memory = jax.tree.map(lambda v, g: case.optimizer.momentum * v + g, memory, gradients)
        return jax.tree.map(lambda w, v: w - lr * v, trained, memory), memory
    memory = jax.tree.map(lambda s, g: s + g * g, memory, gradients)
    return jax.tree.map(lambda w, s, g: w - lr * g / (jnp.sqrt(s) + 1e-10), trained, memory, gradients), memory


def _arrays(layer: Any) -> list[np.ndarray]:
    """Weights and biases of a layer; those of convolutions as rows, columns, inputs, outputs."""
    arrays = [p.detach().numpy() for p in layer.parameters(recurse=False)]
    return [a.transpose(2, 3, 1, 0) if a.ndim == 4 else a for a in arrays]


def _mlp_weights(network: Any) -> tuple[Arrays, Arrays]:
    return [[weight.T.copy(), bias] for weight, bias in (_arrays(layer) for layer in network if hasattr(layer, "weight"))], []


def _mlp(weights: Arrays, x: Any) -> Any:
    import jax

    for weight, bias in weights[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    return x @ weights[-1][0] + weights[-1][1]


def _lenet5_weights(network: Any) -> tuple[Arrays, Arrays]:
    return [_arrays(layer) for layer in network if hasattr(layer, "weight")], []


def _conv(x: Any, weight: Any, stride: int = 1, padding: int = 0) -> Any:
    import jax

    around = [(padding, padding)] * 2
    return jax.lax.conv_general_dilated(x, weight, (stride, stride), around, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _lenet5(weights: Arrays, x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    x = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for weight, bias in weights[:2]:
        x = jax.nn.relu(_conv(x, weight) + bias)
        x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, x.shape[3]).mean((2, 4))
    flat = jnp.moveaxis(x, -1, 1).reshape(len(x), -1)
    return _mlp([[weight.T, bias] for weight, bias in weights[2:]], flat)


def _resnet_weights(network: Any) -> tuple[Arrays, Arrays]:
    pairs = [(network[1], network[2])]
    for unit in (m for m in network if isinstance(m, ResidualUnit)):
        pairs += [(unit.first, unit.first_norm), (unit.second, unit.second_norm)]
    trained = [[*_arrays(conv), *_arrays(norm)] for conv, norm in pairs]
    kept = [[norm.running_mean.numpy(), norm.running_var.numpy()] for _, norm in pairs]
    return [*trained, _arrays(network[-1])], kept


def _resnet(weights: Arrays, kept: Arrays, x: Any, strides: list[int]) -> tuple[Any, Arrays]:
    import jax
    import jax.numpy as jnp

    running: list[Any] = []

    def normed(x: Any, place: int, stride: int = 1) -> Any:
        weight, scale, shift = weights[place]
        x = _conv(x, weight, stride, 1)
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        running.append(
            [
                old + BN_MOMENTUM * (jax.lax.stop_gradient(new) - old)
                for old, new in zip(kept[place], (mean, variance), strict=True)
            ]
        )
        factor = scale / jnp.sqrt(variance + BN_EPS)
        return x * factor + (shift - mean * factor)

    x = jax.nn.relu(normed(x, 0))
    for unit, stride in enumerate(strides):
        residual = normed(jax.nn.relu(normed(x, 1 + 2 * unit, stride)), 2 + 2 * unit)
        shortcut = x[:, ::stride, ::stride]
        added = residual.shape[3] - shortcut.shape[3]
        x = jax.nn.relu(jnp.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, added))) + residual)
    weight, bias = weights[-1]
    return x.mean((1, 2)) @ weight.T + bias, running
