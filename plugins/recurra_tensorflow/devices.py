"""The devices that TensorFlow sees, and what a run should record about them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from recurra.contract import Device
from recurra.errors import InputError
from recurra_tensorflow.framework import tf


def devices() -> list[Device]:
    """The GPUs, then the CPU."""
    found = []
    for number, gpu in enumerate(tf.config.list_physical_devices("GPU")):
        details = tf.config.experimental.get_device_details(gpu)
        found.append(Device(f"gpu:{number}", str(details.get("device_name", "GPU"))))
    return [*found, Device("cpu", f"CPU, {_cores()} cores")]


def device_string(name: str) -> str:
    """TensorFlow's word for a device of `devices`: `gpu:1` -> `/device:GPU:1`; an InputError for any other name."""
    known = [device.name for device in devices()]
    if name not in known:
        raise InputError(f"device: TensorFlow sees no '{name}' here, only {', '.join(known)}; choose one of these")
    kind, _, number = name.partition(":")
    return f"/device:{kind.upper()}:{number or 0}"


def device_name(string: str) -> str:
    """The name of a device in TensorFlow's words: `/device:GPU:1` -> `gpu:1`, every logical CPU device `cpu`."""
    _, kind, number = string.lower().split(":")
    return "cpu" if kind == "cpu" else f"{kind}:{number}"


def replica_devices(names: Sequence[str]) -> tuple[str, ...]:
    """TensorFlow's words for the devices of one training, which all differ: `cpu` twice is two logical CPU devices.

    An InputError for devices that are not there or cannot train together, and for CPU devices that come too late.
    """
    strings = tuple(device_string(name) for name in names)
    if set(names) == {"cpu"}:
        _see_to_cpus(len(names))
        return tuple(f"/device:CPU:{number}" for number in range(len(names)))
    if not names or "cpu" in names:
        raise InputError(f"devices: {', '.join(names) or 'none'}; name GPUs, or `cpu` several times, not both")
    if len({*names}) < len(names):
        raise InputError(f"devices: {', '.join(names)}; a GPU can be named once")
    return strings


def put(array: np.ndarray, string: str) -> tf.Tensor:
    """The array on a device, in TensorFlow's words: float32, or int64 of whole numbers, as all graphs here take them.

    Before a graph is called with it: a graph that has to do it tells a full memory as an argument of the wrong type.
    """
    with tf.device(string):
        return tf.constant(array, tf.int64 if array.dtype.kind in "iu" else tf.float32)


def peak_memory(name: str) -> int | None:
    """The most bytes of a GPU's memory in use at once since `forget_peak`; None of the CPU, where nobody counts."""
    return None if name == "cpu" else int(tf.config.experimental.get_memory_info(name.upper())["peak"])


def forget_peak(strings: Sequence[str]) -> None:
    """Counts the peaks of these devices, in TensorFlow's words, from here on."""
    for name in map(device_name, strings):
        if name != "cpu":
            tf.config.experimental.reset_memory_stats(name.upper())


def _see_to_cpus(count: int) -> None:
    """Makes so many logical CPU devices, or finds them made; TensorFlow does it once, when it first computes."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    there = len(tf.config.get_logical_device_configuration(cpu) or [None])
    if there >= count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:
        raise InputError(
            f"devices: {', '.join(['cpu'] * count)}; TensorFlow already computes with {there} CPU"
            f" device{'s' * (there > 1)} in this process, and cannot make more; train in a new process, and build for"
            " several devices there before anything else"
        ) from None


def describe() -> dict[str, str]:
    """Versions and settings that the bytes of a result depend on."""
    build = tf.sysconfig.get_build_info()
    return {
        "tensorflow": tf.__version__,
        "intra_op_threads": str(tf.config.threading.get_intra_op_parallelism_threads() or _cores()),
        "inter_op_threads": str(tf.config.threading.get_inter_op_parallelism_threads() or _cores()),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "cuda": str(build.get("cuda_version", "none")),
        "tf32": str(tf.config.experimental.tensor_float_32_execution_enabled()),
        "cudnn": str(build.get("cudnn_version", "none")),
    }


def _cores() -> int:
    # TensorFlow's thread pools are as large as the set of processors that this process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
