"""Adam as `recurra.optimiser` writes it: PyTorch's fused AdamW, one group for kernels and one for biases."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from recurra.experiment import Train
from recurra.optimiser import BETA_1, BETA_2, EPSILON
from recurra.weights import is_kernel
from recurra_torch.weights import CanonicalView

_MOMENTS = {"adam.m.": "exp_avg", "adam.v.": "exp_avg_sq"}


class Adam:
    """The optimiser of the weights that a view shows, its state readable in canonical layout."""

    def __init__(self, view: CanonicalView, train: Train, betas: tuple[float, float] = (BETA_1, BETA_2)) -> None:
        kernels, others = view.parameters(is_kernel), view.parameters(lambda name: not is_kernel(name))
        groups = [{"params": kernels, "weight_decay": train.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.view, self.clip_norm, self.parameters = view, train.clip_norm, [*kernels, *others]
        self.optimiser = torch.optim.AdamW(groups, lr=train.learning_rate, betas=betas, eps=EPSILON, fused=True)
        for parameter in self.parameters:  # PyTorch's own layout of it, made before the first step
            self.optimiser.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def descend(self, loss: Tensor, learning_rate: float) -> None:
        """One update down the slope of `loss`. No other parameter that the loss depends on gets a gradient."""
        try:
            loss.backward(inputs=self.parameters)
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate
            self.optimiser.step()
        finally:  # also of a step for which the memory did not suffice: the next one would add to what is left
            self.optimiser.zero_grad(set_to_none=True)

    def state(self) -> dict[str, np.ndarray]:
        """A copy: `adam.step` (int64), `adam.m.NAME` and `adam.v.NAME` (float32, canonical layout)."""
        taken = self.optimiser.state[self.parameters[0]]["step"].item()
        arrays = {"adam.step": np.array(int(taken), np.int64)}
        for prefix, moment in _MOMENTS.items():
            found = self.view.read(lambda parameter, moment=moment: self.optimiser.state[parameter][moment])
            arrays |= {f"{prefix}{name}": array for name, array in found.items()}
        return arrays

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over what a whole state (`recurra.optimiser.check_state`) says of the view's weights."""
        for prefix, moment in _MOMENTS.items():
            arrays = {name: state[f"{prefix}{name}"] for name in self.view.shapes}
            self.view.write(arrays, lambda parameter, moment=moment: self.optimiser.state[parameter][moment])
        for parameter in self.parameters:
            self.optimiser.state[parameter]["step"].fill_(state["adam.step"].item())
