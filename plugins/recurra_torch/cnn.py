"""The convolutional network over frames, and the classifier's features that it gives by itself."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

from recurra.contract import ClassifierSpec
from recurra.weights import feature_map
from recurra_torch.weights import Piece, convolution_kernel, linear_pieces, whole


class Cnn(nn.Module):
    """Conv, ReLU, MaxPool for each width, then flatten and dense layers with ReLU."""

    def __init__(self, spec: ClassifierSpec) -> None:
        super().__init__()
        cnn, height_width_channels = spec.model.cnn, feature_map(spec)
        padding = cnn.kernel // 2 if cnn.padding == "same" else 0
        widths = [spec.sample.channels, *cnn.channels]
        self.pool = cnn.pool
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, width, cnn.kernel, padding=padding)
            for inputs, width in zip(widths, cnn.channels, strict=False)
        )
        height, width, channels = height_width_channels
        widths = [height * width * channels, *cnn.dense]
        self.dense = nn.ModuleList(nn.Linear(inputs, width) for inputs, width in zip(widths, cnn.dense, strict=False))
        self.width = widths[-1]

    def frames(self, frames: Tensor) -> Tensor:
        """[N, H, W, C] -> features of each frame [N, F]."""
        maps = frames.permute(0, 3, 1, 2)  # PyTorch's axes over the same memory, its "channels last" format
        for convolution in self.convolutions:
            maps = convolution(maps)
            # ReLU keeps order, so it may follow the pooling, where it has pool^2 times less to do.
            maps = (functional.max_pool2d(maps, self.pool) if self.pool > 1 else maps).relu_()
        features = maps.permute(0, 2, 3, 1).flatten(1)
        for dense in self.dense:
            features = dense(features).relu_()
        return features

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, H, W, C] -> features averaged over time [B, F]."""
        return self.frames(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)

    def pieces(self) -> Iterator[Piece]:
        """What its parameters are in canonical weights."""
        for number, layer in enumerate(self.convolutions, 1):
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            yield Piece(f"cnn.conv{number}.kernel", layer.weight, convolution_kernel)
            yield Piece(f"cnn.conv{number}.bias", layer.bias, whole)
        for number, layer in enumerate(self.dense, 1):
            assert isinstance(layer, nn.Linear)
            yield from linear_pieces(f"cnn.dense{number}", layer)
