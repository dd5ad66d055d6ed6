"""The generator: a recurrent network over noise, and each of its hidden states turned into a frame."""

from __future__ import annotations

from recurra.contract import GanSpec
from recurra.gan_weights import start_map
from recurra_tensorflow.bounds import Bounds
from recurra_tensorflow.framework import tf
from recurra_tensorflow.rnn import Recurrent
from recurra_tensorflow.shapes import sizes
from recurra_tensorflow.weights import Variables

EPSILON = 1e-5


class Generator:
    """Samples [B, T, H, W, C] of noise, content and labels (the equations stand in `recurra.gan_weights`).

    What is the same at every step, [content ; embedding], has rows of its own in each kernel that multiplies it, and is
    multiplied once for a whole clip.
    """

    def __init__(self, spec: GanSpec, variables: Variables) -> None:
        self._spec = spec
        self._variables = variables
        self._bounds = Bounds(spec)
        self._recurrent = Recurrent(spec, variables, "generator.rnn")

    def __call__(self, noise: tf.Tensor, content: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """noise [B, T, noise], content [B, content], labels [B] -> [B, T, H, W, C]."""
        classes = tf.one_hot(labels, self._spec.classes)
        code = tf.concat([content, tf.matmul(classes, self._variables["generator.embedding"])], axis=1)
        hidden = self._recurrent.states((tf.transpose(noise, [1, 0, 2]), code[tf.newaxis]))
        # From here on samples come first, as in what is made: [B, T, .], and the code for all steps [B, 1, .].
        latents = (tf.transpose(hidden, [1, 0, 2]), code[:, tf.newaxis])
        return tf.reshape(self._bounds.within(self._frames(latents)), [-1, *self._spec.sample.array])

    def _frames(self, latents: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """[B, T, .] and [B, 1, .] -> frames before their bounds [B T, H, W, C]."""
        sample, w = self._spec.sample, self._variables
        a = tf.reshape(self._linear("generator.start", latents), [-1, *start_map(self._spec)])
        for number, _ in enumerate(self._spec.model.gan.channels, 1):
            modulation = self._linear(f"generator.norm{number}", latents)
            a = tf.nn.relu(_normed(a, tf.reshape(modulation, [-1, 1, 1, sizes(modulation)[1]])))
            a = tf.nn.bias_add(_doubled(a, w[f"generator.conv{number}.kernel"]), w[f"generator.conv{number}.bias"])
        return a[:, : sample.height, : sample.width]

    def _linear(self, name: str, latents: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """l_t kernel + bias: [B, T, .]."""
        hidden, code = latents
        of_hidden, of_code = self._variables.blocks(f"{name}.kernel")
        constant = tf.tensordot(code, of_code, 1) + self._variables[f"{name}.bias"]
        return tf.tensordot(hidden, of_hidden, 1) + constant


def _normed(a: tf.Tensor, modulation: tf.Tensor) -> tf.Tensor:
    """Adaptive layer norm: maps [N, h, w, c], modulated by [scale ; shift] [N, 1, 1, 2c]."""
    scale, shift = tf.split(modulation, 2, axis=3)
    mean, variance = tf.nn.moments(a, [1, 2, 3], keepdims=True)
    factor = (1.0 + scale) * tf.math.rsqrt(variance + EPSILON)
    # One product and one sum for each number of a map; all else is per channel.
    return a * factor + (shift - mean * factor)


def _doubled(a: tf.Tensor, kernel: tf.Variable) -> tf.Tensor:
    """The transposed convolution that doubles height and width: [N, h, w, c], [4, 4, c, d] -> [N, 2h, 2w, d]."""
    height, width, _ = sizes(a)
    shape = tf.stack([tf.shape(a)[0], 2 * height, 2 * width, sizes(kernel)[-1]])
    # TensorFlow's own layout of such a kernel is [4, 4, out, in].
    return tf.nn.conv2d_transpose(a, tf.transpose(kernel, [0, 1, 3, 2]), shape, strides=2, padding="SAME")
