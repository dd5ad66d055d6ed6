"""The discriminators: one judges frames, one whole clips, both with the class that a sample is said to be of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.contract import GanSpec
from recurra.gan_weights import KERNEL, discriminator_map, has_clip_discriminator, time_steps
from recurra_torch.grey import halved
from recurra_torch.spectral import Canonical, SpectralNorm, Weighted, norm_of, normalise, weight_pieces
from recurra_torch.weights import Piece, convolution_kernel, time_kernel, transposed, whole

SLOPE = 0.2
"""Of LeakyReLU."""
Layer = tuple[str, Weighted, Canonical]
"""The canonical name of a layer's weight, the layer, and its weight's view in canonical axis order."""


class Maps(nn.Module):
    """Convolutions of frames, each of which halves height and width."""

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, width, KERNEL, stride=2, padding=1) for before, width in pairwise((inputs, *widths))
        )

    def forward(self, frames: Tensor) -> Tensor:
        """[N, H, W, C] -> [N, h * w * c]."""
        maps = frames.permute(0, 3, 1, 2)  # PyTorch's axes over the same memory, its "channels last" format
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv2d)
            maps = functional.leaky_relu_(halved(maps, convolution), SLOPE)
        return maps.permute(0, 2, 3, 1).flatten(1)

    def layers(self, name: str) -> Iterator[Layer]:
        """Those that have weights."""
        for number, convolution in enumerate(self.convolutions, 1):
            assert isinstance(convolution, nn.Conv2d)
            yield f"{name}.conv{number}.kernel", convolution, convolution_kernel


class Head(nn.Module):
    """Features and labels -> logits, by projection (Miyato and Koyama, 2018)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.output = nn.Linear(features, 1)
        self.projection = nn.Embedding(classes, features)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """features [N, M, F] of M frames or clips of each label [N] -> [N, M]."""
        direction = self.projection(labels) + self.output.weight
        return (features * direction[:, None]).sum(2) + self.output.bias

    def layers(self, name: str) -> Iterator[Layer]:
        """Those that have weights."""
        yield f"{name}.output.kernel", self.output, transposed
        yield f"{name}.projection", self.projection, whole


class Discriminator(nn.Module):
    """What both have in common."""

    def seen(self, x: Tensor, frames: Tensor) -> Tensor:
        """What it judges of samples [N, T, H, W, C], of which `frames` [N, M] are drawn: [N, M, H, W, C]."""
        raise NotImplementedError

    def layers(self) -> Iterator[Layer]:
        """Those that have weights."""
        raise NotImplementedError

    def pieces(self) -> Iterator[Piece]:
        """What its parameters are in canonical weights."""
        for name, layer, canonical in self.layers():
            yield from weight_pieces(name, layer, canonical)
            if not isinstance(layer, nn.Embedding):
                assert layer.bias is not None
                yield Piece(f"{name.removesuffix('.kernel')}.bias", layer.bias, whole)


class FrameDiscriminator(Discriminator):
    """Judges single frames."""

    def __init__(self, spec: GanSpec) -> None:
        super().__init__()
        widths = spec.model.gan.frame_channels
        self.maps = Maps(spec.sample.channels, widths)
        self.head = Head(math.prod(discriminator_map(spec, widths, "frame_channels")), spec.classes)

    def seen(self, x: Tensor, frames: Tensor) -> Tensor:
        """The frames that are drawn."""
        samples = torch.arange(len(x), device=x.device)[:, None]
        return x if x.shape[1] == 1 else x[samples, frames]

    def forward(self, seen: Tensor, labels: Tensor) -> Tensor:
        """Frames [N, M, H, W, C] of samples with labels [N] -> logits [N, M]."""
        return self.head(self.maps(seen.flatten(0, 1)).unflatten(0, seen.shape[:2]), labels)

    def layers(self) -> Iterator[Layer]:
        """Those that have weights."""
        yield from self.maps.layers("frame")
        yield from self.head.layers("frame")


class ClipDiscriminator(Discriminator):
    """Judges whole clips."""

    def __init__(self, spec: GanSpec) -> None:
        super().__init__()
        gan, left = spec.model.gan, time_steps(spec)
        self.maps = Maps(spec.sample.channels, gan.clip_channels)
        features = math.prod(discriminator_map(spec, gan.clip_channels, "clip_channels"))
        self.dense = nn.Linear(features, gan.clip_width)
        widths = (gan.clip_width, *gan.clip_steps[: len(left)])
        self.steps = nn.ModuleList(
            nn.Conv1d(before, width, KERNEL, stride=2, padding=1) for before, width in pairwise(widths)
        )
        self.head = Head((left[-1] if left else spec.sample.frames) * widths[-1], spec.classes)

    def seen(self, x: Tensor, frames: Tensor) -> Tensor:  # noqa: ARG002 (the frame discriminator's)
        """All of it."""
        return x

    def forward(self, seen: Tensor, labels: Tensor) -> Tensor:
        """Clips [N, T, H, W, C] with labels [N] -> logits [N, 1]."""
        each = functional.leaky_relu_(self.dense(self.maps(seen.flatten(0, 1))), SLOPE)
        steps = each.unflatten(0, seen.shape[:2]).transpose(1, 2)
        for convolution in self.steps:
            steps = functional.leaky_relu_(convolution(steps), SLOPE)
        return self.head(steps.transpose(1, 2).flatten(1)[:, None], labels)

    def layers(self) -> Iterator[Layer]:
        """Those that have weights."""
        yield from self.maps.layers("clip")
        yield "clip.dense.kernel", self.dense, transposed
        for number, convolution in enumerate(self.steps, 1):
            assert isinstance(convolution, nn.Conv1d)
            yield f"clip.time{number}.kernel", convolution, time_kernel
        yield from self.head.layers("clip")


class Discriminators(nn.Module):
    """All that a GAN has: of images one, of clips two."""

    def __init__(self, spec: GanSpec) -> None:
        super().__init__()
        self.frame = FrameDiscriminator(spec)
        self.clip = ClipDiscriminator(spec) if has_clip_discriminator(spec) else None
        if spec.model.gan.spectral_norm:
            for discriminator in self:
                for _, layer, canonical in discriminator.layers():
                    normalise(layer, canonical)

    def __iter__(self) -> Iterator[Discriminator]:
        yield self.frame
        if self.clip is not None:
            yield self.clip

    def settle(self) -> None:
        """Has spectral normalisation follow the weights as they are now, its vectors u unmoved."""
        for norm, weight in self._norms():
            norm.settle(weight)

    def power_step(self) -> None:
        """The same with a step of the power method, which moves u."""
        for norm, weight in self._norms():
            norm.power_step(weight)

    def _norms(self) -> Iterator[tuple[SpectralNorm, Tensor]]:
        found = (norm_of(layer) for discriminator in self for _, layer, _ in discriminator.layers())
        return (each for each in found if each is not None)

    def pieces(self) -> Iterator[Piece]:
        """What their parameters are in canonical weights."""
        for discriminator in self:
            yield from discriminator.pieces()
