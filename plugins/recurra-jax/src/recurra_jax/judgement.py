"""What the discriminators' update starts from: their loss, its penalties, and how often they were right."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from recurra.contract import GanSpec

from recurra_jax.discriminators import Seen, judged
from recurra_jax.framework import jax
from recurra_jax.losses import Logits, discriminator_loss, right, squared_gradient
from recurra_jax.weights import Tree


class Judgement(NamedTuple):
    """What the discriminators' update starts from, scalars."""

    loss: jax.Array
    """Without penalties."""
    penalty: jax.Array
    """Without the step's factor."""
    real_right: jax.Array
    fake_right: jax.Array


def judgement(weights: Tree, real: Seen, fake: Seen, labels: jax.Array, spec: GanSpec) -> Judgement:
    """By normalised weights; real and generated ones in one pass."""
    both = jax.tree.map(lambda one, other: jnp.concatenate([one, other]), real, fake)
    logits = judged(weights, both, jnp.concatenate([labels, labels]), spec)
    of_real, of_fake = (tuple(jnp.split(each, 2)[half] for each in logits) for half in (0, 1))
    return _told(of_real, of_fake, jnp.zeros((), jnp.float32), spec)


def penalised(weights: Tree, real: Seen, fake: Seen, labels: jax.Array, spec: GanSpec) -> Judgement:
    """The same with R1 and R2; logits and penalty of the same samples come from one pass."""
    settings, logits, penalty = spec.train.gan, [], jnp.zeros((), jnp.float32)
    judge = partial(judged, weights, labels=labels, spec=spec)
    for gamma, samples in ((settings.r1, real), (settings.r2, fake)):
        if gamma:
            squared, found = squared_gradient(judge, samples)
            penalty += gamma / 2 * squared
        else:
            found = judge(samples)
        logits.append(found)
    return _told(logits[0], logits[1], penalty, spec)


def _told(real: Logits, fake: Logits, penalty: jax.Array, spec: GanSpec) -> Judgement:
    kind = spec.train.gan.loss
    return Judgement(discriminator_loss(kind, real, fake), penalty, *right(kind, real, fake))
