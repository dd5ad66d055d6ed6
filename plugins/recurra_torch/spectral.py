"""Spectral normalisation (Miyato et al., 2018) as `recurra.gan_weights` writes it, a parametrization of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from recurra_torch.weights import Piece, whole

Weighted = nn.Conv2d | nn.Conv1d | nn.Linear | nn.Embedding
Canonical = Callable[[Tensor], Tensor]
"""A layer's weight -> its view in canonical axis order."""


class SpectralNorm(nn.Module):
    """W -> W / (v^T W u), W as a matrix in canonical layout.

    u [out] is remembered and v follows from it; both are constants of the gradient. PyTorch's own parametrization
    remembers both and moves them whenever it is used in training, here that is said: `power_step`, `settle`.
    """

    def __init__(self, weight: Tensor, canonical: Canonical) -> None:
        super().__init__()
        self.canonical = canonical
        matrix = self._matrix(weight)
        self.u: Tensor
        self.v: Tensor
        self.register_buffer("u", functional.normalize(torch.ones_like(matrix[0]), dim=0))
        self.register_buffer("v", functional.normalize(torch.ones_like(matrix[:, 0]), dim=0))

    def _matrix(self, weight: Tensor) -> Tensor:
        return self.canonical(weight.detach()).flatten(0, -2)

    def settle(self, weight: Tensor) -> None:
        """v = n(W u)."""
        self.v = functional.normalize(self._matrix(weight) @ self.u, dim=0)

    def power_step(self, weight: Tensor) -> None:
        """v = n(W u), then u = n(W^T v)."""
        self.settle(weight)
        self.u.copy_(functional.normalize(self._matrix(weight).t() @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        matrix = self.canonical(weight).flatten(0, -2)
        return weight / torch.dot(self.v, matrix @ self.u)


def normalise(layer: Weighted, canonical: Canonical) -> None:
    """Has the layer compute with its normalised weight from now on."""
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, canonical))


def norm_of(layer: nn.Module) -> tuple[SpectralNorm, Tensor] | None:
    """A layer's normalisation and the weight that it normalises, where it has one."""
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    chain = cast(nn.ModuleDict, layer.parametrizations)["weight"]
    assert isinstance(chain, parametrize.ParametrizationList)
    return cast(SpectralNorm, chain[0]), cast(Tensor, chain.original)


def weight_pieces(name: str, layer: Weighted, canonical: Canonical) -> Iterator[Piece]:
    """A layer's weight in canonical weights and, where it is normalised, the vector u."""
    found = norm_of(layer)
    if found is None:
        yield Piece(name, layer.weight, canonical)
    else:
        norm, weight = found
        yield Piece(name, weight, canonical)
        yield Piece(f"{name}.u", norm.u, whole)
