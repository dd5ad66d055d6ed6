"""What is random in a GAN, drawn by core, so that every backend sees the same: a pure function of a seed and a count.

Numbers come from a counter, not from a generator's state: any part of them can be drawn by itself, in one go.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

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
    """[N, width] float64 in [0, 1) for the rows [N] of a stream (splitmix64's finaliser over a counter)."""
    from recurra.augmentation import mixed

    with np.errstate(over="ignore"):
        start = mixed(np.array([seed], np.uint64) + np.uint64(0x9E3779B97F4A7C15 * (STREAMS.index(stream) + 1) % 2**64))
        counter = np.asarray(rows, np.uint64)[:, None] * np.uint64(width) + np.arange(width, dtype=np.uint64)
        state = mixed(start + mixed(counter + np.uint64(0x632BE59BD9B4E019)))
    return (state >> np.uint64(11)) * 2.0**-53


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
