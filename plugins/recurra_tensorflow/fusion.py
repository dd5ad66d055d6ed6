"""The fusion: at each step the features that the CNN sees, joined with the recurrent network's own input."""

from __future__ import annotations

from recurra.contract import ClassifierSpec
from recurra_tensorflow.cnn import FrameFeatures
from recurra_tensorflow.framework import tf
from recurra_tensorflow.rnn import Recurrent, own_steps
from recurra_tensorflow.weights import Variables


class Fusion:
    """Samples [B, T, H, W, C] -> [B, F].

    [x ; h] W is x W_x + h W_h, so nothing is joined; and an image's x W_x is computed once for all of its rows.
    """

    def __init__(self, spec: ClassifierSpec, variables: Variables) -> None:
        self._spec = spec
        self._features = FrameFeatures(spec, variables)
        self._recurrent = Recurrent(spec, variables)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """x [B, T, H, W, C] -> [B, F]."""
        return self._recurrent((self._seen(x), own_steps(x, self._spec)))

    def _seen(self, x: tf.Tensor) -> tf.Tensor:
        """[1, B, F] of an image, [T, B, F] of a clip."""
        frames, *frame = self._spec.sample.array
        features = self._features(tf.reshape(tf.transpose(x, [1, 0, 2, 3, 4]), [-1, *frame]))
        return tf.reshape(features, [frames, -1, features.shape[1]])
