"""The convolutional network: features of single frames."""

from __future__ import annotations

import math

from recurra.contract import ClassifierSpec
from recurra.weights import feature_map
from recurra_tensorflow.framework import tf
from recurra_tensorflow.precision import Padding, Precision
from recurra_tensorflow.weights import Variables

PADDING: dict[str, Padding] = {"same": "SAME", "valid": "VALID"}


class FrameFeatures:
    """Convolutions, ReLU and max pooling, then dense layers: frames [N, H, W, C] -> [N, F] float32."""

    def __init__(self, spec: ClassifierSpec, variables: Variables) -> None:
        self._cnn = spec.model.cnn
        self._flat = math.prod(feature_map(spec))
        self._variables = variables
        self._precision = Precision.of(spec.train.precision)

    def __call__(self, frames: tf.Tensor) -> tf.Tensor:
        """Frames [N, H, W, C] -> [N, F]."""
        x, w = frames, self._variables
        for number, _ in enumerate(self._cnn.channels, 1):
            x = self._convolution(x, w[f"cnn.conv{number}.kernel"], w[f"cnn.conv{number}.bias"])
        x = tf.cast(tf.reshape(x, [-1, self._flat]), tf.float32)
        for number, _ in enumerate(self._cnn.dense, 1):
            y = self._precision.matmul(x, w[f"cnn.dense{number}.kernel"])
            x = tf.nn.relu(tf.nn.bias_add(y, w[f"cnn.dense{number}.bias"]))
        return x

    def _convolution(self, x: tf.Tensor, kernel: tf.Variable, bias: tf.Variable) -> tf.Tensor:
        y = self._precision.conv(x, kernel, bias, PADDING[self._cnn.padding])
        if self._cnn.pool > 1:
            y = tf.nn.max_pool2d(y, self._cnn.pool, self._cnn.pool, "VALID")
        # The maximum of ReLUs is the ReLU of the maximum, on pool * pool times fewer numbers.
        return tf.nn.relu(y)


class Cnn:
    """Samples [B, T, H, W, C] -> [B, F]: the features of each frame, averaged over time."""

    def __init__(self, spec: ClassifierSpec, variables: Variables) -> None:
        self._shape = spec.sample.array
        self._features = FrameFeatures(spec, variables)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """x [B, T, H, W, C] -> [B, F]."""
        frames, *frame = self._shape
        features = self._features(tf.reshape(x, [-1, *frame]))
        if frames == 1:
            return features
        return tf.reduce_mean(tf.reshape(features, [-1, frames, features.shape[1]]), axis=1)
