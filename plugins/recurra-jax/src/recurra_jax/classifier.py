"""The classifier: a network, its output layer and its optimiser, trained by one compiled loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from recurra.contract import Batches, ClassifierSpec, StepRecords, Weights
from recurra.optimiser import STEP, check_state
from recurra.weights import check_weights, layout

from recurra_jax import cnn, fusion, graphs, rnn
from recurra_jax.adam import Moments, Rates, adam_step, no_moments, put_moments, rates, read_moments
from recurra_jax.framework import JaxDevice, compiled, jax, waits
from recurra_jax.memory import telling_memory
from recurra_jax.precision import product
from recurra_jax.rooms import Rooms, of_samples
from recurra_jax.steps import over_steps
from recurra_jax.weights import Array, Tree, put, read, zeros

FEATURES = {"cnn": cnn.features, "rnn": rnn.features, "fusion": fusion.features}
ROOMS = Rooms()


class State(NamedTuple):
    """All that a step changes."""

    weights: Tree
    moments: Moments


class Step(NamedTuple):
    """One step of `Batches`, or [S] of them."""

    x: Array
    labels: Array
    rates: Rates
    number: Array
    """Steps taken before it in the training; dropout is drawn from it."""


@compiled(static=("spec",), donated=("state",))
def train_steps(
    state: State, batches: Step, count: int | None, key: jax.Array, spec: ClassifierSpec
) -> tuple[State, tuple[jax.Array, jax.Array]]:
    """The state after the first `count` steps, or all; loss and hits of each."""

    def step(state: State, batch: Step) -> tuple[State, tuple[jax.Array, jax.Array]]:
        def loss(weights: Tree) -> tuple[jax.Array, jax.Array]:
            seen = _dropped(FEATURES[spec.model.kind](weights, batch.x, spec), key, batch.number, spec)
            logits = _output(weights, seen, spec)
            return _cross_entropy(logits, batch.labels), (logits.argmax(axis=1) == batch.labels).sum()

        (value, hits), gradients = jax.value_and_grad(loss, has_aux=True)(state.weights)
        return State(*adam_step(*state, gradients, batch.rates, spec.train)), (value, hits)

    return over_steps(step, state, batches, count)


@compiled(static=("spec",))
def features(weights: Tree, x: jax.Array, spec: ClassifierSpec) -> jax.Array:
    """x [N, T, H, W, C] -> [N, F]."""
    return FEATURES[spec.model.kind](weights, x, spec)


@compiled(static=("spec",))
def logits(weights: Tree, x: jax.Array, spec: ClassifierSpec) -> jax.Array:
    """x [N, T, H, W, C] -> [N, K]."""
    return _output(weights, FEATURES[spec.model.kind](weights, x, spec), spec)


def _output(weights: Tree, features: jax.Array, spec: ClassifierSpec) -> jax.Array:
    return product(features, weights["output.kernel"], spec.train.precision) + weights["output.bias"]


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    chosen = jax.nn.one_hot(labels, logits.shape[1])
    return -(jax.nn.log_softmax(logits) * chosen).sum(axis=1).mean()


def _dropped(features: jax.Array, key: jax.Array, number: jax.Array, spec: ClassifierSpec) -> jax.Array:
    rate = spec.train.dropout
    if not rate:
        return features
    kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - rate, features.shape)
    return jnp.where(kept, features / (1 - rate), 0.0)


class JaxClassifier:
    """`recurra.contract.Classifier` on one JAX device. Equal networks share what is compiled."""

    def __init__(self, spec: ClassifierSpec, device: JaxDevice, seed: int) -> None:
        self.spec, self.device = spec, device
        self._training, self._answers = graphs.of_training(spec), graphs.of_answers(spec)
        shapes = layout(spec)
        self._state = State(zeros(shapes, device), no_moments(shapes, device))
        self._steps_taken = 0
        # Named, so that a user's default for random numbers changes nothing; hashed, for seeds of any size.
        data = np.random.SeedSequence(seed).generate_state(2)
        self._key = jax.random.wrap_key_data(jax.device_put(data, device), impl="threefry2x32")

    @telling_memory
    def train_steps(self, batches: Batches) -> StepRecords:
        """One optimiser step for each batch, all in one call of a compiled loop."""
        count, size = batches.y.shape
        steps = Step(
            batches.x,
            batches.y.astype(np.int32),
            rates(batches.learning_rates, self._steps_taken),
            (batches.first_step + np.arange(count)).astype(np.uint32),
        )
        filled = ROOMS.filled(steps, (self._training, size))
        whole = waits(self.device) and len(filled.labels) == count
        there = jax.device_put(filled, self.device)
        state, records = train_steps(self._state, there, None if whole else count, self._key, self._training)
        # Together, and before the records are waited for: an interruption finds the number of steps that were taken.
        self._state, self._steps_taken = state, self._steps_taken + count
        loss, hits = (each[:count] for each in jax.device_get(records))
        return StepRecords(loss.copy(), hits.astype(np.int64))

    @telling_memory
    def logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, K] float32."""
        return of_samples(lambda there: logits(self._state.weights, there, self._answers), x, self.device)

    @telling_memory
    def features(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, F] float32."""
        return of_samples(lambda there: features(self._state.weights, there, self._answers), x, self.device)

    def weights(self) -> Weights:
        """A copy of every weight in canonical layout."""
        arrays = read(self._state.weights)
        return {name: arrays[name] for name in layout(self.spec)}

    @telling_memory
    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights; an InputError where they are not this network's."""
        check_weights(weights, self.spec, "weights")
        self._state = self._state._replace(weights=put(weights, layout(self.spec), self.device))

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy of Adam's state. There is no `backend.*`: dropout is drawn from the seed and the step's number."""
        return {STEP: np.array(self._steps_taken, np.int64), **read_moments(self._state.moments)}

    @telling_memory
    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over Adam's state from any backend; `backend.*` entries are none of this one's."""
        names = layout(self.spec)
        check_state(state, names)
        moments = put_moments(state, names, self.device)
        self._state, self._steps_taken = self._state._replace(moments=moments), int(state[STEP])
