"""Matrix products and convolutions in the precision that an experiment asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recurra_tensorflow.framework import tf

Padding = Literal["SAME", "VALID"]


@dataclass(frozen=True)
class Precision:
    """Products whose factors are rounded to `dtype`; weights stay float32 outside."""

    dtype: tf.DType

    @classmethod
    def of(cls, name: Literal["fp32", "bf16"]) -> Precision:
        """The precision that `train.precision` names."""
        return cls(tf.bfloat16 if name == "bf16" else tf.float32)

    def cast(self, value: tf.Tensor) -> tf.Tensor:
        """`value` in `dtype`: for factors that are used many times, so that they are rounded once."""
        return tf.cast(value, self.dtype)

    def matmul(self, a: tf.Tensor, b: tf.Tensor, transpose_a: bool = False, transpose_b: bool = False) -> tf.Tensor:
        """a [m, k] times b [k, n] (each after its transposition) -> float32 [m, n]."""
        product = tf.matmul(self.cast(a), self.cast(b), transpose_a=transpose_a, transpose_b=transpose_b)
        return tf.cast(product, tf.float32)

    def dense(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """x [..., k] times kernel [k, n] -> float32 [..., n]."""
        return tf.cast(tf.tensordot(self.cast(x), self.cast(kernel), axes=1), tf.float32)

    def conv(self, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, padding: Padding) -> tf.Tensor:
        """x [N, H, W, C] convolved with kernel [k, k, C, D], plus bias [D] -> `dtype` [N, H', W', D]."""
        y = tf.nn.conv2d(self.cast(x), self.cast(kernel), strides=1, padding=padding)
        return tf.nn.bias_add(y, self.cast(bias))
