"""Random numbers that are a pure function of what they are for: of a seed, a stream and a count, not of a state.

Any part of them can be drawn by itself, in any order, in one go. Both counters end in splitmix64's finaliser.
"""

from __future__ import annotations

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio, splitmix64's own increment."""
ODD = 0x632BE59BD9B4E019
"""Another odd number, for a second sequence."""


def mixed(value: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele et al., 2014): uint64 [...] -> uint64, well mixed."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def uniform(seed: int, epoch: int, stream: int, samples: np.ndarray) -> np.ndarray:
    """One number in [0, 1) for each sample of an epoch: samples [N] int -> [N] float64."""
    state = np.zeros(len(samples), np.uint64)
    for word in (seed, epoch, stream):
        state = mixed(state + np.uint64((word * ODD + GOLDEN) % 2**64))
    return _unit(mixed(state + samples.astype(np.uint64) * np.uint64(GOLDEN)))


def uniforms(seed: int, stream: int, rows: np.ndarray, width: int) -> np.ndarray:
    """`width` numbers in [0, 1) for each row: rows [N] int -> [N, width] float64."""
    with np.errstate(over="ignore"):
        start = mixed(np.array([seed], np.uint64) + np.uint64(GOLDEN * (stream + 1) % 2**64))
        counter = np.asarray(rows, np.uint64)[:, None] * np.uint64(width) + np.arange(width, dtype=np.uint64)
        return _unit(mixed(start + mixed(counter + np.uint64(ODD))))


def _unit(state: np.ndarray) -> np.ndarray:
    """uint64 -> float64 in [0, 1), by the upper 53 bits."""
    return (state >> np.uint64(11)) * 2.0**-53
