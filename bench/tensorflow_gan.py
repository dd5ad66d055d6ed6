"""The training loop of TensorFlow's DCGAN tutorial, for the recurrent GAN: a step is a tf.function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from bench.scenario import ADVERSARIAL, BATCH, GAN, GAN_LEARNING_RATE, Scenario
from bench.tensorflow_gan_networks import ClipDiscriminator, FrameDiscriminator, Generator
from bench.turns import Turns

Discriminators = Sequence[FrameDiscriminator | ClipDiscriminator]


def judged(discriminator: FrameDiscriminator | ClipDiscriminator, clips: Any, labels: Any) -> tuple[Any, Any]:
    """Logits of a view of the clips, and E |d logit / d seen|^2 / 2."""
    seen, seen_labels = discriminator.view(clips, labels)
    with tf.GradientTape() as tape:
        tape.watch(seen)
        logits = discriminator(seen, seen_labels)
    gradient = tape.gradient(logits, seen)
    return logits, tf.reduce_sum(tf.square(gradient)) / (2 * tf.cast(tf.shape(seen)[0], tf.float32))


def discriminator_loss(
    discriminators: Discriminators, real: Any, fake: Any, labels: Any, penalised: bool
) -> tuple[Any, Any]:
    """The non-saturating loss, and its sum with R1 and R2 where the step has them."""
    loss, extra = tf.zeros(()), tf.zeros(())
    for discriminator in discriminators:
        for clips, sign, weight in ((real, -1, ADVERSARIAL.r1), (fake, 1, ADVERSARIAL.r2)):
            if penalised:
                logits, penalty = judged(discriminator, clips, labels)
                extra += weight * penalty
            else:
                logits = discriminator(*discriminator.view(clips, labels))
            loss += tf.reduce_mean(tf.nn.softplus(sign * logits))
    return loss, loss + ADVERSARIAL.penalty_every * extra


def generator_loss(discriminators: Discriminators, fake: Any, labels: Any) -> Any:
    """The non-saturating loss."""
    logits = [discriminator(*discriminator.view(fake, labels)) for discriminator in discriminators]
    return tf.add_n([tf.reduce_mean(tf.nn.softplus(-each)) for each in logits])


def adam(average: float | None = None) -> keras.optimizers.Adam:
    """Keras's Adam, which also keeps a moving average of what it trains where it is asked to."""
    return keras.optimizers.Adam(
        GAN_LEARNING_RATE,
        ADVERSARIAL.beta_1,
        ADVERSARIAL.beta_2,
        use_ema=average is not None,
        ema_momentum=average or 0.0,
    )


def stepping(generator: Generator, discriminators: Discriminators) -> Callable[[Any, Any, bool], Any]:
    """One update of the discriminators and one of the generator, compiled with and without the penalties."""
    optimiser_d, optimiser_g = adam(), adam(ADVERSARIAL.average)

    @tf.function
    def step(x: Any, y: Any, penalised: bool) -> Any:
        content = tf.random.normal((BATCH, GAN.content))
        noise = tf.random.normal((BATCH, generator.frames, GAN.noise))
        with tf.GradientTape() as generator_tape:
            fake = generator(content, noise, y)
        with tf.GradientTape() as tape:
            loss, whole = discriminator_loss(discriminators, x, fake, y, penalised)
        judging = [weight for each in discriminators for weight in each.trainable_variables]
        optimiser_d.apply_gradients(zip(tape.gradient(whole, judging), judging, strict=True))
        with generator_tape:
            fooled = generator_loss(discriminators, fake, y)
        making = generator.trainable_variables
        optimiser_g.apply_gradients(zip(generator_tape.gradient(fooled, making), making, strict=True))
        return loss

    return step


def run(scenario: Scenario, turns: Turns) -> None:
    """tf.data, and a compiled step for each batch."""
    sample = scenario.sample
    x = scenario.network_input()
    if sample.kind == "image":  # from -1 to 1, as the generator's tanh
        x = 2 * x[:, None] - 1
    batches = tf.data.Dataset.from_tensor_slices((x, scenario.labels))
    batches = batches.shuffle(scenario.samples).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    generator = Generator(sample)
    discriminators: list[FrameDiscriminator | ClipDiscriminator] = [FrameDiscriminator(sample)]
    if sample.kind == "clip":
        discriminators.append(ClipDiscriminator(sample))
    step, steps = stepping(generator, discriminators), 0
    for _ in range(turns.epochs):
        turns.begin()
        total = 0.0
        for batch, labels in batches:
            total += float(step(batch, labels, steps % ADVERSARIAL.penalty_every == 0)) * BATCH
            steps += 1
        turns.end(total / scenario.samples)
