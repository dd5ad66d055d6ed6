"""The devices that TensorFlow sees, and what a run should record about them."""

from __future__ import annotations

import os

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
