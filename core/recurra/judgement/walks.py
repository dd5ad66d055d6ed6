"""Walks through a generator's latents, to look at: between two content codes, and between two draws of noise."""

from __future__ import annotations

import numpy as np

from recurra.contract import Latents
from recurra.generators import BuiltGan
from recurra.latents import latents


def on_great_circle(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """[steps, *shape] from a to b with steps of equal angle (Shoemake, 1985), so that what lies between two normal
    draws is about as long as they are; a straight line where they have one direction.
    """
    flat = np.stack([a.reshape(-1), b.reshape(-1)]).astype(np.float64)
    angle = np.arccos(np.clip(np.prod(1 / np.linalg.norm(flat, axis=1)) * (flat[0] @ flat[1]), -1, 1))
    part = np.linspace(0, 1, steps)[:, None]
    if np.sin(angle) < 1e-6:
        between = (1 - part) * flat[0] + part * flat[1]
    else:
        between = (np.sin((1 - part) * angle) * flat[0] + np.sin(part * angle) * flat[1]) / np.sin(angle)
    return between.reshape(steps, *a.shape).astype(np.float32)


def walks(built: BuiltGan, seed: int, labels: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays [rows, steps, T, H, W, C] float32, normalised, a row for each of the labels [rows]: content changes
    and noise stays, and the reverse. Each row starts at the first sample of its class and goes towards the second.
    """
    by_content, by_noise = [], []
    for label in labels.tolist():
        drawn = latents(built.spec, seed, np.array([label, built.spec.classes + label]))
        contents, noises = (on_great_circle(ends[0], ends[1], steps) for ends in (drawn.content, drawn.noise))
        content, noise = (np.repeat(ends[:1], steps, axis=0) for ends in (drawn.content, drawn.noise))
        same = np.full(steps, label, np.int64)
        by_content.append(built.network.generate(Latents(contents, noise), same))
        by_noise.append(built.network.generate(Latents(content, noises), same))
    return np.stack(by_content), np.stack(by_noise)
