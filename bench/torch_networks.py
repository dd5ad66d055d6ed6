"""The networks as a user of PyTorch would write them. Images are [B, C, H, W], clips [B, T, C, H, W]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bench.scenario import CLASSES, Scenario
from recurra.contract import SampleShape


def convolutions(channels: int) -> nn.Sequential:
    """Frames [B, C, H, W] -> features [B, 64 * (H // 4) * (W // 4)]."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )


def seen_width(sample: SampleShape) -> int:
    """Features of one frame after the convolutions."""
    return 64 * (sample.height // 4) * (sample.width // 4)


class Cnn(nn.Module):
    """Convolutions and an output layer."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.convolutions = convolutions(sample.channels)
        self.output = nn.Linear(seen_width(sample), CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.convolutions(images))


class Rnn(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.lstm = nn.LSTM(sample.width * sample.channels, 128, batch_first=True)
        self.output = nn.Linear(128, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = images.permute(0, 2, 3, 1).flatten(2)
        hidden, _ = self.lstm(rows)
        return self.output(hidden[:, -1])


class ImageFusion(nn.Module):
    """An LSTM over the rows of an image, each joined with the features of the whole image."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.convolutions = convolutions(sample.channels)
        self.lstm = nn.LSTM(seen_width(sample) + sample.width * sample.channels, 128, batch_first=True)
        self.output = nn.Linear(128, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = images.permute(0, 2, 3, 1).flatten(2)
        features = self.convolutions(images).unsqueeze(1).expand(-1, rows.shape[1], -1)
        hidden, _ = self.lstm(torch.cat([features, rows], dim=2))
        return self.output(hidden[:, -1])


class ClipFusion(nn.Module):
    """An LSTM over the frames of a clip, each joined with its own features."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.convolutions = convolutions(sample.channels)
        frame = sample.height * sample.width * sample.channels
        self.lstm = nn.LSTM(seen_width(sample) + frame, 128, batch_first=True)
        self.output = nn.Linear(128, CLASSES)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        features = self.convolutions(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        hidden, _ = self.lstm(torch.cat([features, clips.flatten(2)], dim=2))
        return self.output(hidden[:, -1])


NETWORKS: dict[tuple[str, str], Callable[[SampleShape], nn.Module]] = {
    ("cnn", "image"): Cnn,
    ("rnn", "image"): Rnn,
    ("fusion", "image"): ImageFusion,
    ("fusion", "clip"): ClipFusion,
}


def network(scenario: Scenario) -> nn.Module:
    """The scenario's network."""
    return NETWORKS[scenario.network, scenario.sample.kind](scenario.sample)


def loader(scenario: Scenario, batch: int) -> DataLoader:
    """Shuffled batches of tensors in PyTorch's order of axes, by a DataLoader as it comes."""
    x = np.ascontiguousarray(np.moveaxis(scenario.network_input(), -1, -3))
    dataset = TensorDataset(torch.from_numpy(x), torch.from_numpy(scenario.labels))
    return DataLoader(dataset, batch_size=batch, shuffle=True)
