"""The fusion of both networks: the convolutional features x_t, joined with h_t, are the recurrent network's input."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from recurra.contract import ClassifierSpec
from recurra.weights import step_width
from recurra_torch.cnn import Cnn
from recurra_torch.rnn import Rnn, step_inputs
from recurra_torch.weights import Piece


class ClipFusion(nn.Module):
    """A recurrent network over [x_t ; h_t], x_t the features of frame t."""

    def __init__(self, spec: ClassifierSpec) -> None:
        super().__init__()
        self.cnn = Cnn(spec)
        self.rnn = Rnn(spec, self.cnn.width + step_width(spec))
        self.width = self.rnn.width

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, H, W, C] -> the last hidden state [B, F]."""
        steps = step_inputs(x, self.rnn.sample, self.rnn.frame_pool)
        frames = self.cnn.frames(x.transpose(0, 1).flatten(0, 1)).unflatten(0, steps.shape[:2])
        return self.rnn.last_hidden(torch.cat([frames, steps], 2))

    def pieces(self) -> Iterator[Piece]:
        """What its parameters are in canonical weights."""
        yield from self.cnn.pieces()
        yield from self.rnn.pieces()


class ImageFusion(nn.Module):
    """A recurrent network over [x ; h_t], h_t row t and x the features of the whole image.

    x is the same at every step, so that its part of the gates, W_x x, is computed once: the input kernel is kept in two
    parts, W_x in `constant` and W_h in the recurrent network.
    """

    def __init__(self, spec: ClassifierSpec) -> None:
        super().__init__()
        self.cnn = Cnn(spec)
        self.rnn = Rnn(spec)
        self.width = self.rnn.width
        self.constant = nn.Linear(self.cnn.width, len(self.rnn.directions) * self.rnn.gates, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 1, H, W, C] -> the last hidden state [B, F]."""
        constant = self.constant(self.cnn.frames(x.squeeze(1)))
        return self.rnn.last_hidden_beside(step_inputs(x, self.rnn.sample, self.rnn.frame_pool), constant)

    def pieces(self) -> Iterator[Piece]:
        """What its parameters are in canonical weights: W_x is the upper part of each direction's first kernel."""
        yield from self.cnn.pieces()
        for number, direction in enumerate(self.rnn.directions):
            rows = slice(number * self.rnn.gates, (number + 1) * self.rnn.gates)
            name = f"rnn.{self.rnn.cell}1{direction}.kernel"
            yield Piece(name, self.constant.weight, lambda weight, rows=rows: weight[rows].t())
        yield from self.rnn.pieces()
