"""The generator of `recurra.gan_weights` in NumPy and float64, written to be read."""

from __future__ import annotations

import numpy as np

from recurra.conformance.reference import Arrays, recurrent
from recurra.contract import GanSpec
from recurra.gan_weights import AVERAGE, KERNEL, start_map


def exact(weights: Arrays) -> dict[str, np.ndarray]:
    """The same weights in float64."""
    return {name: array.astype(np.float64) for name, array in weights.items()}


def averaged(weights: Arrays) -> dict[str, np.ndarray]:
    """The generator's averaged weights, under the names of the generator's own."""
    return {n.removeprefix(AVERAGE): array for n, array in weights.items() if n.startswith(AVERAGE)}


def up(a: np.ndarray, kernel: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Transposed convolution: a [N, h, w, in], kernel [4, 4, in, out] -> [N, 2h, 2w, out].

    out[2i + p - 1, 2j + q - 1] += a[i, j] kernel[p, q]. With `size` (of 2h or 2h + 1, 2w or 2w + 1) and the kernel's
    last axes exchanged it is the adjoint of the strided convolution of maps of that size.
    """
    n, h, w, _ = a.shape
    height, width = size or (2 * h, 2 * w)
    out = np.zeros((n, height + 2, width + 2, kernel.shape[3]))  # with a border of 1, which is cut off
    for p in range(KERNEL):
        for q in range(KERNEL):
            out[:, p : p + 2 * h : 2, q : q + 2 * w : 2] += a @ kernel[p, q]
    return out[:, 1:-1, 1:-1]


def layer_norm(a: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """norm_I: a [N, h, w, c], scale and shift [N, c] -> [N, h, w, c]."""
    mean, variance = a.mean(axis=(1, 2, 3), keepdims=True), a.var(axis=(1, 2, 3), keepdims=True)
    normal = (a - mean) / np.sqrt(variance + 1e-5)
    return (1 + scale[:, None, None]) * normal + shift[:, None, None]


def latent(content: np.ndarray, noise: np.ndarray, labels: np.ndarray, weights: Arrays, spec: GanSpec) -> np.ndarray:
    """l_t: content [N, c], noise [N, T, n], labels [N] -> [N, T, L]."""
    constant = np.concatenate([content, weights["generator.embedding"][labels]], axis=1)
    constant = np.repeat(constant[:, None], noise.shape[1], axis=1)
    z = np.concatenate([noise, constant], axis=2)
    h = recurrent(z, weights, spec.model.rnn, "generator.rnn")
    return np.concatenate([h, constant], axis=2)


def frame_of(latent: np.ndarray, weights: Arrays, spec: GanSpec) -> np.ndarray:
    """One frame for each latent: [N, L] -> [N, H, W, C], before the bounds."""
    a = latent @ weights["generator.start.kernel"] + weights["generator.start.bias"]
    a = a.reshape(len(a), *start_map(spec))
    for number in range(1, len(spec.model.gan.channels) + 1):
        norm, conv = f"generator.norm{number}", f"generator.conv{number}"
        scale, shift = np.split(latent @ weights[f"{norm}.kernel"] + weights[f"{norm}.bias"], 2, axis=1)
        a = up(np.maximum(layer_norm(a, scale, shift), 0), weights[f"{conv}.kernel"]) + weights[f"{conv}.bias"]
    return a[:, : spec.sample.height, : spec.sample.width]


def bounded(x: np.ndarray, spec: GanSpec) -> np.ndarray:
    """[..., C], any numbers -> between the pixels' bounds, where there are some."""
    if spec.bounds is None:
        return x
    low, high = np.array(spec.bounds).T
    return low + (high - low) * (1 + np.tanh(x)) / 2


def generate(content: np.ndarray, noise: np.ndarray, labels: np.ndarray, weights: Arrays, spec: GanSpec) -> np.ndarray:
    """content [N, c], noise [N, T, n], labels [N] -> [N, T, H, W, C] float64, of the weights named `generator.*`."""
    weights = exact(weights)
    latents = latent(content.astype(np.float64), noise.astype(np.float64), labels, weights, spec)
    frames = frame_of(latents.reshape(-1, latents.shape[2]), weights, spec)
    return bounded(frames, spec).reshape(len(labels), *spec.sample.array)
