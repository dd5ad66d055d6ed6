"""The recurrent network over the rows of an image, the frames of a clip or other steps: PyTorch's own LSTM and GRU.

The LSTM is fused on the CPU (oneDNN), both are on GPUs (cuDNN); on a CPU the LSTM took about half the time of a loop
over the steps with a backward pass written by hand. PyTorch has two biases for each gate; the canonical weights have
one, so the other stays zero and does not train.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.contract import ClassifierSpec, SampleShape
from recurra.experiment import Rnn as Settings
from recurra.recurrent import GATES, directions, recurrent_width
from recurra.weights import step_width
from recurra_torch.weights import Piece, transposed, whole

_CONSTANTS_AT_ONCE = {"cpu": 64, "cuda": 512}
"""Samples that go together through a network with constant gates (see `last_hidden_beside`): the extra work of each
grows with their number. The best on a CPU were 32 to 64; a GPU wants more to do at once."""


def step_inputs(x: Tensor, sample: SampleShape, frame_pool: int) -> Tensor:
    """x [B, T, H, W, C] -> h_t for every step [steps, B, width]: rows of an image, or pooled frames of a clip."""
    if sample.kind == "image":
        steps = x.squeeze(1)
    elif frame_pool == 1:
        steps = x
    else:
        pooled = functional.avg_pool2d(x.flatten(0, 1).permute(0, 3, 1, 2), frame_pool)
        steps = pooled.permute(0, 2, 3, 1).unflatten(0, x.shape[:2])
    return steps.flatten(2).transpose(0, 1).contiguous()


class RecurrentLayers(nn.Module):
    """LSTM or GRU layers, one direction or both, over steps that are given."""

    def __init__(self, rnn: Settings, inputs: int) -> None:
        """`inputs` is the width of a step."""
        super().__init__()
        kind = nn.LSTM if rnn.cell == "lstm" else nn.GRU
        self.cell, self.directions = rnn.cell, directions(rnn)
        self.gates = GATES[rnn.cell] * rnn.units
        self.width = recurrent_width(rnn)
        self.layers = kind(inputs, rnn.units, rnn.layers, bidirectional=rnn.bidirectional)
        for layer, direction in self._places():
            self._keep_one_bias(self._parameter("bias_hh", layer, direction))

    def _places(self) -> Iterator[tuple[int, str]]:
        for layer in range(self.layers.num_layers):
            for direction in self.directions:
                yield layer, direction

    def _parameter(self, kind: str, layer: int, direction: str) -> nn.Parameter:
        return getattr(self.layers, f"{kind}_l{layer}{direction}")

    def _keep_one_bias(self, second: nn.Parameter) -> None:
        """Zeroes the second bias for good, but for that of the GRU's candidate, which sits inside the reset gate."""
        nn.init.zeros_(second)
        if self.cell == "lstm":
            second.requires_grad_(False)
        else:
            trains = torch.zeros_like(second)
            self._candidate(trains).fill_(1.0)
            second.register_hook(trains.mul)

    def _candidate(self, bias: Tensor) -> Tensor:
        return bias[-self.layers.hidden_size :]

    def hidden(self, steps: Tensor) -> Tensor:
        """[steps, B, inputs] -> the last layer's hidden state at every step [steps, B, directions * units]."""
        return self.layers(steps)[0]

    def last_hidden(self, steps: Tensor) -> Tensor:
        """[steps, B, inputs] -> the last layer's last hidden state [B, directions * units], forward first."""
        _, state = self.layers(steps)
        return self._of_last_layer(state)

    def last_hidden_beside(self, steps: Tensor, constant: Tensor) -> Tensor:
        """The same where `constant` [B, directions * gates] is added to the first layer's gates at every step.

        The fused kernels take no such term, but it can be said in their words: give each step a one-hot column for its
        sample, and the input kernel that sample's constant in the row which the column selects. The kernel's gradient
        is then the constant's, summed over the steps.
        """
        at_once = _CONSTANTS_AT_ONCE[steps.device.type]
        parts = zip(steps.split(at_once, 1), constant.float().split(at_once), strict=True)
        return torch.cat([self._beside(*part) for part in parts])

    def _beside(self, steps: Tensor, constant: Tensor) -> Tensor:
        length, samples, _ = steps.shape
        select = torch.eye(samples, device=steps.device).expand(length, -1, -1)
        kernels = {
            f"weight_ih_l0{direction}": torch.cat([self._parameter("weight_ih", 0, direction), columns.t()], 1)
            for direction, columns in zip(self.directions, constant.split(self.gates, 1), strict=True)
        }
        weights = [kernels.get(name, weight) for name, weight in self.layers.named_parameters()]
        zeros = steps.new_zeros(self.layers.num_layers * len(self.directions), samples, self.layers.hidden_size)
        how = (True, self.layers.num_layers, 0.0, self.training, self.layers.bidirectional, False)
        inputs, weights = torch.cat([steps, select], 2), in_one_piece(weights) if steps.is_cuda else weights
        if self.cell == "lstm":
            return self._of_last_layer(torch.lstm(inputs, (zeros, zeros), weights, *how)[1])
        return self._of_last_layer(torch.gru(inputs, zeros, weights, *how)[1])

    def _of_last_layer(self, state: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        hidden = state[0] if isinstance(state, tuple) else state
        return hidden[-len(self.directions) :].transpose(0, 1).flatten(1)

    def pieces(self, prefix: str = "rnn") -> Iterator[Piece]:
        """What its parameters are in canonical weights."""
        for layer, direction in self._places():
            name = f"{prefix}.{self.cell}{layer + 1}{direction}"
            yield Piece(f"{name}.kernel", self._parameter("weight_ih", layer, direction), transposed)
            yield Piece(f"{name}.recurrent_kernel", self._parameter("weight_hh", layer, direction), transposed)
            yield Piece(f"{name}.bias", self._parameter("bias_ih", layer, direction), whole)
            if self.cell == "gru":
                yield Piece(f"{name}.recurrent_bias", self._parameter("bias_hh", layer, direction), self._candidate)


class Rnn(RecurrentLayers):
    """A recurrent network over samples; gives the last hidden state."""

    def __init__(self, spec: ClassifierSpec, inputs: int | None = None) -> None:
        """`inputs` is the width of a step where it is not `step_width(spec)`."""
        super().__init__(spec.model.rnn, inputs or step_width(spec))
        self.sample, self.frame_pool = spec.sample, spec.model.rnn.frame_pool

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, H, W, C] -> the last hidden state [B, directions * units]."""
        return self.last_hidden(step_inputs(x, self.sample, self.frame_pool))


def in_one_piece(weights: list[Tensor]) -> list[Tensor]:
    """A cell's weights, laid out in one buffer in cuDNN's order, without which cuDNN warns and copies them itself."""
    # Kernels of every layer first, then biases: both keep their order.
    ordered = sorted(range(len(weights)), key=lambda index: weights[index].dim() == 1)
    buffer = torch.cat([weights[index].flatten() for index in ordered])
    pieces = buffer.split([weights[index].numel() for index in ordered])
    placed = dict(zip(ordered, pieces, strict=True))
    return [placed[index].view_as(weight) for index, weight in enumerate(weights)]
