"""The replicas of a network, one on each device: where they are, and what part of a batch each one has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from recurra_tensorflow.devices import put
from recurra_tensorflow.framework import tf
from recurra_tensorflow.scan import Tensors


class Shard(NamedTuple):
    """One replica's part of every batch."""

    x: tf.Tensor
    """[S, b, T, H, W, C]."""
    y: tf.Tensor
    """[S, b] int64, or [S, 0] where the batch has no sample for this replica; x then holds a sample all the same."""
    first: tf.Tensor
    """The place of its first sample in a batch."""
    batch: tf.Tensor
    """Samples of a whole batch."""


@cache
def strategy_of(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """TensorFlow's strategy for devices that all differ.

    GPUs exchange by TensorFlow's collectives (NCCL), which number what they exchange within a strategy: hence one for
    the same devices in a process. Two numbers of devices in a process would still clash, which CPU devices do not mind:
    theirs are plain sums.
    """
    if len(devices) == 1:
        return tf.distribute.OneDeviceStrategy(devices[0])
    exchange = tf.distribute.ReductionToOneDevice() if "CPU" in devices[0] else None
    return tf.distribute.MirroredStrategy(devices, exchange)


def divided(x: np.ndarray, y: np.ndarray, devices: Sequence[str]) -> tuple[Tensors, Tensors]:
    """x [S, B, ...] and y [S, B] -> each device's part of them, already there; parts differ by one sample at most.

    With fewer samples than devices, the last ones have the last sample again, without a label: not every kernel is able
    to take a batch of none.
    """
    xs, ys = (np.array_split(array, len(devices), axis=1) for array in (x, y))
    xs = [part if part.size else x[:, -1:] for part in xs]
    return tuple(map(put, xs, devices)), tuple(map(put, ys, devices))


def shards(strategy: tf.distribute.Strategy, x: Tensors, y: Tensors) -> Shard:
    """For each replica its own, of the parts that `divided` gave."""
    sizes = tf.stack([tf.shape(part)[1] for part in y])
    batch = tf.reduce_sum(sizes)

    def shard(context: tf.distribute.experimental.ValueContext) -> Shard:
        own = context.replica_id_in_sync_group
        return Shard(x[own], y[own], tf.minimum(tf.reduce_sum(sizes[:own]), batch - 1), batch)

    return strategy.experimental_distribute_values_from_function(shard)


def summed(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Each tensor's sum over the replicas, on each of them, in one exchange; for a replica to call."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))
