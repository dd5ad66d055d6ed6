"""What is random in a GAN, drawn by core from a seed and a count (`recurra.draws`): every backend sees the same."""

from __future__ import annotations

from typing import Literal

import numpy as np

from recurra import draws
from recurra.contract import GanSpec, Latents

STREAMS = (
    "content",
    "noise",
    "frames",
    "augment",
    "training content",
    "training noise",
    "measuring content",
    "measuring noise",
)
Purpose = Literal["", "training ", "measuring "]
"""What latents are for: samples that are kept, those of a training's steps, those that choose its best epoch."""


def uniforms(seed: int, stream: str, rows: np.ndarray, width: int) -> np.ndarray:
    """[N, width] float64 in [0, 1) for the rows [N] of one of STREAMS."""
    return draws.uniforms(seed, STREAMS.index(stream), rows, width)


def normals(seed: int, stream: str, rows: np.ndarray, width: int) -> np.ndarray:
    """[N, width] float32, standard normal (Box and Muller, 1958)."""
    half = (width + 1) // 2
    draw = uniforms(seed, stream, rows, 2 * half)
    radius = np.sqrt(-2.0 * np.log1p(-draw[:, :half]))
    angle = 2.0 * np.pi * draw[:, half:]
    pairs = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs[:, :width].astype(np.float32)


def latents(spec: GanSpec, seed: int, samples: np.ndarray, purpose: Purpose = "") -> Latents:
    """The latents of samples [N], numbered from 0 in all that a seed stands for; others for each purpose."""
    gan = spec.model.gan
    noise = normals(seed, f"{purpose}noise", samples, spec.sample.frames * gan.noise)
    return Latents(
        normals(seed, f"{purpose}content", samples, gan.content),
        noise.reshape(len(samples), spec.sample.frames, gan.noise),
    )


def frame_choices(spec: GanSpec, seed: int, samples: np.ndarray) -> np.ndarray:
    """[N, F] int64: the frames of each sample that the frame discriminator sees, all different, in order."""
    frames = spec.sample.frames
    count = min(spec.train.gan.frames, frames)
    drawn = uniforms(seed, "frames", samples, frames)
    return np.sort(np.argsort(drawn, axis=1, kind="stable")[:, :count], axis=1)


def augment_draws(seed: int, samples: np.ndarray) -> np.ndarray:
    """[3, N, 5] float32 in [0, 1), as `GanBatches.augment` says."""
    drawn = uniforms(seed, "augment", samples, 15).reshape(len(samples), 3, 5)
    # The nearest float32 of a number just below 1 is 1, which no draw may be.
    below = np.nextafter(np.float32(1), np.float32(0))
    return np.minimum(drawn.astype(np.float32), below).transpose(1, 0, 2)
