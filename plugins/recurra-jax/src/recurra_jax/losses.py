"""The losses of a GAN, of its discriminators' logits (`recurra.gan_weights` has the equations)."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp

from recurra_jax.framework import jax

Logits = tuple[jax.Array, ...]
"""One array for each discriminator."""


def discriminator_loss(kind: str, real: Logits, fake: Logits) -> jax.Array:
    """The mean over each discriminator's logits, summed over the discriminators."""
    losses: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
        "non-saturating": lambda x, g: jax.nn.softplus(-x) + jax.nn.softplus(g),
        "hinge": lambda x, g: jax.nn.relu(1 - x) + jax.nn.relu(1 + g),
        "relativistic": lambda x, g: jax.nn.softplus(g - x),
    }
    return _total([losses[kind](x, g).mean() for x, g in zip(real, fake, strict=True)])


def generator_loss(kind: str, fake: Logits, real: Callable[[], Logits]) -> jax.Array:
    """As the discriminators'; the logits of the real samples are asked for only where the loss has them."""
    if kind == "relativistic":
        return _total([jax.nn.softplus(x - g).mean() for x, g in zip(real(), fake, strict=True)])
    loss = {"non-saturating": lambda g: jax.nn.softplus(-g), "hinge": jnp.negative}[kind]
    return _total([loss(g).mean() for g in fake])


def right(kind: str, real: Logits, fake: Logits) -> tuple[jax.Array, jax.Array]:
    """The parts of the real and of the generated ones that were told for what they are; of pairs, both the same."""
    pairs = list(zip(real, fake, strict=True))
    if kind == "relativistic":
        part = _mean_part([x > g for x, g in pairs])
        return part, part
    return _mean_part([x > 0 for x, _ in pairs]), _mean_part([g < 0 for _, g in pairs])


def squared_gradient(judge: Callable[[Logits], Logits], seen: Logits) -> tuple[jax.Array, Logits]:
    """E |dD(x)/dx|^2 by what each discriminator sees, summed over the discriminators; and the logits."""

    def summed(seen: Logits) -> tuple[jax.Array, Logits]:
        logits = judge(seen)
        return _total([each.sum() for each in logits]), logits

    # A logit depends on its own frame or clip alone, so the gradient of their sum is that of each.
    gradients, logits = jax.grad(summed, has_aux=True)(seen)
    return _total([jnp.square(g).sum() / d.size for g, d in zip(gradients, logits, strict=True)]), logits


def _total(values: list[jax.Array]) -> jax.Array:
    return jnp.stack(values).sum()


def _mean_part(hits: list[jax.Array]) -> jax.Array:
    return jnp.stack([hit.mean() for hit in hits]).mean()
