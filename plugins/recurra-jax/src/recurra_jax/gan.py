"""The recurrent GAN: both sides, their optimisers and the average, trained by one compiled loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from jax import lax
from recurra.contract import GanBatches, GanRecords, GanSpec, Latents, Weights
from recurra.gan_weights import AVERAGE, is_generators, is_trained
from recurra.optimiser import STEP, check_state
from recurra.weights import check_weights, layout

from recurra_jax import graphs
from recurra_jax.adam import Moments, Rates, adam_step, no_moments, put_moments, rates, read_moments
from recurra_jax.augment import Changes, augmented, changes
from recurra_jax.discriminators import Seen, judged, seen
from recurra_jax.framework import JaxDevice, compiled, jax, waits
from recurra_jax.generator import generate
from recurra_jax.judgement import Judgement, judgement, penalised
from recurra_jax.losses import generator_loss
from recurra_jax.memory import telling_memory
from recurra_jax.rooms import Rooms, of_samples
from recurra_jax.spectral import VECTOR, Vectors, advanced, current, normed
from recurra_jax.steps import over_steps
from recurra_jax.weights import Array, Tree, put, read, zeros

REAL, FAKE, FAKE_AGAIN = range(3)
"""The draws of the augmentation: of the real samples, and of the generated ones in each of the two updates."""
ROOMS = Rooms()
Records = dict[str, jax.Array]
"""The fields of `GanRecords`."""


class Side(NamedTuple):
    """What an optimiser moves, and its moments."""

    weights: Tree
    moments: Moments


class State(NamedTuple):
    """All that a step changes."""

    generator: Side
    discriminators: Side
    vectors: Tree
    """Of spectral normalisation, `NAME.u`."""
    average: Tree
    """Under the names of the generator's weights."""


class Step(NamedTuple):
    """One step of `GanBatches`, or [S] of them."""

    x: Array
    labels: Array
    content: Array
    noise: Array
    frames: Array
    changes: Changes
    """[3, B]."""
    penalty: Array
    generator_rates: Rates
    discriminator_rates: Rates
    decay: Array
    """d of the moving average."""


@compiled(static=("spec",), donated=("state",))
def train_steps(state: State, batches: Step, count: int | None, spec: GanSpec) -> tuple[State, Records]:
    """The state after the first `count` steps, or all, and the records of each."""
    return over_steps(partial(_step, spec=spec), state, batches, count)


def _step(state: State, step: Step, spec: GanSpec) -> tuple[State, Records]:
    latents = (step.noise, step.content, step.labels)
    samples, pull = jax.vjp(lambda weights: generate(weights, *latents, spec), state.generator.weights)
    real, fake = _seen(step.x, step, REAL, spec), _seen(samples, step, FAKE, spec)
    vectors = advanced(state.discriminators.weights, state.vectors)
    discriminators, start = _teach_discriminators(state.discriminators, vectors, real, fake, step, spec)
    latest = {name + VECTOR: u for name, (u, _) in vectors.items()}
    made, upstream = _generator_loss(discriminators.weights, latest, real, samples, step, spec)
    generator = _updated(state.generator, pull(upstream)[0], step.generator_rates, spec)
    average = {
        name: step.decay * state.average[name] + (1 - step.decay) * weight for name, weight in generator.weights.items()
    }
    records = {
        "discriminator_loss": start.loss,
        "generator_loss": made,
        "penalty": start.penalty,
        "real_right": start.real_right,
        "fake_right": start.fake_right,
    }
    return State(generator, discriminators, latest, average), records


def _seen(x: jax.Array, step: Step, which: int, spec: GanSpec) -> Seen:
    """What the discriminators see of samples, augmented by one of the step's three draws."""
    own = jax.tree.map(lambda draws: draws[which], step.changes)
    return seen(augmented(x, own, spec), step.frames, spec)


def _updated(side: Side, gradients: Tree, rates: Rates, spec: GanSpec) -> Side:
    return Side(*adam_step(*side, gradients, rates, spec.train, _betas(spec)))


def _betas(spec: GanSpec) -> tuple[float, float]:
    return spec.train.gan.beta_1, spec.train.gan.beta_2


def _teach_discriminators(
    side: Side, vectors: Vectors, real: Seen, fake: Seen, step: Step, spec: GanSpec
) -> tuple[Side, Judgement]:
    """The discriminators after their update, and what it started from."""

    def start(judge: Callable[[Tree, Seen, Seen, jax.Array, GanSpec], Judgement]) -> tuple[Tree, Judgement]:
        def loss(weights: Tree) -> tuple[jax.Array, Judgement]:
            found = judge(normed(weights, vectors), real, fake, step.labels, spec)
            return found.loss + step.penalty * found.penalty, found

        return jax.grad(loss, has_aux=True)(side.weights)

    if spec.train.gan.r1 or spec.train.gan.r2:
        # Neither is computed in a step whose factor is 0.
        gradients, found = lax.cond(step.penalty > 0, lambda: start(penalised), lambda: start(judgement))
    else:
        gradients, found = start(judgement)
    return _updated(side, gradients, step.discriminator_rates, spec), found


def _generator_loss(
    discriminators: Tree, vectors: Tree, real: Seen, samples: jax.Array, step: Step, spec: GanSpec
) -> tuple[jax.Array, jax.Array]:
    """The generator's loss by the discriminators as they are now, and its gradient at the samples."""
    weights = normed(discriminators, current(discriminators, vectors))

    def loss(samples: jax.Array) -> jax.Array:
        fake = judged(weights, _seen(samples, step, FAKE_AGAIN, spec), step.labels, spec)
        return generator_loss(spec.train.gan.loss, fake, lambda: judged(weights, real, step.labels, spec))

    return jax.value_and_grad(loss)(samples)


