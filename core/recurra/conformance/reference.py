"""The networks of `recurra.weights` in NumPy and float64, written to be read: the oracle for every backend.

Slow, and meant to be: no step is folded into another.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recurra.contract import Batches, ClassifierSpec
from recurra.experiment import Rnn
from recurra.optimiser import BETA_1, BETA_2, CLIP_EPSILON, EPSILON
from recurra.weights import initial_weights, is_kernel

Arrays = Mapping[str, np.ndarray]


def convolution(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, padding: str) -> np.ndarray:
    """Cross-correlation: x [N, H, W, in], kernel [k, k, in, out] -> [N, H', W', out]."""
    k = kernel.shape[0]
    if padding == "same":
        x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))  # [N, H', W', in, k, k]
    return np.einsum("nhwckl,klco->nhwo", windows, kernel) + bias


def max_pool(x: np.ndarray, size: int) -> np.ndarray:
    """x [N, H, W, C] -> [N, H // size, W // size, C], the largest value of each window."""
    n, height, width, channels = x.shape
    height, width = height // size, width // size
    x = x[:, : height * size, : width * size].reshape(n, height, size, width, size, channels)
    return x.max(axis=(2, 4))


def cnn(x: np.ndarray, weights: Arrays, spec: ClassifierSpec) -> np.ndarray:
    """Features of frames: x [N, H, W, C] -> [N, F]."""
    for number in range(1, len(spec.model.cnn.channels) + 1):
        name = f"cnn.conv{number}"
        x = convolution(x, weights[f"{name}.kernel"], weights[f"{name}.bias"], spec.model.cnn.padding)
        x = max_pool(np.maximum(x, 0), spec.model.cnn.pool)
    x = x.reshape(len(x), -1)
    for number in range(1, len(spec.model.cnn.dense) + 1):
        x = np.maximum(x @ weights[f"cnn.dense{number}.kernel"] + weights[f"cnn.dense{number}.bias"], 0)
    return x


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def lstm(x: np.ndarray, weights: Arrays, name: str) -> np.ndarray:
    """Hidden states: x [N, T, in] -> [N, T, u]."""
    units = weights[f"{name}.recurrent_kernel"].shape[0]
    h = c = np.zeros((len(x), units))
    states = []
    for t in range(x.shape[1]):
        gates = x[:, t] @ weights[f"{name}.kernel"] + h @ weights[f"{name}.recurrent_kernel"] + weights[f"{name}.bias"]
        i, f, g, o = np.split(gates, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states, axis=1)


def gru(x: np.ndarray, weights: Arrays, name: str) -> np.ndarray:
    """Hidden states: x [N, T, in] -> [N, T, u]."""
    units = weights[f"{name}.recurrent_kernel"].shape[0]
    h = np.zeros((len(x), units))
    states = []
    for t in range(x.shape[1]):
        x_r, x_z, x_n = np.split(x[:, t] @ weights[f"{name}.kernel"] + weights[f"{name}.bias"], 3, axis=1)
        h_r, h_z, h_n = np.split(h @ weights[f"{name}.recurrent_kernel"], 3, axis=1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * (h_n + weights[f"{name}.recurrent_bias"]))
        h = (1 - z) * n + z * h
        states.append(h)
    return np.stack(states, axis=1)


def recurrent(x: np.ndarray, weights: Arrays, settings: Rnn, prefix: str = "rnn") -> np.ndarray:
    """The last layer's hidden state at every step: x [N, T, in] -> [N, T, u], or [forward_t ; reverse_t] [N, T, 2u]."""
    layer = {"lstm": lstm, "gru": gru}[settings.cell]
    for number in range(1, settings.layers + 1):
        name = f"{prefix}.{settings.cell}{number}"
        states = layer(x, weights, name)
        if settings.bidirectional:
            reverse = layer(x[:, ::-1], weights, f"{name}_reverse")[:, ::-1]
            states = np.concatenate([states, reverse], axis=2)
        x = states
    return x


def rnn(x: np.ndarray, weights: Arrays, spec: ClassifierSpec) -> np.ndarray:
    """The last hidden state (of both directions): x [N, T, in] -> [N, u] or [N, 2u]."""
    states, units = recurrent(x, weights, spec.model.rnn), spec.model.rnn.units
    # The reverse direction ends at the first step.
    return np.concatenate([states[:, -1, :units], states[:, 0, units:]], axis=1)


def own_input(x: np.ndarray, spec: ClassifierSpec) -> np.ndarray:
    """h_t, the recurrent network's own input: x [N, T, H, W, C] -> [N, steps, width]."""
    n, frames, height, width, channels = x.shape
    if spec.sample.kind == "image":
        return x.reshape(n, height, width * channels)
    pool = spec.model.rnn.frame_pool
    height, width = height // pool, width // pool
    x = x[:, :, : height * pool, : width * pool].reshape(n, frames, height, pool, width, pool, channels)
    return x.mean(axis=(3, 5)).reshape(n, frames, -1)


def features(x: np.ndarray, weights: Arrays, spec: ClassifierSpec) -> np.ndarray:
    """The input of the output layer: x [N, T, H, W, C] -> [N, F]."""
    x = x.astype(np.float64)
    n, frames = x.shape[:2]
    if spec.model.kind == "rnn":
        return rnn(own_input(x, spec), weights, spec)
    of_frames = cnn(x.reshape(n * frames, *x.shape[2:]), weights, spec).reshape(n, frames, -1)
    if spec.model.kind == "cnn":
        return of_frames.mean(axis=1)
    h = own_input(x, spec)
    return rnn(np.concatenate([np.broadcast_to(of_frames, (*h.shape[:2], of_frames.shape[2])), h], 2), weights, spec)


def logits(x: np.ndarray, weights: Arrays, spec: ClassifierSpec) -> np.ndarray:
    """x [N, T, H, W, C] -> [N, K] float64."""
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    return features(x, weights, spec) @ weights["output.kernel"] + weights["output.bias"]


def loss(x: np.ndarray, y: np.ndarray, weights: Arrays, spec: ClassifierSpec) -> float:
    """Mean cross-entropy of the labels y [N]."""
    z = logits(x, weights, spec)
    z = z - z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]).mean())


