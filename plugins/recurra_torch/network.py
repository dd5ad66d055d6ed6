"""The whole network: the features that the experiment's kind gives, dropout, and the output layer."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from recurra.contract import ClassifierSpec
from recurra_torch.cnn import Cnn
from recurra_torch.fusion import ClipFusion, ImageFusion
from recurra_torch.rnn import Rnn
from recurra_torch.weights import Piece, linear_pieces


def recogniser(spec: ClassifierSpec) -> Cnn | Rnn | ClipFusion | ImageFusion:
    """What turns samples into features."""
    if spec.model.kind == "cnn":
        return Cnn(spec)
    if spec.model.kind == "rnn":
        return Rnn(spec)
    return ImageFusion(spec) if spec.sample.kind == "image" else ClipFusion(spec)


class Network(nn.Module):
    """Samples [B, T, H, W, C] -> logits [B, K]."""

    def __init__(self, spec: ClassifierSpec) -> None:
        super().__init__()
        self.features = recogniser(spec)
        self.output = nn.Linear(self.features.width, spec.classes)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Logits; `kept` [B, F] are the factors by which dropout multiplies the features."""
        features = self.features(x)
        return self.output(features if kept is None else features * kept)

    def pieces(self) -> Iterator[Piece]:
        """What its parameters are in canonical weights."""
        yield from self.features.pieces()
        yield from linear_pieces("output", self.output)