@compiled(static=("spec",))
def samples_of(average: Tree, noise: jax.Array, content: jax.Array, labels: jax.Array, spec: GanSpec) -> jax.Array:
    """labels [N] -> [N, T, H, W, C]."""
    return generate(average, noise, content, labels, spec)


@compiled(static=("spec",))
def logits_of(weights: Tree, vectors: Tree, x: jax.Array, labels: jax.Array, spec: GanSpec) -> tuple[jax.Array, ...]:
    """x [N, T, H, W, C] -> the logits of every frame [N, T], and of clips [N, 1]."""
    return judged(normed(weights, current(weights, vectors)), seen(x, None, spec), labels, spec)


def _fresh(shapes: Mapping[str, tuple[int, ...]], device: JaxDevice) -> Side:
    return Side(zeros(shapes, device), no_moments(shapes, device))


class JaxGan:
    """`recurra.contract.RecurrentGan` on one JAX device. Equal GANs share what is compiled."""

    def __init__(self, spec: GanSpec, device: JaxDevice) -> None:
        self.spec, self.device = spec, device
        self._training, self._answers = graphs.of_training(spec), graphs.of_answers(spec)
        shapes = layout(spec)
        self._trained = {name: shape for name, shape in shapes.items() if is_trained(name)}
        generator = {name: shape for name, shape in self._trained.items() if is_generators(name)}
        discriminators = {name: shape for name, shape in self._trained.items() if not is_generators(name)}
        vectors = {name: shape for name, shape in shapes.items() if name.endswith(VECTOR)}
        sides = _fresh(generator, device), _fresh(discriminators, device)
        self._state = State(sides[0], sides[1], zeros(vectors, device), zeros(generator, device))
        self._steps_taken = 0

    @telling_memory
    def train_steps(self, batches: GanBatches) -> GanRecords:
        """Both updates for each batch, all in one call of a compiled loop."""
        count, size = batches.y.shape
        filled = ROOMS.filled(self._steps(batches), (self._training, size))
        whole = waits(self.device) and len(filled.labels) == count
        there = jax.device_put(filled, self.device)
        state, records = train_steps(self._state, there, None if whole else count, self._training)
        # Together, and before the records are waited for: an interruption finds the number of steps that were taken.
        self._state, self._steps_taken = state, self._steps_taken + count
        return GanRecords(**{name: values[:count].copy() for name, values in jax.device_get(records).items()})

    def _steps(self, batches: GanBatches) -> Step:
        done = batches.first_step + np.arange(1.0, len(batches.x) + 1)
        return Step(
            batches.x,
            batches.y.astype(np.int32),
            batches.content,
            batches.noise,
            batches.frames.astype(np.int32),
            changes(batches.augment, self.spec),
            batches.penalty,
            rates(batches.generator_rates, self._steps_taken, _betas(self.spec)),
            rates(batches.discriminator_rates, self._steps_taken, _betas(self.spec)),
            np.minimum(self.spec.train.gan.average, (1 + done) / (10 + done)).astype(np.float32),
        )

    @telling_memory
    def generate(self, latents: Latents, labels: np.ndarray) -> np.ndarray:
        """labels [N] -> samples [N, T, H, W, C] float32, of the averaged weights."""
        given = (latents.noise, latents.content, labels.astype(np.int32))
        return of_samples(lambda there: samples_of(self._state.average, *there, spec=self._answers), given, self.device)

    @telling_memory
    def judge(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The discriminators' logits: of every frame [N, T], and of the clips [N] or None."""
        weights, vectors = self._state.discriminators.weights, self._state.vectors
        given = (x, labels.astype(np.int32))
        frames, *clips = of_samples(
            lambda there: logits_of(weights, vectors, *there, spec=self._answers), given, self.device
        )
        return frames, clips[0][:, 0] if clips else None

    def weights(self) -> Weights:
        """A copy of every weight in canonical layout."""
        state = self._state
        arrays = read(state.generator.weights | state.discriminators.weights | state.vectors)
        arrays |= read(state.average, AVERAGE)
        return {name: arrays[name] for name in layout(self.spec)}

    @telling_memory
    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights; an InputError where they are not this network's."""
        check_weights(weights, self.spec, "weights")
        state = self._state
        generator, discriminators = (
            side._replace(weights=put(weights, side.weights, self.device))
            for side in (state.generator, state.discriminators)
        )
        average = put(weights, state.average, self.device, AVERAGE)
        self._state = State(generator, discriminators, put(weights, state.vectors, self.device), average)

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy of both optimisers' states. There is no `backend.*`: all that is random comes with the batches."""
        moments = read_moments(self._state.generator.moments) | read_moments(self._state.discriminators.moments)
        return {STEP: np.array(self._steps_taken, np.int64), **moments}

    @telling_memory
    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over both optimisers' states from any backend; `backend.*` entries are none of this one's."""
        check_state(state, self._trained)
        generator, discriminators = (
            side._replace(moments=put_moments(state, side.weights, self.device))
            for side in (self._state.generator, self._state.discriminators)
        )
        self._state = self._state._replace(generator=generator, discriminators=discriminators)
        self._steps_taken = int(state[STEP])
