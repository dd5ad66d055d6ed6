"""The recurrent GAN as a user of PyTorch would write it. Clips are [B, T, C, H, W]; an image is a clip of one frame."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from bench.scenario import ADVERSARIAL, CLASSES, GAN, RNN
from recurra.contract import SampleShape


class Doubling(nn.Module):
    """Layer norm whose scale and shift come from the latent, ReLU, and twice the height and width."""

    def __init__(self, latent: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, inputs, affine=False)
        self.modulation = nn.Linear(latent, 2 * inputs)
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, maps: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        scale, shift = self.modulation(latent)[:, :, None, None].chunk(2, dim=1)
        return self.convolution(functional.relu((1 + scale) * self.norm(maps) + shift))


class Generator(nn.Module):
    """An LSTM over the noise, and a frame from each of its hidden states."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.frames, self.bounded = sample.frames, sample.kind == "image"
        self.first = (GAN.channels[0], sample.height // 4, sample.width // 4)
        latent = RNN.units + GAN.content + GAN.embedding
        self.embedding = nn.Embedding(CLASSES, GAN.embedding)
        self.lstm = nn.LSTM(GAN.noise + GAN.content + GAN.embedding, RNN.units, batch_first=True)
        self.start = nn.Linear(latent, self.first[0] * self.first[1] * self.first[2])
        outputs = (*GAN.channels[1:], sample.channels)
        self.blocks = nn.ModuleList(Doubling(latent, *widths) for widths in zip(GAN.channels, outputs, strict=True))

    def forward(self, content: torch.Tensor, noise: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        fixed = torch.cat([content, self.embedding(labels)], dim=1)
        fixed = fixed.unsqueeze(1).expand(-1, self.frames, -1)
        hidden, _ = self.lstm(torch.cat([noise, fixed], dim=2))
        latent = torch.cat([hidden, fixed], dim=2).flatten(0, 1)
        maps = self.start(latent).unflatten(1, self.first)
        for block in self.blocks:
            maps = block(maps, latent)
        return (torch.tanh(maps) if self.bounded else maps).unflatten(0, (-1, self.frames))


def halvings(channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Frames [B, C, H, W] -> features [B, widths[-1] * (H // 4) * (W // 4)] after two of them."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten())


class Head(nn.Module):
    """A logit from features, with the projection of the label."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.output = nn.Linear(features, 1)
        self.projection = nn.Embedding(CLASSES, features)

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.output(features).squeeze(1) + (self.projection(labels) * features).sum(dim=1)


class FrameDiscriminator(nn.Module):
    """Judges single frames [B, C, H, W]."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.convolutions = halvings(sample.channels, GAN.frame_channels)
        self.head = Head(GAN.frame_channels[-1] * (sample.height // 4) * (sample.width // 4))

    @staticmethod
    def view(clips: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Some frames of each clip, drawn anew every time, with their labels."""
        count = min(ADVERSARIAL.frames, clips.shape[1])
        drawn = torch.rand(clips.shape[:2], device=clips.device).argsort(dim=1)[:, :count]
        rows = torch.arange(len(clips), device=clips.device).unsqueeze(1)
        return clips[rows, drawn].flatten(0, 1), labels.repeat_interleave(count)

    def forward(self, frames: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.head(self.convolutions(frames), labels)


class ClipDiscriminator(nn.Module):
    """Judges whole clips [B, T, C, H, W]."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.convolutions = halvings(sample.channels, GAN.clip_channels)
        seen = GAN.clip_channels[-1] * (sample.height // 4) * (sample.width // 4)
        self.dense = nn.Linear(seen, GAN.clip_width)
        layers: list[nn.Module] = []
        inputs, steps = GAN.clip_width, sample.frames
        for width in GAN.clip_steps:
            layers += [nn.Conv1d(inputs, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            inputs, steps = width, steps // 2
        self.time = nn.Sequential(*layers, nn.Flatten())
        self.head = Head(inputs * steps)

    @staticmethod
    def view(clips: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """All of them."""
        return clips, labels

    def forward(self, clips: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        frames = functional.leaky_relu(self.dense(self.convolutions(clips.flatten(0, 1))), 0.2)
        return self.head(self.time(frames.unflatten(0, clips.shape[:2]).transpose(1, 2)), labels)


def initialise(module: nn.Module) -> None:
    """The first weights of DCGAN (Radford et al., 2016)."""
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
