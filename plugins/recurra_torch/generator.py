"""The generator: latents to samples, a recurrent network over the steps and transposed convolutions in each frame."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.contract import GanSpec
from recurra.gan_weights import KERNEL, start_map
from recurra_torch.bounds import Bounds
from recurra_torch.grey import doubled
from recurra_torch.rnn import RecurrentLayers
from recurra_torch.weights import Piece, transposed, transposed_convolution_kernel, whole


class FromLatent(nn.Module):
    """A dense layer over l_t = [h_t ; constant]. The constant's part is computed once for all steps of a sample."""

    def __init__(self, hidden: int, constant: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(hidden, width)
        self.constant = nn.Linear(constant, width, bias=False)

    def forward(self, hidden: Tensor, constant: Tensor) -> Tensor:
        """hidden [B, T, u], constant [B, k] -> a row for each frame [B * T, width]."""
        return (self.hidden(hidden) + self.constant(constant)[:, None]).flatten(0, 1)

    def pieces(self, name: str) -> Iterator[Piece]:
        """What its parameters are in canonical weights: first the rows of h_t, then those of the constant."""
        yield Piece(f"{name}.kernel", self.hidden.weight, transposed)
        yield Piece(f"{name}.kernel", self.constant.weight, transposed)
        yield Piece(f"{name}.bias", self.hidden.bias, whole)


def modulated(maps: Tensor, modulation: Tensor) -> Tensor:
    """Adaptive layer norm: maps [N, h, w, c] normalised in each frame, then scaled and shifted by [N, 2c]."""
    scale, shift = modulation[:, None, None].chunk(2, -1)
    return torch.addcmul(shift, functional.layer_norm(maps, maps.shape[1:]), 1 + scale)


class Generator(nn.Module):
    """Labels and latents -> samples, normalised as the dataset's are."""

    def __init__(self, spec: GanSpec) -> None:
        super().__init__()
        gan, constant = spec.model.gan, spec.model.gan.content + spec.model.gan.embedding
        self.size, self.start_map = (spec.sample.height, spec.sample.width), start_map(spec)
        self.embedding = nn.Embedding(spec.classes, gan.embedding)
        self.rnn = RecurrentLayers(spec.model.rnn, gan.noise + constant)
        self.start = FromLatent(self.rnn.width, constant, math.prod(self.start_map))
        self.norms = nn.ModuleList(FromLatent(self.rnn.width, constant, 2 * width) for width in gan.channels)
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose2d(inputs, width, KERNEL, stride=2, padding=1)
            for inputs, width in zip(gan.channels, (*gan.channels[1:], spec.sample.channels), strict=True)
        )
        self.bounds = Bounds(spec)

    def forward(self, labels: Tensor, content: Tensor, noise: Tensor) -> Tensor:
        """labels [B], content [B, content], noise [B, T, noise] -> samples [B, T, H, W, C]."""
        constant = torch.cat([content, self.embedding(labels)], 1)
        steps = torch.cat([noise.transpose(0, 1), constant.expand(noise.shape[1], -1, -1)], 2)
        hidden = self.rnn.hidden(steps).transpose(0, 1).contiguous()
        return self.bounds.within(self._frames(hidden, constant)).unflatten(0, noise.shape[:2])

    def _frames(self, hidden: Tensor, constant: Tensor) -> Tensor:
        """hidden [B, T, u], constant [B, k] -> [B * T, H, W, C], before the bounds."""
        maps = self.start(hidden, constant).unflatten(1, self.start_map)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            assert isinstance(convolution, nn.ConvTranspose2d)
            maps = modulated(maps, norm(hidden, constant)).relu_()
            # PyTorch's axes over the same memory, its "channels last" format.
            maps = doubled(maps.permute(0, 3, 1, 2), convolution).permute(0, 2, 3, 1)
        height, width = self.size
        return maps[:, :height, :width]

    def pieces(self, name: str) -> Iterator[Piece]:
        """What its parameters are in canonical weights."""
        yield Piece(f"{name}.embedding", self.embedding.weight, whole)
        yield from self.rnn.pieces(f"{name}.rnn")
        yield from self.start.pieces(f"{name}.start")
        for number, (norm, convolution) in enumerate(zip(self.norms, self.convolutions, strict=True), 1):
            assert isinstance(norm, FromLatent)
            assert isinstance(convolution, nn.ConvTranspose2d)
            assert convolution.bias is not None
            yield from norm.pieces(f"{name}.norm{number}")
            yield Piece(f"{name}.conv{number}.kernel", convolution.weight, transposed_convolution_kernel)
            yield Piece(f"{name}.conv{number}.bias", convolution.bias, whole)
