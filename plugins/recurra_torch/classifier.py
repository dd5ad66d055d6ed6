"""The classifier that the contract asks for: a network, its optimiser and the loop over the steps it is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.contract import Batches, ClassifierSpec, StepRecords, Weights
from recurra.optimiser import check_state
from recurra.weights import check_weights, layout
from recurra_torch.adam import Adam
from recurra_torch.devices import on_device
from recurra_torch.dropout import Dropout
from recurra_torch.memory import telling_memory
from recurra_torch.network import Network
from recurra_torch.weights import CanonicalView, itself


class TorchClassifier:
    """A network on a device, ready to train and to recognise."""

    def __init__(self, spec: ClassifierSpec, device: torch.device, seed: int) -> None:
        self.spec, self.device = spec, device
        with device:
            network = Network(spec)
        # The input's own layout, and the faster one for convolutions. PyTorch's stubs lack this form of `to`.
        self.network: Network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.view = CanonicalView(self.network.pieces(), layout(spec))
        self.adam = Adam(self.view, spec.train)
        self.dropout = Dropout(spec.train.dropout, seed, device)

    @telling_memory
    def train_steps(self, batches: Batches) -> StepRecords:
        """One optimiser step for each batch, in order."""
        self.network.train()
        xs, ys = on_device(batches.x, self.device), on_device(batches.y, self.device)
        # Kept on the device: reading each step's loss would make a GPU wait for the host at every step.
        losses = torch.empty(len(xs), device=self.device)
        correct = torch.empty(len(xs), dtype=torch.int64, device=self.device)
        for index, (x, y, rate) in enumerate(zip(xs, ys, batches.learning_rates.tolist(), strict=True)):
            losses[index], correct[index] = self._step(x, y, rate, batches.first_step + index)
        return StepRecords(losses.cpu().numpy(), correct.cpu().numpy())

    def _step(self, x: Tensor, y: Tensor, learning_rate: float, step: int) -> tuple[Tensor, Tensor]:
        kept = self.dropout.factors(step, (len(x), self.network.output.in_features))
        with self._precision():
            logits = self.network(x, kept)
        logits = logits.float()
        loss = functional.cross_entropy(logits, y)
        self.adam.descend(loss, learning_rate)
        return loss.detach(), (logits.argmax(1) == y).sum()

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, K] float32."""
        return self._infer(self.network, x)

    def features(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, F] float32."""
        return self._infer(self.network.features, x)

    @telling_memory
    @torch.inference_mode()
    def _infer(self, module: nn.Module, x: np.ndarray) -> np.ndarray:
        self.network.eval()
        with self._precision():
            result = module(on_device(x, self.device))
        return result.float().cpu().numpy()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.spec.train.precision == "bf16")

    def weights(self) -> Weights:
        """A copy of every weight in canonical layout."""
        return self.view.read(itself)

    @telling_memory
    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights; an InputError where they are not this network's."""
        check_weights(weights, self.spec, "weights")
        self.view.write(weights, itself)

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy of Adam's state; dropout is a function of the step's number and has none."""
        return self.adam.state()

    @telling_memory
    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over Adam's state from any backend; `backend.*` entries are none of this one's."""
        check_state(state, self.view.shapes)
        self.adam.load_state(state)
