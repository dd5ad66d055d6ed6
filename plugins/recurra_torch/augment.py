"""Differentiable augmentation (Zhao et al., 2020) of what the discriminators see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from recurra.contract import GanSpec


@dataclass(frozen=True)
class Changes:
    """What is done to each of some samples [...]; None where it is done to none."""

    added: Tensor | None
    """[...] float32, to every pixel."""
    offsets: Tensor | None
    """[..., 2] int64: rows down and columns to the right."""
    corners: Tensor | None
    """[..., 2] int64: first row and column of the square that is blanked."""

    def of(self, index: Any) -> Changes:
        """Those of the samples of an index."""
        return Changes(*(None if each is None else each[index] for each in (self.added, self.offsets, self.corners)))


class Augmentation:
    """The augmentation that a GAN's settings ask for."""

    def __init__(self, spec: GanSpec) -> None:
        settings, size = spec.train.gan, (spec.sample.height, spec.sample.width)
        self.size, self.brightness = size, settings.brightness
        self.furthest = [math.floor(settings.translation * side + 0.5) for side in size]
        self.blanked = [math.floor(settings.cutout * side + 0.5) for side in size]

    def changes(self, draws: Tensor) -> Changes:
        """What is drawn: draws [..., 5] float32 in [0, 1) -> changes [...]."""
        # float64, so that every backend rounds a product down to the same number.
        exact = draws.double()
        added = ((2 * exact[..., 0] - 1) * self.brightness).float() if self.brightness else None
        offsets = corners = None
        if any(self.furthest):
            most = torch.tensor(self.furthest, device=draws.device)
            offsets = (exact[..., 1:3] * (2 * most + 1)).long() - most
        if all(self.blanked):
            size, sides = (torch.tensor(each, device=draws.device) for each in (self.size, self.blanked))
            corners = (exact[..., 3:5] * (size + 1)).long() - sides // 2
        return Changes(added, offsets, corners)

    def __call__(self, x: Tensor, changes: Changes) -> Tensor:
        """x [B, T, H, W, C] with its changes [B] -> the same shape; differentiable, as often as you like."""
        if changes.added is not None:
            x = x + changes.added[:, None, None, None, None]
        if changes.offsets is not None:
            x = translated(x, changes.offsets)
        if changes.corners is not None:
            x = x * self._left_of(changes.corners)
        return x

    def _left_of(self, corners: Tensor) -> Tensor:
        """[B, 1, H, W, 1] bool: false within the square that begins at each corner."""
        cut = [
            (places >= first) & (places < first + side)
            for places, first, side in zip(
                (torch.arange(side, device=corners.device) for side in self.size),
                corners[:, :, None].unbind(1),
                self.blanked,
                strict=True,
            )
        ]
        return ~(cut[0][:, :, None] & cut[1][:, None, :])[:, None, :, :, None]


def translated(x: Tensor, offsets: Tensor) -> Tensor:
    """x [B, T, H, W, C], all frames of a sample moved by its offset (rows down, columns to the right); 0 comes in."""
    return _Translation.apply(x, offsets)


class _Translation(torch.autograd.Function):
    """Moving back is the adjoint of moving: the gradient is gathered, where autograd would scatter it, slowly and, on
    GPUs, in an order that varies.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, offsets: Tensor) -> Tensor:
        ctx.save_for_backward(offsets)
        return _gathered(x, offsets)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (offsets,) = ctx.saved_tensors
        return translated(gradients[0], -offsets), None


def _gathered(x: Tensor, offsets: Tensor) -> Tensor:
    """Each pixel from where it was before the translation."""
    samples, frames, height, width, channels = x.shape
    rows = torch.arange(height, device=x.device) - offsets[:, :1]
    columns = torch.arange(width, device=x.device) - offsets[:, 1:]
    row_known, column_known = ((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
    source = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    source = source.view(samples, 1, -1, 1).expand(-1, frames, -1, channels)
    known = (row_known[:, :, None] & column_known[:, None, :]).view(samples, 1, height, width, 1)
    return x.flatten(2, 3).gather(2, source).view_as(x) * known
