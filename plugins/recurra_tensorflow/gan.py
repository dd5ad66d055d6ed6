"""The recurrent GAN: both sides, their optimisers and the average, trained by one graph that holds the whole loop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from recurra.contract import GanBatches, GanRecords, GanSpec, Latents, Weights
from recurra.gan_weights import AVERAGE, is_generators, is_trained
from recurra.optimiser import check_state
from recurra.weights import check_weights, layout
from recurra_tensorflow.adam import Adam
from recurra_tensorflow.augment import Augmentation
from recurra_tensorflow.devices import put
from recurra_tensorflow.discriminators import Discriminators
from recurra_tensorflow.framework import tf
from recurra_tensorflow.generator import Generator
from recurra_tensorflow.losses import discriminator_loss, generator_loss, gradient_penalty, right
from recurra_tensorflow.memory import telling_memory
from recurra_tensorflow.scan import Tensors, scan
from recurra_tensorflow.spectral import VECTOR, SpectralNorm, Vectors
from recurra_tensorflow.weights import Variables

REAL, FAKE, FAKE_AGAIN = range(3)
"""The draws of the augmentation: of the real samples, and of the generated ones in each of the two updates."""


class Step(NamedTuple):
    """One step of `GanBatches`, its fields in the same order, and its number."""

    x: tf.Tensor
    labels: tf.Tensor
    content: tf.Tensor
    noise: tf.Tensor
    frames: tf.Tensor
    augment: tf.Tensor
    penalty: tf.Tensor
    generator_rate: tf.Tensor
    discriminator_rate: tf.Tensor
    done: tf.Tensor
    """t: steps that are done after this one."""


class TensorFlowGan:
    """`recurra.contract.RecurrentGan` on one TensorFlow device; every graph is traced once, for any batch size."""

    def __init__(self, spec: GanSpec, device: str) -> None:
        self._spec, self._settings, self._device = spec, spec.train.gan, device
        betas = (self._settings.beta_1, self._settings.beta_2)
        with tf.device(device):
            self._generator_weights = Variables(spec, "weights", is_generators)
            self._average_weights = self._generator_weights.twin("averages")
            self._discriminator_weights = Variables(
                spec, "weights", lambda name: is_trained(name) and not is_generators(name)
            )
            self._vectors = Variables(spec, "weights", lambda name: name.endswith(VECTOR))
            self._generator_adam = Adam(spec, self._generator_weights, betas)
            self._discriminator_adam = Adam(spec, self._discriminator_weights, betas)
        self._generator = Generator(spec, self._generator_weights)
        self._average = Generator(spec, self._average_weights)
        self._discriminators = Discriminators(spec)
        self._normed = SpectralNorm(self._discriminator_weights, self._vectors)
        self._augmented = Augmentation(spec)
        self._trace()

    def train_steps(self, batches: GanBatches) -> GanRecords:
        """Both updates for each batch, all in one call into TensorFlow."""
        done = np.arange(1, len(batches.x) + 1, dtype=np.int64) + batches.first_step
        arrays = (
            batches.x,
            batches.y,
            batches.content,
            batches.noise,
            batches.frames,
            batches.augment,
            batches.penalty,
            batches.generator_rates,
            batches.discriminator_rates,
            done,
        )
        with telling_memory(self._device):
            records = self._graph_steps(*self._put(*arrays))
            return GanRecords(*(record.numpy() for record in records))

    def generate(self, latents: Latents, labels: np.ndarray) -> np.ndarray:
        """labels [N] -> [N, T, H, W, C], of the averaged weights."""
        with telling_memory(self._device):
            return self._graph_generate(*self._put(latents.noise, latents.content, labels)).numpy()

    def judge(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """x [N, T, H, W, C], labels [N] -> the logits of every frame [N, T], and of the clips [N]."""
        with telling_memory(self._device):
            frames, *clips = (logits.numpy() for logits in self._graph_judge(*self._put(x, labels)))
        return frames, clips[0][:, 0] if clips else None

    def weights(self) -> Weights:
        """A copy of every weight in canonical layout."""
        arrays = self._generator_weights.arrays() | self._discriminator_weights.arrays() | self._vectors.arrays()
        arrays |= {f"{AVERAGE}{name}": array for name, array in self._average_weights.arrays().items()}
        return {name: arrays[name] for name in layout(self._spec)}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights; an InputError where they are not this network's."""
        check_weights(weights, self._spec, "weights")
        averages = {name.removeprefix(AVERAGE): a for name, a in weights.items() if name.startswith(AVERAGE)}
        with telling_memory(self._device):
            for variables in (self._generator_weights, self._discriminator_weights, self._vectors):
                variables.load(weights)
            self._average_weights.load(averages)

    def training_state(self) -> dict[str, np.ndarray]:
        """The optimisers' state. There is no `backend.*`: all that is random comes with the batches."""
        return self._generator_adam.state() | self._discriminator_adam.state()

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over the optimisers' state from any backend; `backend.*` entries are none of this one's."""
        check_state(state, {name: shape for name, shape in layout(self._spec).items() if is_trained(name)})
        with telling_memory(self._device):
            self._generator_adam.load_state(state)
            self._discriminator_adam.load_state(state)

    def _put(self, *arrays: np.ndarray) -> Tensors:
        return tuple(put(array, self._device) for array in arrays)

    def _trace(self) -> None:
        """The graphs, to be built when they are first called."""
        gan, sample = self._spec.model.gan, self._spec.sample.array
        chosen = min(self._settings.frames, sample[0])
        numbers, labels = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.int64)
        samples = tf.TensorSpec([None, *sample], tf.float32)
        latents = [tf.TensorSpec([None, sample[0], gan.noise]), tf.TensorSpec([None, gan.content])]
        steps = [
            tf.TensorSpec([None, None, *sample], tf.float32),
            tf.TensorSpec([None, None], tf.int64),
            tf.TensorSpec([None, None, gan.content], tf.float32),
            tf.TensorSpec([None, None, sample[0], gan.noise], tf.float32),
            tf.TensorSpec([None, None, chosen], tf.int64),
            tf.TensorSpec([None, 3, None, 5], tf.float32),
            *[numbers] * 3,
            tf.TensorSpec([None], tf.int64),
        ]
        self._graph_steps = tf.function(self._steps, input_signature=steps, autograph=False)
        self._graph_generate = tf.function(self._generate, input_signature=[*latents, labels], autograph=False)
        self._graph_judge = tf.function(self._judge, input_signature=[samples, labels], autograph=False)

    def _generate(self, noise: tf.Tensor, content: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.device(self._device):
            return self._average(noise, content, labels)

    def _judge(self, x: tf.Tensor, labels: tf.Tensor) -> Tensors:
        with tf.device(self._device):
            frames = self._spec.sample.frames
            every = tf.broadcast_to(tf.range(frames), [tf.shape(x)[0], frames])
            weights = self._normed.weights(self._normed.current())
            return self._discriminators(weights, self._discriminators.seen(x, every), labels)

    def _steps(self, *batches: tf.Tensor) -> Tensors:
        with tf.device(self._device):
            return scan(self._step, (), batches, [tf.TensorSpec([], tf.float32)] * 5)[1]

    def _step(self, carry: Tensors, batch: Tensors) -> tuple[Tensors, Tensors]:
        step, generators = Step(*batch), self._generator_weights.all()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(generators)
            samples = self._generator(step.noise, step.content, step.labels)
        real, fake = self._seen(step.x, step, REAL), self._seen(samples, step, FAKE)
        judged, penalty, *rights = self._update_discriminators(step, real, fake)
        made, upstream = self._generator_loss(step, real, samples)
        gradients = tape.gradient([samples], generators, [upstream])
        self._generator_adam.apply([tf.convert_to_tensor(g) for g in gradients], step.generator_rate)
        self._follow(step.done)
        return carry, (judged, made, penalty, *rights)

    def _seen(self, x: tf.Tensor, step: Step, which: int) -> Tensors:
        """What the discriminators see of samples, augmented by one of the step's three draws."""
        return self._discriminators.seen(self._augmented(x, step.augment[which]), step.frames)

    def _update_discriminators(self, step: Step, real: Tensors, fake: Tensors) -> Tensors:
        """(loss, penalty, right of the real, right of the generated), all before the update."""
        kind, judges, vectors = self._settings.loss, self._discriminator_weights.all(), self._normed.advanced()
        both = tuple(tf.concat(pair, axis=0) for pair in zip(real, fake, strict=True))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(judges)
            logits = self._discriminators(self._normed.weights(vectors), both, tf.tile(step.labels, [2]))
            of_real, of_fake = zip(*(tf.split(each, 2) for each in logits), strict=True)
            loss = discriminator_loss(kind, of_real, of_fake)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, judges)]
        penalty, gradients = self._penalised(gradients, step, real, fake, vectors)
        self._discriminator_adam.apply(gradients, step.discriminator_rate)
        return loss, penalty, *right(kind, of_real, of_fake)

    def _penalised(
        self, gradients: list[tf.Tensor], step: Step, real: Tensors, fake: Tensors, vectors: Vectors
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """R1 and R2, and the gradients with theirs added; neither is computed in a step whose factor is 0."""
        halves = [(gamma / 2, seen) for gamma, seen in ((self._settings.r1, real), (self._settings.r2, fake)) if gamma]
        if not halves:
            return tf.zeros([]), gradients

        def with_penalties() -> tuple[tf.Tensor, list[tf.Tensor]]:
            judges = self._discriminator_weights.all()
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(judges)
                judge = partial(self._discriminators, self._normed.weights(vectors), labels=step.labels)
                penalty = tf.add_n([half * gradient_penalty(judge, seen) for half, seen in halves])
            # Biases have no part in it.
            pairs = zip(gradients, tape.gradient(penalty, judges), strict=True)
            return penalty, [g if p is None else g + step.penalty * tf.convert_to_tensor(p) for g, p in pairs]

        return tf.cond(step.penalty > 0.0, with_penalties, lambda: (tf.zeros([]), gradients))

    def _generator_loss(self, step: Step, real: Tensors, samples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The generator's loss by the discriminators as they are now, and its gradient at the samples."""
        judge = partial(self._discriminators, self._normed.weights(self._normed.current()), labels=step.labels)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(samples)
            fake = judge(self._seen(samples, step, FAKE_AGAIN))
            loss = generator_loss(self._settings.loss, fake, lambda: judge(real))
        return loss, tf.convert_to_tensor(tape.gradient(loss, samples))

    def _follow(self, done: tf.Tensor) -> None:
        """One step of the moving average."""
        done = tf.cast(done, tf.float32)
        decay = tf.minimum(self._settings.average, (1.0 + done) / (10.0 + done))
        for average, weight in zip(self._average_weights.all(), self._generator_weights.all(), strict=True):
            average.assign(decay * average + (1.0 - decay) * weight)
