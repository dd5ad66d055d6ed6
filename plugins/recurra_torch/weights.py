"""Canonical weights (`recurra.weights`) <-> PyTorch's parameters, and whatever lies beside them (Adam's moments).

A model names the pieces of its parameters; a canonical weight is one piece, or several one after another along its
first axis. A piece is a view, so that one mapping reads and writes the parameters and their moments alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recurra.contract import Weights

Lookup = Callable[[Tensor], Tensor]
"""A parameter -> a tensor of its shape: itself, or one of its moments."""


def itself(parameter: Tensor) -> Tensor:
    """The tensor that holds a parameter's own values."""
    return parameter


@dataclass(frozen=True)
class Piece:
    """A canonical weight, or some of its first axis, as a view of a parameter."""

    name: str
    parameter: Tensor
    view: Callable[[Tensor], Tensor]
    """A tensor of the parameter's shape -> its view in canonical axis order."""


def whole(tensor: Tensor) -> Tensor:
    """A bias is laid out alike."""
    return tensor


def transposed(tensor: Tensor) -> Tensor:
    """[out, in] -> [in, out]."""
    return tensor.t()


def convolution_kernel(tensor: Tensor) -> Tensor:
    """[out, in, k, k] -> [k, k, in, out]."""
    return tensor.permute(2, 3, 1, 0)


def transposed_convolution_kernel(tensor: Tensor) -> Tensor:
    """[in, out, k, k] -> [k, k, in, out]."""
    return tensor.permute(2, 3, 0, 1)


def time_kernel(tensor: Tensor) -> Tensor:
    """[out, in, k] -> [k, in, out]."""
    return tensor.permute(2, 1, 0)


def linear_pieces(name: str, layer: nn.Linear) -> Iterator[Piece]:
    """A dense layer's kernel and bias."""
    yield Piece(f"{name}.kernel", layer.weight, transposed)
    yield Piece(f"{name}.bias", layer.bias, whole)


class CanonicalView:
    """The canonical weights of a network, read from and written into its parameters."""

    def __init__(self, pieces: Iterable[Piece], shapes: Mapping[str, tuple[int, ...]]) -> None:
        found: dict[str, list[Piece]] = {name: [] for name in shapes}
        for piece in pieces:
            found[piece.name].append(piece)
        self.pieces, self.shapes = found, dict(shapes)

    def only(self, chosen: Callable[[str], bool]) -> CanonicalView:
        """The view of the weights whose canonical names are chosen."""
        pieces = (piece for name, pieces in self.pieces.items() if chosen(name) for piece in pieces)
        return CanonicalView(pieces, {name: shape for name, shape in self.shapes.items() if chosen(name)})

    def parameters(self, chosen: Callable[[str], bool]) -> list[Tensor]:
        """The parameters, each once, of the canonical names that are chosen."""
        return list({p.parameter: None for name, ps in self.pieces.items() if chosen(name) for p in ps})

    @torch.no_grad()
    def read(self, lookup: Lookup) -> Weights:
        """Canonical name -> a copy, float32 and C-contiguous."""
        return {
            name: torch.cat([p.view(lookup(p.parameter)) for p in pieces]).contiguous().cpu().numpy()
            for name, pieces in self.pieces.items()
        }

    @torch.no_grad()
    def write(self, arrays: Mapping[str, np.ndarray], lookup: Lookup) -> None:
        """Copies canonical arrays into the tensors, which stay where they are."""
        for name, pieces in self.pieces.items():
            views = [p.view(lookup(p.parameter)) for p in pieces]
            # A copy, because an array read from a file may be read-only, which PyTorch has no notion of.
            rows = torch.from_numpy(arrays[name].copy()).split([len(view) for view in views])
            for view, row in zip(views, rows, strict=True):
                view.copy_(row)
