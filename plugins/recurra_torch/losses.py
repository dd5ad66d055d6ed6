"""The losses of a GAN, of one discriminator's logits, and the penalty on its gradient."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus


class Loss(Protocol):
    """A loss for each side. `real` and `fake` are logits of one shape, samples of the same labels side by side."""

    paired: bool
    """Whether a logit counts only next to its pair's: then the generator's loss needs the real ones."""

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """L_D, a scalar."""
        ...

    def of_generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """L_G, a scalar."""
        ...


class NonSaturating:
    """Goodfellow et al. (2014)."""

    paired = False

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E log sigma(D(x)) - E log(1 - sigma(D(g)))."""
        return softplus(-real).mean() + softplus(fake).mean()

    def of_generator(self, real: Tensor | None, fake: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        """-E log sigma(D(g))."""
        return softplus(-fake).mean()


class Hinge:
    """Lim and Ye (2017)."""

    paired = False

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E max(0, 1 - D(x)) + E max(0, 1 + D(g))."""
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def of_generator(self, real: Tensor | None, fake: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        """-E D(g)."""
        return -fake.mean()


class Relativistic:
    """Of pairs: Jolicoeur-Martineau (2019), Huang et al. (2024)."""

    paired = True

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E softplus(D(g_i) - D(x_i))."""
        return softplus(fake - real).mean()

    def of_generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """E softplus(D(x_i) - D(g_i))."""
        assert real is not None
        return softplus(real - fake).mean()


LOSSES: dict[str, Loss] = {"non-saturating": NonSaturating(), "hinge": Hinge(), "relativistic": Relativistic()}
"""By the names of `train.gan.loss`."""


def right(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """[2]: which part of the real logits, and of the generated ones, is on its side."""
    sides = [real > fake, real > fake] if loss.paired else [real > 0, fake < 0]
    return torch.stack([side.float().mean() for side in sides])


def squared_gradient(logits: Tensor, seen: Tensor) -> Tensor:
    """E |dD/dx|^2 over the logits, to be differentiated itself; `seen` is what they were computed from."""
    (gradient,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
    return gradient.square().sum() / logits.numel()
