"""The GAN of `recurra.gan_weights` in NumPy and float64, written to be read: the oracle for every backend.

The networks are in `generator` and `discriminators`; here is what a step does with them. Its gradients are central
differences of the two objectives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recurra.conformance.discriminators import (
    Vectors,
    Verdict,
    clip_discriminator,
    frame_discriminator,
    normed,
    scaled,
    vectors,
)
from recurra.conformance.generator import exact, generate
from recurra.conformance.reference import Arrays
from recurra.contract import GanBatches, GanRecords, GanSpec
from recurra.experiment import Adversarial
from recurra.gan_weights import is_generators


@dataclass(frozen=True)
class Step:
    """One step of `GanBatches`."""

    x: np.ndarray
    """[B, T, H, W, C]."""
    labels: np.ndarray
    """[B]."""
    content: np.ndarray
    """[B, content]."""
    noise: np.ndarray
    """[B, T, noise]."""
    frames: np.ndarray
    """[B, F]."""
    augment: np.ndarray
    """[3, B, 5]."""
    penalty: float

    @classmethod
    def of(cls, batches: GanBatches, s: int = 0) -> Step:
        """Step s of the batches."""
        b = batches
        return cls(b.x[s], b.y[s], b.content[s], b.noise[s], b.frames[s], b.augment[s], float(b.penalty[s]))


def augmented(x: np.ndarray, draws: np.ndarray, settings: Adversarial) -> np.ndarray:
    """A: x [N, T, H, W, C], draws [N, 5] -> the same shape. Positive translations go downwards and to the right."""
    out = np.zeros(x.shape)
    height, width = x.shape[2:4]
    most = [math.floor(settings.translation * size + 0.5) for size in (height, width)]
    sides = [math.floor(settings.cutout * size + 0.5) for size in (height, width)]
    for n, u in enumerate(draws.astype(np.float64)):
        bright = x[n] + (2 * u[0] - 1) * settings.brightness
        rows, columns = (math.floor(u[1 + i] * (2 * m + 1)) - m for i, m in enumerate(most))
        top, left = (math.floor(u[3 + i] * (s + 1)) - sides[i] // 2 for i, s in enumerate((height, width)))
        for i in range(height):
            for j in range(width):
                inside = 0 <= i - rows < height and 0 <= j - columns < width
                cut = top <= i < top + sides[0] and left <= j < left + sides[1]
                if inside and not cut:
                    out[n, :, i, j] = bright[:, i - rows, j - columns]
    return out


def discriminated(x: np.ndarray, step: Step, draws: np.ndarray, weights: Arrays, spec: GanSpec) -> list[Verdict]:
    """Of each discriminator, of the step's samples x, augmented with `draws` [B, 5]."""
    seen = scaled(augmented(x, draws, spec.train.gan), spec)
    chosen = np.take_along_axis(seen, step.frames[:, :, None, None, None], axis=1)
    frames = chosen.reshape(-1, *seen.shape[2:])
    verdicts = [frame_discriminator(frames, np.repeat(step.labels, step.frames.shape[1]), weights, spec)]
    if spec.sample.frames > 1:
        verdicts.append(clip_discriminator(seen, step.labels, weights, spec))
    return verdicts


def judge(x: np.ndarray, labels: np.ndarray, weights: Arrays, spec: GanSpec) -> tuple[np.ndarray, np.ndarray | None]:
    """Logits, without augmentation: of every frame [N, T] and of the clips [N]."""
    weights = exact(weights)
    weights, seen = normed(weights, vectors(weights, power_step=False)), scaled(x.astype(np.float64), spec)
    frames = seen.reshape(-1, *seen.shape[2:])
    of_frames = frame_discriminator(frames, np.repeat(labels, seen.shape[1]), weights, spec).logits
    of_clips = clip_discriminator(seen, labels, weights, spec).logits if spec.sample.frames > 1 else None
    return of_frames.reshape(seen.shape[:2]), of_clips


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + e^x)."""
    return np.logaddexp(0, x)


def discriminator_loss(real: np.ndarray, fake: np.ndarray, loss: str) -> float:
    """L_D of one discriminator's logits [N]."""
    if loss == "non-saturating":
        return float(softplus(-real).mean() + softplus(fake).mean())
    if loss == "hinge":
        return float(np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean())
    return float(softplus(fake - real).mean())


