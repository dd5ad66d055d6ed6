"""The least and largest value of normalised pixels: what a generator keeps to, and what discriminators scale by."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.contract import GanSpec


class Bounds(nn.Module):
    """Between any numbers, the pixels' range and -1 to 1, by channel; all alike where pixels have no bounds."""

    def __init__(self, spec: GanSpec) -> None:
        super().__init__()
        low, high = torch.tensor(spec.bounds or [(-1.0, 1.0)] * spec.sample.channels).unbind(1)
        self.bounded = spec.bounds is not None
        self.reach: Tensor
        self.middle: Tensor
        self.register_buffer("reach", (high - low) / 2)
        self.register_buffer("middle", (high + low) / 2)

    def within(self, x: Tensor) -> Tensor:
        """Any numbers [..., C] -> pixels."""
        return torch.addcmul(self.middle, x.tanh(), self.reach) if self.bounded else x

    def centred(self, x: Tensor) -> Tensor:
        """Pixels [..., C] -> numbers between -1 and 1."""
        return (x - self.middle) / self.reach if self.bounded else x
