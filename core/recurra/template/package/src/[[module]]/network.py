"""The network from pixels to features, and back. `recurra.weights` has the equations and the layout of the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recurra.contract import ClassifierSpec

from .layers import Array, convolution, dense, flatten, max_pool, relu

Weights = Mapping[str, Array]
Gradients = dict[str, Array]


def features(x: Array, weights: Weights, spec: ClassifierSpec) -> tuple[Array, Callable[[Array], Gradients]]:
    """x [N, T, H, W, C] -> the input of the output layer [N, F]; back: its gradient -> those of the weights."""
    n, frames = x.shape[:2]
    of_frames, back_of_frames = frame_features(x.reshape(n * frames, *x.shape[2:]), weights, spec)

    def back(dy: Array) -> Gradients:
        return back_of_frames(np.repeat(dy / frames, frames, axis=0))

    return of_frames.reshape(n, frames, -1).mean(axis=1), back


def frame_features(x: Array, weights: Weights, spec: ClassifierSpec) -> tuple[Array, Callable[[Array], Gradients]]:
    """x [N, H, W, C] -> [N, F] of each frame by itself."""
    cnn, backs = spec.model.cnn, []

    def took(name: str, output: tuple[Array, Callable[[Array], tuple[Array, ...]]]) -> Array:
        backs.append((name, output[1]))
        return output[0]

    for number in range(1, len(cnn.channels) + 1):
        name = f"cnn.conv{number}"
        x = took(name, convolution(x, weights[f"{name}.kernel"], weights[f"{name}.bias"], cnn.padding))
        x = took("", max_pool(took("", relu(x)), cnn.pool))
    x = took("", flatten(x))
    for number in range(1, len(cnn.dense) + 1):
        name = f"cnn.dense{number}"
        x = took("", relu(took(name, dense(x, weights[f"{name}.kernel"], weights[f"{name}.bias"]))))

    def back(dy: Array) -> Gradients:
        gradients: Gradients = {}
        for name, layer in reversed(backs):
            dy, *own = layer(dy)
            gradients |= {f"{name}.{part}": each for part, each in zip(("kernel", "bias"), own, strict=False)}
        return gradients

    return x, back