def slope(x: np.ndarray, y: np.ndarray, weights: Arrays, spec: ClassifierSpec, name: str, index: tuple) -> float:
    """The derivative of the loss by one weight, by central differences."""
    step, values = 1e-5, []
    for sign in (1, -1):
        moved = {other: array.astype(np.float64) for other, array in weights.items()}
        moved[name][index] += sign * step
        values.append(loss(x, y, moved, spec))
    return (values[0] - values[1]) / (2 * step)


def slope_along(
    x: np.ndarray, y: np.ndarray, weights: Arrays, spec: ClassifierSpec, name: str, direction: np.ndarray
) -> float:
    """The derivative of the loss when one weight moves in a direction, by central differences."""
    step, exact = 1e-6, {other: array.astype(np.float64) for other, array in weights.items()}
    ends = [loss(x, y, {**exact, name: exact[name] + sign * step * direction}, spec) for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * step)


def gradients(x: np.ndarray, y: np.ndarray, weights: Arrays, spec: ClassifierSpec) -> dict[str, np.ndarray]:
    """The loss's slope by every entry of every weight. For small networks."""
    return {
        name: np.reshape([slope(x, y, weights, spec, name, index) for index in np.ndindex(array.shape)], array.shape)
        for name, array in weights.items()
    }


def training(batches: Batches, spec: ClassifierSpec) -> np.ndarray:
    """The loss before each step of a training from the first weights of seed 0: [S] float64. For small networks."""
    weights: Arrays = initial_weights(spec, 0)
    moments: Arrays = {f"{kind}.{name}": np.zeros(array.shape) for name, array in weights.items() for kind in "mv"}
    losses = []
    for t, (x, y, rate) in enumerate(zip(batches.x, batches.y, batches.learning_rates, strict=True), 1):
        losses.append(loss(x, y, weights, spec))
        weights, moments = adam_step(weights, gradients(x, y, weights, spec), moments, t, float(rate))
    return np.array(losses)


def adam_step(
    weights: Arrays,
    gradients: Arrays,
    state: Arrays,
    t: int,
    rate: float,
    decay: float = 0.0,
    clip: float | None = None,
    betas: tuple[float, float] = (BETA_1, BETA_2),
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Step t = 1, 2, ... of `recurra.optimiser`'s Adam: the new weights, and the new `m.NAME` and `v.NAME`."""
    norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients.values()))
    scale = min(1.0, clip / (norm + CLIP_EPSILON)) if clip else 1.0
    (beta_1, beta_2), new, moments = betas, {}, {}
    for name, weight in weights.items():
        g = gradients[name].astype(np.float64) * scale
        m = beta_1 * state[f"m.{name}"] + (1 - beta_1) * g
        v = beta_2 * state[f"v.{name}"] + (1 - beta_2) * g**2
        w = weight.astype(np.float64)
        w = w - rate * decay * w if is_kernel(name) else w
        new[name] = w - rate * (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + EPSILON)
        moments |= {f"m.{name}": m, f"v.{name}": v}
    return new, moments
