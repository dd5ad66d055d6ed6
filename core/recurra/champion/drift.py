"""How far the data have moved from those that the champion was trained on, and whether that can be chance.

Two measures, each with a threshold for what matters and a bound on what chance does:

- the standardised difference of a mean (Cohen, 1988): (mean after - mean before) / standard deviation before;
- the population stability index of shares, sum over bins of (q - p) ln(q / p), which is Jeffreys' divergence
  (Siddiqi, 2006). Of n and m samples of one distribution it is about (1/n + 1/m) times chi-square with one degree of
  freedom less than bins (Yurdakul and Naranjo, 2020).

Pixels, predictions and confidence are compared at the class shares of the new samples: each class with itself, and
classes that the champion has never seen with nothing. Otherwise a class that became frequent would be told as darker
pictures too. The class shares are a measure of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recurra.champion.profile import Profile

BINS = 10
"""Of equal share in the champion's data, as nearly as the values allow: half of many images' pixels are 0."""
CHANCE = 0.001
"""How seldom samples of one distribution go beyond `Measure.chance`."""
LARGEST = 1000.0
"""Standard deviations; a shift beyond is told as this."""
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


@dataclass(frozen=True)
class Mix:
    """The class shares at which two sets of samples are compared."""

    weights: np.ndarray
    """[K], summing to 1; 0 where either set has no sample of the class."""
    samples: int
    """Of the new set, in those classes."""
    effective: float
    """Samples that the old set is worth at these shares (Kish, 1965): 1 / sum(w^2 / m)."""

    @classmethod
    def of(cls, before: np.ndarray, after: np.ndarray) -> Mix | None:
        """From samples of each class, [K] each; None where no class has samples in both."""
        shared = np.where(before > 0, after, 0)
        total = int(shared.sum())
        if not total:
            return None
        weights = shared / total
        variance = float((weights**2 / np.maximum(before, 1)).sum())
        return cls(weights, total, 1 / variance)

    @property
    def _spread(self) -> float:
        return 1 / self.samples + 1 / self.effective

    def shift(self, before: float, after: float, deviation: float) -> tuple[float, float]:
        """(standardised difference, what chance exceeds)."""
        from scipy.special import ndtri

        difference, rounding = after - before, 1e-9 * max(abs(before), abs(after))
        reach = float(ndtri(1 - CHANCE / 2)) * self._spread**0.5
        if abs(difference) <= rounding:
            return 0.0, reach
        # Where the champion's samples do not differ at all, any difference is a large one.
        return float(np.clip(difference / max(deviation, rounding), -LARGEST, LARGEST)), reach

    def index(self, before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
        """(population stability index of shares [B] and [B], what chance exceeds)."""
        from scipy.special import chdtri

        bins = len(before)
        p = (before * self.effective + 0.5) / (self.effective + 0.5 * bins)
        q = (after * self.samples + 0.5) / (self.samples + 0.5 * bins)
        chance = float(chdtri(max(1, bins - 1), CHANCE)) * self._spread
        return float(((q - p) * np.log(q / p)).sum()), chance


def pixel_measures(before: Profile, after: Profile, of: str) -> Iterator[Measure]:
    """Brightness, contrast and pixel values of each channel."""
    mix = Mix.of(before.counts, after.counts)
    if mix is None:
        return
    channels = before.sums.shape[-1]
    for row, name in enumerate(("brightness", "contrast")):
        for channel in range(channels):
            old, new = (_mean(profile, mix, row, channel) for profile in (before, after))
            value, chance = mix.shift(old, new, _deviation(before, row, channel))
            yield Measure(name, of, _channel(channel, channels), old, new, value, chance, mix.samples)
    for channel in range(channels):
        p, q = (_shares(profile.histogram[:, channel], mix) for profile in (before, after))
        bins = _deciles(p)
        # Pixels of one image are alike: a sample counts once, not once a pixel.
        value, chance = mix.index(np.bincount(bins, p), np.bincount(bins, q))
        yield Measure("pixels", of, _channel(channel, channels), None, None, value, chance, mix.samples)


def class_measure(before: np.ndarray, after: np.ndarray, of: str) -> Measure:
    """Of the samples of each class, [K] each."""
    whole = Mix(np.ones(1), int(after.sum()), float(before.sum()))
    value, chance = whole.index(before / max(1, before.sum()), after / max(1, after.sum()))
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
    mix = Mix.of(counts[0], counts[1])
    if mix is None:
        return
    p, q = (_said_shares(said, count, mix, classes) for said, count in zip((before, after), counts, strict=True))
    named = (p > 0) | (q > 0)
    value, chance = mix.index(p[named], q[named])
    yield Measure("predictions", of, None, None, None, value, chance, mix.samples)
    old, new = (_said_mean(said, count, mix) for said, count in zip((before, after), counts, strict=True))
    value, chance = mix.shift(old, new, float(before.confidence.std()))
    yield Measure("confidence", of, None, old, new, value, chance, mix.samples)


def _said_shares(said: Said, counts: np.ndarray, mix: Mix, classes: int) -> np.ndarray:
    table = np.bincount(said.labels * classes + said.predicted, minlength=classes**2).reshape(classes, classes)
    return mix.weights @ (table / np.maximum(1, counts)[:, None])


def _said_mean(said: Said, counts: np.ndarray, mix: Mix) -> float:
    sums = np.bincount(said.labels, said.confidence, len(counts))
    return float(mix.weights @ (sums / np.maximum(1, counts)))


def _mean(profile: Profile, mix: Mix, row: int, channel: int) -> float:
    return float(mix.weights @ (profile.sums[:, row, channel] / np.maximum(1, profile.counts)))


def _deviation(profile: Profile, row: int, channel: int) -> float:
    """Between all samples of the profile."""
    count = profile.counts.sum()
    mean = profile.sums[:, row, channel].sum() / count
    variance = profile.squares[:, row, channel].sum() / count - mean**2
    # What is left of rounding is no spread.
    return float(variance**0.5) if variance > 1e-12 * max(mean**2, 1e-30) else 0.0


def _shares(histogram: np.ndarray, mix: Mix) -> np.ndarray:
    totals = np.maximum(1, histogram.sum(1, keepdims=True))
    return mix.weights @ (histogram / totals)


def _deciles(shares: np.ndarray) -> np.ndarray:
    """The bin of each level, from 0 without gaps: that of the level's middle among BINS of equal share."""
    middle = np.cumsum(shares) - shares / 2
    return np.unique(np.minimum(BINS - 1, np.floor(middle * BINS + 1e-9)), return_inverse=True)[1]


def _channel(channel: int, channels: int) -> int | None:
    return channel if channels > 1 else None
