"""The classifier: a network, its output layer and its optimiser, trained by one graph that holds the whole loop."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recurra.contract import Batches, ClassifierSpec, StepRecords, Weights
from recurra.optimiser import check_state
from recurra.weights import check_weights, layout
from recurra_tensorflow.adam import Adam
from recurra_tensorflow.cnn import Cnn
from recurra_tensorflow.devices import put
from recurra_tensorflow.framework import tf
from recurra_tensorflow.fusion import Fusion
from recurra_tensorflow.memory import telling_memory
from recurra_tensorflow.precision import Precision
from recurra_tensorflow.replicas import Shard, divided, shards, strategy_of, summed
from recurra_tensorflow.rnn import Rnn
from recurra_tensorflow.scan import Tensors, scan
from recurra_tensorflow.weights import Variables

NETWORKS = {"cnn": Cnn, "rnn": Rnn, "fusion": Fusion}


class TensorFlowClassifier:
    """`recurra.contract.Classifier` on TensorFlow devices; every graph is traced once, for any batch size.

    Each device has a replica: the weights, the optimiser and its part of every batch. The gradients are summed over the
    replicas before the optimiser sees them, so that all replicas take the same step and stay equal by themselves.
    """

    def __init__(self, spec: ClassifierSpec, devices: tuple[str, ...], seed: int) -> None:
        self._spec, self._train, self._devices, self._seed = spec, spec.train, devices, seed
        self._precision = Precision.of(spec.train.precision)
        self._strategy = strategy_of(devices)
        with self._strategy.scope():
            self._variables = Variables(spec, "weights")
            self._adam = Adam(spec, self._variables)
        self._network = NETWORKS[spec.model.kind](spec, self._variables)
        sample = spec.sample.array
        samples = tf.TensorSpec([None, *sample], tf.float32)
        steps = [
            (tf.TensorSpec([None, None, *sample], tf.float32),) * len(devices),
            (tf.TensorSpec([None, None], tf.int64),) * len(devices),
            tf.TensorSpec([None], tf.float32),
        ]
        self._graph_steps = tf.function(self._steps, input_signature=steps, autograph=False)
        self._graph_logits = tf.function(self._logits, input_signature=[samples], autograph=False)
        self._graph_features = tf.function(self._features, input_signature=[samples], autograph=False)

    def train_steps(self, batches: Batches) -> StepRecords:
        """One optimiser step for each batch, all in one call into TensorFlow.

        After a DeviceMemoryError some replicas may be a step ahead: load weights and state before going on.
        """
        with telling_memory(*self._devices):
            x, y = divided(batches.x, batches.y, self._devices)
            loss, correct = self._graph_steps(x, y, batches.learning_rates)
            return StepRecords(loss.numpy(), correct.numpy())

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, K]."""
        with telling_memory(self._devices[0]):
            return self._graph_logits(put(x, self._devices[0])).numpy()

    def features(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, F]."""
        with telling_memory(self._devices[0]):
            return self._graph_features(put(x, self._devices[0])).numpy()

    def weights(self) -> Weights:
        """A copy of every weight in canonical layout."""
        return self._variables.arrays()

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights; an InputError where they are not this network's."""
        check_weights(weights, self._spec, "weights")
        with telling_memory(*self._devices):
            self._variables.load(weights)

    def training_state(self) -> dict[str, np.ndarray]:
        """The optimiser's state. There is no `backend.*`: dropout is drawn from the seed and the step's number."""
        return self._adam.state()

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over the optimiser's state from any backend; `backend.*` entries are none of this one's."""
        check_state(state, layout(self._spec))
        with telling_memory(*self._devices):
            self._adam.load_state(state)

    def _steps(self, x: Tensors, y: Tensors, learning_rates: tf.Tensor) -> Tensors:
        own = shards(self._strategy, x, y)

        def step(carry: Tensors, now: Tensors) -> tuple[Tensors, Tensors]:
            records = self._strategy.run(self._step, (own, *now))
            return carry, tuple(self._strategy.experimental_local_results(record)[0] for record in records)

        specs = [tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.int64)]
        with tf.device(self._devices[0]):
            numbers = tf.range(tf.size(learning_rates))
            return scan(step, (), (numbers, learning_rates), specs)[1]

    def _step(self, shard: Shard, number: tf.Tensor, learning_rate: tf.Tensor) -> Tensors:
        """A replica's part of one step, in step with the others: the loss and the hits of the whole batch."""
        x, y, weights = shard.x[number], shard.y[number], self._variables.all()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            logits = self._output(self._dropped(self._network(x), shard))[: tf.size(y)]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            loss = tf.reduce_sum(losses) / tf.cast(shard.batch, tf.float32)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, weights)]
        # A float32 counts exactly far beyond any batch, and one exchange is of one dtype.
        hits = tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, axis=1), y), tf.float32))
        loss, hits, *gradients = summed([loss, hits, *gradients])
        self._adam.apply(gradients, learning_rate)
        return loss, tf.cast(hits, tf.int64)

    def _dropped(self, features: tf.Tensor, shard: Shard) -> tf.Tensor:
        """Dropout whose mask is drawn for the whole batch: the same however it is divided."""
        if not self._train.dropout:
            return features
        key = tf.stack([tf.constant(self._seed, tf.int64), tf.identity(self._adam.step)])
        samples, width = tf.unstack(tf.shape(features))
        drawn = tf.random.stateless_uniform(tf.stack([shard.batch, width]), key, alg="philox")
        own = drawn[shard.first : shard.first + samples]
        return tf.where(own >= self._train.dropout, features * (1 / (1 - self._train.dropout)), 0.0)

    def _output(self, features: tf.Tensor) -> tf.Tensor:
        product = self._precision.matmul(features, self._variables["output.kernel"])
        return tf.nn.bias_add(product, self._variables["output.bias"])

    def _features(self, x: tf.Tensor) -> tf.Tensor:
        with tf.device(self._devices[0]):
            return self._network(x)

    def _logits(self, x: tf.Tensor) -> tf.Tensor:
        with tf.device(self._devices[0]):
            return self._output(self._network(x))
