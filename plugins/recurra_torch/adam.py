"""Adam as `recurra.optimiser` writes it: PyTorch's fused AdamW, one group for kernels and one for biases."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from recurra.contract import ClassifierSpec
from recurra.errors import InputError
from recurra.experiment import Train
from recurra.optimiser import BETA_1, BETA_2, EPSILON
from recurra.weights import check_weights, is_kernel
from recurra_torch.weights import CanonicalView

_MOMENTS = {"adam.m.": "exp_avg", "adam.v.": "exp_avg_sq"}


class Adam:
    """The optimiser of a network's parameters, its state readable in canonical layout."""

    def __init__(self, view: CanonicalView, train: Train) -> None:
        kernels, biases = view.parameters(is_kernel), view.parameters(lambda name: not is_kernel(name))
        groups = [{"params": kernels, "weight_decay": train.weight_decay}, {"params": biases, "weight_decay": 0.0}]
        self.view, self.clip_norm, self.parameters = view, train.clip_norm, [*kernels, *biases]
        self.optimiser = torch.optim.AdamW(
            groups, lr=train.learning_rate, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True
        )
        for parameter in self.parameters:  # PyTorch's own layout of it, made before the first step
            self.optimiser.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def step(self, learning_rate: float) -> None:
        """One update from the parameters' gradients, which are then gone."""
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def state(self) -> dict[str, np.ndarray]:
        """A copy: `adam.step` (int64), `adam.m.NAME` and `adam.v.NAME` (float32, canonical layout)."""
        taken = self.optimiser.state[self.parameters[0]]["step"].item()
        arrays = {"adam.step": np.array(int(taken), np.int64)}
        for prefix, moment in _MOMENTS.items():
            found = self.view.read(lambda parameter, moment=moment: self.optimiser.state[parameter][moment])
            arrays |= {f"{prefix}{name}": array for name, array in found.items()}
        return arrays

    def load_state(self, state: Mapping[str, np.ndarray], spec: ClassifierSpec) -> None:
        """Takes over such a state; an InputError where something is missing or of another shape."""
        if "adam.step" not in state:
            raise InputError("training state: 'adam.step' is missing; was it saved by a training of recurra?")
        for prefix, moment in _MOMENTS.items():
            arrays = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
            check_weights(arrays, spec, f"training state ({prefix}*)")
            self.view.write(arrays, lambda parameter, moment=moment: self.optimiser.state[parameter][moment])
        for parameter in self.parameters:
            self.optimiser.state[parameter]["step"].fill_(state["adam.step"].item())
