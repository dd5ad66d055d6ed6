"""The recurrent network: layers and directions of LSTM or GRU cells over the steps of a sample."""

from __future__ import annotations

from recurra.contract import ClassifierSpec, Spec
from recurra.recurrent import directions
from recurra.weights import step_width
from recurra_tensorflow.cells import CELLS
from recurra_tensorflow.framework import tf
from recurra_tensorflow.precision import Precision
from recurra_tensorflow.weights import Variables


def own_steps(x: tf.Tensor, spec: ClassifierSpec) -> tf.Tensor:
    """h_t: x [B, T, H, W, C] -> [steps, B, D], the rows of an image or the pooled, flattened frames of a clip."""
    sample, pool = spec.sample, spec.model.rnn.frame_pool
    if sample.kind == "image":
        rows = tf.reshape(x, [-1, sample.height, step_width(spec)])
        return tf.transpose(rows, [1, 0, 2])
    frames = tf.reshape(tf.transpose(x, [1, 0, 2, 3, 4]), [-1, *sample.array[1:]])
    if pool > 1:
        frames = tf.nn.avg_pool2d(frames, pool, pool, "VALID")
    return tf.reshape(frames, [sample.frames, -1, step_width(spec)])


class Recurrent:
    """The network over steps that are given in parts [steps, B, D_p] (or [1, B, D_p] if constant).

    The parts stand for one joined input; the first layer's kernel lies in as many blocks of rows.
    """

    def __init__(self, spec: Spec, variables: Variables, prefix: str = "rnn") -> None:
        self._rnn = spec.model.rnn
        self._variables = variables
        self._precision = Precision.of(spec.train.precision)
        self._prefix = prefix

    def __call__(self, parts: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """The last hidden state: parts, each [steps, B, D_p] or [1, B, D_p] -> [B, F]."""
        hidden = self._last_layer(parts)
        # The step that a direction comes to last: the first one for the reverse.
        return tf.concat([h[end] for h, end in zip(hidden, (-1, 0), strict=False)], axis=1)

    def states(self, parts: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """The hidden state at every step: parts, each [steps, B, D_p] or [1, B, D_p] -> [steps, B, F]."""
        return tf.concat(self._last_layer(parts), axis=2)

    def _last_layer(self, parts: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
        """[steps, B, units] of each direction."""
        for layer in range(1, self._rnn.layers):
            parts = (tf.concat(self._layer(layer, parts), axis=2),)
        return self._layer(self._rnn.layers, parts)

    def _layer(self, number: int, parts: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
        name = f"{self._prefix}.{self._rnn.cell}{number}"
        return [self._hidden(name, direction, parts) for direction in directions(self._rnn)]

    def _hidden(self, layer: str, direction: str, parts: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """The hidden state at each step [steps, B, units] of one direction of one layer."""
        name, w = layer + direction, self._variables
        inputs = w[f"{name}.bias"]
        for part, block in zip(parts, w.blocks(f"{name}.kernel"), strict=True):
            inputs = inputs + self._precision.dense(part, block)
        recurrent = [tf.convert_to_tensor(w[f"{name}.recurrent_kernel"])]
        if self._rnn.cell == "gru":
            recurrent.append(tf.convert_to_tensor(w[f"{name}.recurrent_bias"]))
        over_steps = CELLS[self._rnn.cell](self._rnn.units, self._precision, reverse=bool(direction))
        return over_steps(inputs, *recurrent)


class Rnn:
    """Samples [B, T, H, W, C] -> [B, F]: the recurrent network over their own steps."""

    def __init__(self, spec: ClassifierSpec, variables: Variables) -> None:
        self._spec = spec
        self._recurrent = Recurrent(spec, variables)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """x [B, T, H, W, C] -> [B, F]."""
        return self._recurrent((own_steps(x, self._spec),))
