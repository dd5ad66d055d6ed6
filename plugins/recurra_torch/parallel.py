"""The classifier that the contract asks for on several devices: a process for each, none of which is this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from recurra.contract import Batches, ClassifierSpec, StepRecords, Weights
from recurra.errors import InputError
from recurra.optimiser import check_state
from recurra.weights import check_weights, layout
from recurra_torch.devices import resolve
from recurra_torch.memory import forget_peak
from recurra_torch.rank import spec_values
from recurra_torch.ranks import Ranks


def check_devices(devices: Sequence[str]) -> None:
    """An InputError unless each device is there, all are of a kind, and no GPU is named twice."""
    kinds = {resolve(device).type for device in devices}
    if len(kinds) != 1:
        raise InputError(f"devices: {', '.join(devices) or 'none'}; name GPUs, or `cpu` several times, not both")
    if kinds == {"cuda"} and len({*devices}) < len(devices):
        raise InputError(f"devices: {', '.join(devices)}; a GPU can be named once")


class TorchParallel:
    """A replica of one network on each device, trained in step; the first one speaks for all.

    Every replica gets its part of each batch, the gradients are added up (DistributedDataParallel), and all take the
    same step. After a DeviceMemoryError or a RankLostError the replicas are gone, their memory with them; loading
    weights starts new ones.
    """

    def __init__(self, spec: ClassifierSpec, devices: Sequence[str], seed: int) -> None:
        check_devices(devices)
        for device in devices:  # the ranks count their own: what this process took before is none of this training's
            forget_peak(resolve(device))
        self.spec, self.devices, self.seed, self.shapes = spec, [*devices], seed, layout(spec)
        self.ranks = self._start()

    def _start(self) -> Ranks:
        threads = max(1, torch.get_num_threads() // len(self.devices))
        return Ranks(self.devices, {"spec": spec_values(self.spec), "seed": self.seed, "threads": threads})

    def train_steps(self, batches: Batches) -> StepRecords:
        """One optimiser step for each batch, in order, shared among the devices."""
        arrays = {"x": batches.x, "y": batches.y, "learning_rates": batches.learning_rates}
        return StepRecords(**self.ranks.all("train_steps", arrays, first_step=batches.first_step))

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, K] float32, as the first device computes them."""
        return self.ranks.first("logits", {"x": x})["rows"]

    def features(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, F] float32, as the first device computes them."""
        return self.ranks.first("features", {"x": x})["rows"]

    def weights(self) -> Weights:
        """A copy of every weight in canonical layout."""
        return self.ranks.first("weights")

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights on every device; an InputError where they are not this network's."""
        check_weights(weights, self.spec, "weights")
        if not self.ranks.alive:
            self.ranks = self._start()
        self.ranks.all("load_weights", weights)

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy of Adam's state; dropout is a function of the step's number and has none."""
        return self.ranks.first("training_state")

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over Adam's state on every device, from any backend and any number of devices."""
        check_state(state, self.shapes)
        self.ranks.all("load_training_state", state)
