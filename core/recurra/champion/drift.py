"""How far the data have moved from those that the champion was trained on, and whether that can be chance.

Two measures, each with a threshold for what matters and a bound on what chance does:

- the standardised difference of a mean (Glass, 1976): (mean after - mean before) / standard deviation before;
- the population stability index of shares, sum over bins of (q - p) ln(q / p), which is Jeffreys' divergence
  (Siddiqi, 2006).

Pixels, predictions and confidence are compared at the class shares of the new samples: each class with itself, and
classes that the champion has never seen with nothing. Otherwise a class that became frequent would be told as darker
pictures too. The class shares are a measure of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recurra.champion.mix import Mix, Values
from recurra.champion.profile import Profile

BINS = 10
"""Of equal share in the champion's data, as nearly as the values allow: half of many images' pixels are 0."""
Name = Literal["brightness", "contrast", "pixels", "classes", "predictions", "confidence"]


@dataclass(frozen=True)
class Measure:
    """One measure of drift."""

    name: Name
    of: str
    """`training samples` or `new samples`."""
    channel: int | None
    before: float | None
    """Of the champion's data, at the class shares of the new ones; None where the measure is of shares."""
    after: float | None
    value: float
    chance: float
    """What chance alone exceeds once in a thousand times."""
    samples: int

    def alarms(self, threshold: float) -> bool:
        """Whether it is more than the threshold, and more than chance."""
        return abs(self.value) > threshold and abs(self.value) > self.chance


def pixel_measures(before: Profile, after: Profile, of: str) -> Iterator[Measure]:
    """Brightness, contrast and pixel values of each channel."""
    mix = Mix.of(before.counts, after.counts)
    if mix is None:
        return
    channels = before.sums.shape[-1]
    for row, name in enumerate(("brightness", "contrast")):
        for channel in range(channels):
            old, new = (Values(each.sums[:, row, channel], each.squares[:, row, channel]) for each in (before, after))
            moved = mix.shift(old, new, _deviation(old, before.counts))
            yield _shifted(name, of, _channel(channel, channels), moved, mix)
    for channel in range(channels):
        levels = [profile.histogram[:, channel].astype(np.float64) for profile in (before, after)]
        bins = _deciles(mix.shares(levels[0]))
        # Pixels of one image are alike: a sample counts once, not once a pixel.
        value, chance = mix.index(*(_gathered(each, bins) for each in levels))
        yield Measure("pixels", of, _channel(channel, channels), None, None, value, chance, mix.samples)


def _shifted(name: Name, of: str, channel: int | None, moved: tuple[float, float, float, float], mix: Mix) -> Measure:
    old, new, value, chance = moved
    return Measure(name, of, channel, old, new, value, chance, mix.samples)


def class_measure(before: np.ndarray, after: np.ndarray, of: str) -> Measure:
    """Of the samples of each class, [K] each."""
    whole = Mix(before.sum(keepdims=True), after.sum(keepdims=True))
    value, chance = whole.index(before[None], after[None])
    return Measure("classes", of, None, None, None, value, chance, whole.samples)


@dataclass(frozen=True)
class Said:
    """What a champion said of some samples."""

    labels: np.ndarray
    """[n] int64."""
    predicted: np.ndarray
    """[n] int64."""
    confidence: np.ndarray
    """[n] float."""


def answer_measures(before: Said, after: Said, classes: int, of: str) -> Iterator[Measure]:
    """The classes that the champion names, and how sure it is; `before` of its own test split."""
    counts = [np.bincount(said.labels, minlength=classes) for said in (before, after)]
    mix = Mix.of(*counts)
    if mix is None:
        return
    named = [_named(said, classes) for said in (before, after)]
    some = (mix.shares(named[0]) > 0) | (mix.shares(named[1]) > 0)
    value, chance = mix.index(*(each[:, some] for each in named))
    yield Measure("predictions", of, None, None, None, value, chance, mix.samples)
    old, new = (_confidence(said, classes) for said in (before, after))
    moved = mix.shift(old, new, float(before.confidence.std()))
    yield _shifted("confidence", of, None, moved, mix)


def _named(said: Said, classes: int) -> np.ndarray:
    """[K, K], how often each class was called which."""
    return np.bincount(said.labels * classes + said.predicted, minlength=classes**2).reshape(classes, classes)


def _confidence(said: Said, classes: int) -> Values:
    return Values(*(np.bincount(said.labels, said.confidence**power, classes) for power in (1, 2)))


def _deviation(values: Values, counts: np.ndarray) -> float:
    """Between all samples, of whichever class."""
    mean = values.sums.sum() / counts.sum()
    variance = values.squares.sum() / counts.sum() - mean**2
    # What is left of rounding is no spread.
    return float(variance**0.5) if variance > 1e-12 * max(mean**2, 1e-30) else 0.0


def _gathered(levels: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """[K, B] of [K, LEVELS], by the bin of each level."""
    gathered = np.zeros((len(levels), bins.max() + 1))
    np.add.at(gathered.T, bins, levels.T)
    return gathered


def _deciles(shares: np.ndarray) -> np.ndarray:
    """The bin of each level, from 0 without gaps: that of the level's middle among BINS of equal share."""
    middle = np.cumsum(shares) - shares / 2
    return np.unique(np.minimum(BINS - 1, np.floor(middle * BINS + 1e-9)), return_inverse=True)[1]


def _channel(channel: int, channels: int) -> int | None:
    return channel if channels > 1 else None
