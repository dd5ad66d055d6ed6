"""Dropout that depends on the seed and the step's number alone, so that a resumed training draws what it would have."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Dropout:
    """Draws the factors of one step: 0 with probability `rate`, else 1 / (1 - rate)."""

    def __init__(self, rate: float, seed: int, device: torch.device) -> None:
        self.rate, self.seed = rate, seed
        self.generator = torch.Generator(device)

    def factors(self, step: int, shape: tuple[int, ...]) -> Tensor | None:
        """The factors [*shape] float32 of a step; None where nothing is dropped."""
        if not self.rate:
            return None
        # Hashed, because PyTorch's generator on the CPU takes 32 bits: seed and step must not run into each other.
        self.generator.manual_seed(int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0]))
        kept = torch.empty(shape, device=self.generator.device).bernoulli_(1.0 - self.rate, generator=self.generator)
        return kept.div_(1.0 - self.rate)
