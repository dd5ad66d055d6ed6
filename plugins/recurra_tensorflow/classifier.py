"""The classifier: a network, its output layer and its optimiser, trained by one graph that holds the whole loop."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recurra.contract import Batches, ClassifierSpec, StepRecords, Weights
from recurra.optimiser import check_state
from recurra.weights import check_weights, layout
from recurra_tensorflow.adam import Adam
from recurra_tensorflow.cnn import Cnn
from recurra_tensorflow.framework import tf
from recurra_tensorflow.fusion import Fusion
from recurra_tensorflow.precision import Precision
from recurra_tensorflow.rnn import Rnn
from recurra_tensorflow.scan import Tensors, scan
from recurra_tensorflow.weights import Variables

NETWORKS = {"cnn": Cnn, "rnn": Rnn, "fusion": Fusion}


class TensorFlowClassifier:
    """`recurra.contract.Classifier` on one TensorFlow device; every graph is traced once, for any batch size."""

    def __init__(self, spec: ClassifierSpec, device: str, seed: int) -> None:
        self._spec, self._train, self._device, self._seed = spec, spec.train, device, seed
        self._precision = Precision.of(spec.train.precision)
        with tf.device(device):
            self._variables = Variables(spec, "weights")
            self._adam = Adam(spec, self._variables)
        self._network = NETWORKS[spec.model.kind](spec, self._variables)
        sample = spec.sample.array
        samples = tf.TensorSpec([None, *sample], tf.float32)
        steps = [
            tf.TensorSpec([None, None, *sample], tf.float32),
            tf.TensorSpec([None, None], tf.int64),
            tf.TensorSpec([None], tf.float32),
        ]
        self._graph_steps = tf.function(self._steps, input_signature=steps, autograph=False)
        self._graph_logits = tf.function(self._logits, input_signature=[samples], autograph=False)
        self._graph_features = tf.function(self._features, input_signature=[samples], autograph=False)

    def train_steps(self, batches: Batches) -> StepRecords:
        """One optimiser step for each batch, all in one call into TensorFlow."""
        loss, correct = self._graph_steps(batches.x, batches.y, batches.learning_rates)
        return StepRecords(loss.numpy(), correct.numpy())

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, K]."""
        return self._graph_logits(x).numpy()

    def features(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, F]."""
        return self._graph_features(x).numpy()

    def weights(self) -> Weights:
        """A copy of every weight in canonical layout."""
        return self._variables.arrays()

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights; an InputError where they are not this network's."""
        check_weights(weights, self._spec, "weights")
        self._variables.load(weights)

    def training_state(self) -> dict[str, np.ndarray]:
        """The optimiser's state. There is no `backend.*`: dropout is drawn from the seed and the step's number."""
        return self._adam.state()

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over the optimiser's state from any backend; `backend.*` entries are none of this one's."""
        check_state(state, layout(self._spec))
        self._adam.load_state(state)

    def _steps(self, x: tf.Tensor, y: tf.Tensor, learning_rates: tf.Tensor) -> Tensors:
        with tf.device(self._device):
            specs = [tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.int64)]
            return scan(self._step, (), (x, y, learning_rates), specs)[1]

    def _step(self, carry: Tensors, batch: Tensors) -> tuple[Tensors, Tensors]:
        x, y, learning_rate = batch
        weights = self._variables.all()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            logits = self._output(self._dropped(self._network(x)))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            loss = tf.reduce_mean(losses)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, weights)]
        self._adam.apply(gradients, learning_rate)
        correct = tf.math.count_nonzero(tf.equal(tf.argmax(logits, axis=1), y))
        return carry, (loss, correct)

    def _dropped(self, features: tf.Tensor) -> tf.Tensor:
        if not self._train.dropout:
            return features
        key = tf.stack([tf.constant(self._seed, tf.int64), tf.identity(self._adam.step)])
        return tf.nn.experimental.stateless_dropout(features, self._train.dropout, key, rng_alg="philox")

    def _output(self, features: tf.Tensor) -> tf.Tensor:
        product = self._precision.matmul(features, self._variables["output.kernel"])
        return tf.nn.bias_add(product, self._variables["output.bias"])

    def _features(self, x: tf.Tensor) -> tf.Tensor:
        with tf.device(self._device):
            return self._network(x)

    def _logits(self, x: tf.Tensor) -> tf.Tensor:
        with tf.device(self._device):
            return self._output(self._network(x))