def generator_loss(real: np.ndarray, fake: np.ndarray, loss: str) -> float:
    """L_G of one discriminator's logits [N]."""
    if loss == "non-saturating":
        return float(softplus(-fake).mean())
    if loss == "hinge":
        return float(-fake.mean())
    return float(softplus(real - fake).mean())


def penalty(real: Verdict, fake: Verdict, settings: Adversarial) -> float:
    """R1 and R2 of one discriminator, without the step's factor."""
    squares = [(each.gradient.reshape(len(each.logits), -1) ** 2).sum(axis=1).mean() for each in (real, fake)]
    return float(settings.r1 / 2 * squares[0] + settings.r2 / 2 * squares[1])


def rights(real: np.ndarray, fake: np.ndarray, loss: str) -> tuple[float, float]:
    """(real_right, fake_right) of one discriminator's logits [N]."""
    if loss == "relativistic":
        return float((real > fake).mean()), float((real > fake).mean())
    return float((real > 0).mean()), float((fake < 0).mean())


def discriminators_update(fake: np.ndarray, step: Step, weights: Arrays, spec: GanSpec, vectors: Vectors) -> GanRecords:
    """What the discriminators' update starts from, its numbers scalars: fake [B, T, H, W, C]. `generator_loss` is NaN.

    `vectors` are those of the update (with a step of the power method), at the weights that it starts from.
    """
    weights, settings = normed(exact(weights), vectors), spec.train.gan
    verdicts = zip(
        discriminated(step.x.astype(np.float64), step, step.augment[0], weights, spec),
        discriminated(fake, step, step.augment[1], weights, spec),
        strict=True,
    )
    losses, penalties, right = [], [], []
    for real, made in verdicts:
        losses.append(discriminator_loss(real.logits, made.logits, settings.loss))
        penalties.append(penalty(real, made, settings) if step.penalty else 0.0)
        right.append(rights(real.logits, made.logits, settings.loss))
    return GanRecords(np.sum(losses), np.array(np.nan), np.sum(penalties), *np.mean(right, axis=0))


def discriminators_objective(fake: np.ndarray, step: Step, weights: Arrays, spec: GanSpec, vectors: Vectors) -> float:
    """What the discriminators' update makes smaller: L_D with the penalties."""
    records = discriminators_update(fake, step, weights, spec, vectors)
    return float(records.discriminator_loss + step.penalty * records.penalty)


def generators_objective(step: Step, generator: Arrays, discriminators: Arrays, spec: GanSpec) -> float:
    """L_G: of a generator as it was before the step, and discriminators as they are after their update."""
    fake = generate(step.content, step.noise, step.labels, generator, spec)
    weights = exact(discriminators)
    weights = normed(weights, vectors(weights, power_step=False))
    real = discriminated(step.x.astype(np.float64), step, step.augment[0], weights, spec)
    made = discriminated(fake, step, step.augment[2], weights, spec)
    loss = spec.train.gan.loss
    return sum(generator_loss(r.logits, m.logits, loss) for r, m in zip(real, made, strict=True))


def average_decay(decay: float, t: int) -> float:
    """d after t steps."""
    return min(decay, (1 + t) / (10 + t))


def average_step(weights: Arrays, before: Arrays, spec: GanSpec, t: int) -> dict[str, np.ndarray]:
    """The moving average (by the generator's names) after step t, from that before it and the generator's weights."""
    d = average_decay(spec.train.gan.average, t)
    return {
        name: d * before[name].astype(np.float64) + (1 - d) * weights[name].astype(np.float64)
        for name in weights
        if is_generators(name)
    }
