"""The recurrent network: layers and directions of LSTM or GRU cells over the steps of a sample."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from recurra.contract import ClassifierSpec, Spec
from recurra.recurrent import directions
from recurra.weights import step_width

from recurra_jax.cells import CELLS
from recurra_jax.framework import jax
from recurra_jax.precision import product
from recurra_jax.weights import Tree

Parts = tuple[jax.Array, ...]
"""What is joined at each step, [steps, B, D_p] each, or [1, B, D_p] where it is the same at all of them."""


def own_steps(x: jax.Array, spec: ClassifierSpec) -> jax.Array:
    """h_t: x [B, T, H, W, C] -> [steps, B, D], the rows of an image or the pooled, flattened frames of a clip."""
    sample, pool = spec.sample, spec.model.rnn.frame_pool
    if sample.kind == "image":
        return x.reshape(len(x), sample.height, step_width(spec)).swapaxes(0, 1)
    height, width = sample.height // pool, sample.width // pool
    x = x[:, :, : height * pool, : width * pool]
    x = x.reshape(len(x), sample.frames, height, pool, width, pool, sample.channels).mean(axis=(3, 5))
    return x.reshape(len(x), sample.frames, step_width(spec)).swapaxes(0, 1)


def states(weights: Tree, parts: Parts, spec: Spec, prefix: str = "rnn") -> jax.Array:
    """The last layer's hidden state at every step [steps, B, F]."""
    return jnp.concatenate(_last_layer(weights, parts, spec, prefix), axis=2)


def last_state(weights: Tree, parts: Parts, spec: Spec, prefix: str = "rnn") -> jax.Array:
    """The last hidden state [B, F]; the step that the reverse direction comes to last is the first."""
    hidden = _last_layer(weights, parts, spec, prefix)
    return jnp.concatenate([h[end] for h, end in zip(hidden, (-1, 0), strict=False)], axis=1)


def _last_layer(weights: Tree, parts: Parts, spec: Spec, prefix: str) -> list[jax.Array]:
    """[steps, B, units] of each direction."""
    rnn = spec.model.rnn
    for number in range(1, rnn.layers):
        parts = (jnp.concatenate(_layer(weights, parts, spec, f"{prefix}.{rnn.cell}{number}"), axis=2),)
    return _layer(weights, parts, spec, f"{prefix}.{rnn.cell}{rnn.layers}")


def _layer(weights: Tree, parts: Parts, spec: Spec, layer: str) -> list[jax.Array]:
    rnn, precision = spec.model.rnn, spec.train.precision
    hidden = []
    for direction in directions(rnn):
        name = f"{layer}{direction}."
        own = {key.removeprefix(name): value for key, value in weights.items() if key.startswith(name)}
        # The input's product with all steps at once, and [x ; h] W as x W_x + h W_h: what is the same at every step is
        # multiplied once.
        ends = np.cumsum([part.shape[2] for part in parts])[:-1].tolist()
        blocks = jnp.split(own["kernel"], ends)
        products = [product(part, block, precision) for part, block in zip(parts, blocks, strict=True)]
        inputs = sum(products[1:], products[0] + own["bias"])
        hidden.append(CELLS[rnn.cell](inputs, own, precision, bool(direction)))
    return hidden


def features(weights: Tree, x: jax.Array, spec: ClassifierSpec) -> jax.Array:
    """Samples [B, T, H, W, C] -> [B, F]: the recurrent network over their own steps."""
    return last_state(weights, (own_steps(x, spec),), spec)
