"""The losses of a GAN, of its discriminators' logits (`recurra.gan_weights` has the equations)."""

from __future__ import annotations

from collections.abc import Callable

from recurra_tensorflow.framework import tf
from recurra_tensorflow.scan import Tensors

Pair = tuple[tf.Tensor, tf.Tensor]


def discriminator_loss(kind: str, real: Tensors, fake: Tensors) -> tf.Tensor:
    """The mean over each discriminator's logits, summed over the discriminators."""
    losses = {
        "non-saturating": lambda x, g: tf.nn.softplus(-x) + tf.nn.softplus(g),
        "hinge": lambda x, g: tf.nn.relu(1.0 - x) + tf.nn.relu(1.0 + g),
        "relativistic": lambda x, g: tf.nn.softplus(g - x),
    }
    return _summed(losses[kind], real, fake)


def generator_loss(kind: str, fake: Tensors, real: Callable[[], Tensors]) -> tf.Tensor:
    """As the discriminators'; the logits of the real samples are asked for only where the loss has them."""
    if kind == "relativistic":
        return _summed(lambda x, g: tf.nn.softplus(x - g), real(), fake)
    loss = {"non-saturating": lambda g: tf.nn.softplus(-g), "hinge": tf.negative}[kind]
    return tf.add_n([tf.reduce_mean(loss(g)) for g in fake])


def right(kind: str, real: Tensors, fake: Tensors) -> Pair:
    """The parts of the real and of the generated ones that were told for what they are; of pairs, both the same."""
    pairs = list(zip(real, fake, strict=True))
    if kind == "relativistic":
        part = _mean_part([x > g for x, g in pairs])
        return part, part
    return _mean_part([x > 0.0 for x, _ in pairs]), _mean_part([g < 0.0 for _, g in pairs])


def gradient_penalty(judge: Callable[[Tensors], Tensors], seen: Tensors) -> tf.Tensor:
    """E |dD(x)/dx|^2 by what each discriminator sees, summed over the discriminators."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(seen)
        logits = judge(seen)
    # A logit depends on its own frame or clip alone, so the gradient of their sum is that of each.
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(logits, seen)]
    pairs = zip(gradients, logits, strict=True)
    return tf.add_n([tf.reduce_sum(tf.square(g)) / tf.cast(tf.size(d), tf.float32) for g, d in pairs])


def _summed(loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], real: Tensors, fake: Tensors) -> tf.Tensor:
    return tf.add_n([tf.reduce_mean(loss(x, g)) for x, g in zip(real, fake, strict=True)])


def _mean_part(hits: list[tf.Tensor]) -> tf.Tensor:
    return tf.reduce_mean([tf.reduce_mean(tf.cast(hit, tf.float32)) for hit in hits])
