"""The devices that PyTorch sees, by recurra's names: `cpu`, `gpu:N`."""

from __future__ import annotations

import os

import numpy as np
import torch

from recurra.contract import Device
from recurra.environment import processor
from recurra.errors import InputError


def devices() -> list[Device]:
    """CUDA devices in their order, then the CPU."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [Device(f"gpu:{index}", torch.cuda.get_device_name(index)) for index in range(count)]
    return [*found, Device("cpu", f"{processor()}, {torch.get_num_threads()} threads")]


def resolve(name: str) -> torch.device:
    """PyTorch's device of that name; an InputError that lists the names there are."""
    names = [device.name for device in devices()]
    if name not in names:
        raise InputError(f"device: '{name}' is not there for backend 'torch'; it sees {', '.join(names)}")
    if name == "cpu":
        return torch.device("cpu")
    _repeatable_gpu()
    return torch.device("cuda", int(name.removeprefix("gpu:")))


def _repeatable_gpu() -> None:
    """Makes equal runs on a GPU end in equal bytes, and float32 mean float32, as it does on the other backends."""
    torch.backends.cudnn.deterministic = True
    # PyTorch's default is TF32, of ten bits, in convolutions and recurrent networks; `precision: bf16` is the fast one.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # cuDNN's recurrent networks add up in cuBLAS, whose default workspace lets the order vary.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def on_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """The array as a tensor on the device: on the CPU, the very memory of a C-contiguous one."""
    # PyTorch has no read-only tensors, and warns of an array that is.
    array = np.require(array, requirements=["C", "W"])
    return torch.from_numpy(array).to(device, non_blocking=True)


def describe() -> dict[str, str]:
    """Name -> value of all that changes the last bytes of a result, or its speed."""
    about = {
        "torch": torch.__version__,
        "torch threads": str(torch.get_num_threads()),
        "torch cpu": torch.backends.cpu.get_cpu_capability(),
    }
    if torch.cuda.is_available():
        about["cuda"] = str(torch.version.cuda)
        about["cudnn"] = str(torch.backends.cudnn.version())
        about["tf32"] = str(torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32)
    return about
