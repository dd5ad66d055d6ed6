"""The discriminators of `recurra.gan_weights` in NumPy and float64, written to be read.

They are piecewise linear, so that the gradient of a logit by what was seen is written out by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from recurra.conformance.generator import up
from recurra.conformance.reference import Arrays, convolution
from recurra.contract import GanSpec
from recurra.gan_weights import KERNEL, time_steps

SLOPE = 0.2
"""Of LeakyReLU."""


def scaled(x: np.ndarray, spec: GanSpec) -> np.ndarray:
    """[..., C], between the pixels' bounds -> between -1 and 1."""
    if spec.bounds is None:
        return x
    low, high = np.array(spec.bounds).T
    return 2 * (x - low) / (high - low) - 1


class Verdict(NamedTuple):
    """Of one discriminator on some frames or clips."""

    logits: np.ndarray
    """[N]."""
    gradient: np.ndarray
    """Of each logit by what was seen: [N, H, W, C] or [N, T, H, W, C]."""


def leaky(x: np.ndarray) -> np.ndarray:
    """LeakyReLU."""
    return np.where(x > 0, x, SLOPE * x)


def leak(x: np.ndarray) -> np.ndarray:
    """LeakyReLU's slope at x."""
    return np.where(x > 0, 1.0, SLOPE)


def down(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Strided convolution: x [N, H, W, in], kernel [4, 4, in, out] -> [N, H // 2, W // 2, out]."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return convolution(x, kernel, bias, "valid")[:, ::2, ::2]


def down_time(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The same over time: x [N, T, in], kernel [4, in, out] -> [N, T // 2, out]."""
    steps = x.shape[1] // 2
    x = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    return sum(x[:, p : p + 2 * steps : 2] @ kernel[p] for p in range(KERNEL)) + bias


def up_time(a: np.ndarray, kernel: np.ndarray, steps: int) -> np.ndarray:
    """The adjoint of `down_time`: a [N, steps // 2, out], kernel [4, in, out] -> [N, steps, in]."""
    out = np.zeros((len(a), steps + 2, kernel.shape[1]))
    for p in range(KERNEL):
        out[:, p : p + 2 * a.shape[1] : 2] += a @ kernel[p].T
    return out[:, 1:-1]


def maps(x: np.ndarray, weights: Arrays, name: str, count: int) -> list[np.ndarray]:
    """Frames [N, H, W, C] -> each convolution's result before its LeakyReLU."""
    found = []
    for number in range(1, count + 1):
        found.append(down(x, weights[f"{name}.conv{number}.kernel"], weights[f"{name}.conv{number}.bias"]))
        x = leaky(found[-1])
    return found


def maps_gradient(
    gradient: np.ndarray, found: list[np.ndarray], x: np.ndarray, weights: Arrays, name: str
) -> np.ndarray:
    """From the gradient by the last of the `maps` of x, after its LeakyReLU, that by x."""
    sizes = [x.shape[1:3], *(each.shape[1:3] for each in found[:-1])]
    for number in range(len(found), 0, -1):
        kernel = weights[f"{name}.conv{number}.kernel"].swapaxes(2, 3)
        gradient = up(gradient * leak(found[number - 1]), kernel, sizes[number - 1])
    return gradient


def head(phi: np.ndarray, labels: np.ndarray, weights: Arrays, name: str) -> tuple[np.ndarray, np.ndarray]:
    """phi [N, F] -> the logits [N], and their gradient by phi [N, F]."""
    gradient = weights[f"{name}.output.kernel"][:, 0] + weights[f"{name}.projection"][labels]
    return (phi * gradient).sum(axis=1) + weights[f"{name}.output.bias"], gradient


def frame_discriminator(x: np.ndarray, labels: np.ndarray, weights: Arrays, spec: GanSpec) -> Verdict:
    """Frames as they are seen [N, H, W, C], labels [N]."""
    found = maps(x, weights, "frame", len(spec.model.gan.frame_channels))
    logits, gradient = head(leaky(found[-1]).reshape(len(x), -1), labels, weights, "frame")
    return Verdict(logits, maps_gradient(gradient.reshape(found[-1].shape), found, x, weights, "frame"))


def clip_discriminator(x: np.ndarray, labels: np.ndarray, weights: Arrays, spec: GanSpec) -> Verdict:
    """Clips as they are seen [N, T, H, W, C], labels [N]."""
    n, frames = x.shape[:2]
    each = x.reshape(n * frames, *x.shape[2:])
    found = maps(each, weights, "clip", len(spec.model.gan.clip_channels))
    flat = leaky(found[-1]).reshape(n, frames, -1)
    over_time = [flat @ weights["clip.dense.kernel"] + weights["clip.dense.bias"]]
    for number in range(1, len(time_steps(spec)) + 1):
        name = f"clip.time{number}"
        over_time.append(down_time(leaky(over_time[-1]), weights[f"{name}.kernel"], weights[f"{name}.bias"]))
    logits, gradient = head(leaky(over_time[-1]).reshape(n, -1), labels, weights, "clip")
    gradient = gradient.reshape(over_time[-1].shape) * leak(over_time[-1])
    for number in range(len(over_time) - 1, 0, -1):
        before = over_time[number - 1]
        gradient = up_time(gradient, weights[f"clip.time{number}.kernel"], before.shape[1]) * leak(before)
    gradient = (gradient @ weights["clip.dense.kernel"].T).reshape(found[-1].shape)
    return Verdict(logits, maps_gradient(gradient, found, each, weights, "clip").reshape(x.shape))


Vectors = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""(u, v) of each kernel and projection."""


def unit(a: np.ndarray) -> np.ndarray:
    """n(a)."""
    return a / max(float(np.sqrt((a**2).sum())), 1e-12)


def vectors(weights: Arrays, power_step: bool) -> Vectors:
    """(u, v) of every weight that has a `.u`; with a step of the power method, as in the discriminators' update."""
    found = {}
    for name in (name.removesuffix(".u") for name in weights if name.endswith(".u")):
        u, matrix = weights[f"{name}.u"], weights[name].reshape(-1, weights[name].shape[-1])
        v = unit(matrix @ u)
        found[name] = (unit(matrix.T @ v) if power_step else u, v)
    return found


def normed(weights: Arrays, vectors: Vectors) -> dict[str, np.ndarray]:
    """The weights as the discriminators use them: divided by v^T W u, where they have vectors."""
    divided = {name: weights[name] / (v @ weights[name].reshape(-1, len(u)) @ u) for name, (u, v) in vectors.items()}
    return {**weights, **divided}
