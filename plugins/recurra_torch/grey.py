"""Convolutions from and to a single channel, which oneDNN is slow at: on a CPU they are done as matrix products.

Of 64 grey frames of 28 x 28, a convolution's gradient by its input took 4.6 ms in oneDNN and 1.4 so, a transposed
convolution 2.8 and 0.5.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from recurra.gan_weights import KERNEL


def halved(maps: Tensor, layer: nn.Conv2d) -> Tensor:
    """maps [N, in, H, W] -> `layer(maps)` [N, out, H // 2, W // 2]: kernel 4, stride 2, padding 1."""
    if maps.is_cuda or maps.shape[1] > 1 or not maps.requires_grad:
        return layer(maps)
    patches = functional.unfold(maps, KERNEL, padding=1, stride=2).transpose(1, 2)
    rows = functional.linear(patches, layer.weight.flatten(1), layer.bias)
    return rows.unflatten(1, (maps.shape[2] // 2, maps.shape[3] // 2)).permute(0, 3, 1, 2)


def doubled(maps: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    """maps [N, in, h, w] -> `layer(maps)` [N, out, 2 h, 2 w]: kernel 4, stride 2, padding 1."""
    if maps.is_cuda or layer.out_channels > 1:
        return layer(maps)
    rows = maps.permute(0, 2, 3, 1).flatten(1, 2) @ layer.weight.flatten(1)
    size = (2 * maps.shape[2], 2 * maps.shape[3])
    frames = functional.fold(rows.transpose(1, 2), size, KERNEL, padding=1, stride=2)
    return frames if layer.bias is None else frames + layer.bias
