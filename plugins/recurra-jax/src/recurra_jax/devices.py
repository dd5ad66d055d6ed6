"""The devices that JAX sees, by recurra's names: `cpu`, `gpu:N`."""

from __future__ import annotations

import os
from importlib.metadata import distributions, version

from recurra.contract import Device
from recurra.environment import processor
from recurra.errors import InputError

from recurra_jax.framework import THREADS, JaxDevice, jax


def devices() -> list[Device]:
    """The GPUs in their order, then the CPU."""
    return [Device(name, _description(device)) for name, device in _devices().items()]


def resolve(name: str) -> JaxDevice:
    """JAX's device of that name; an InputError that lists the names there are."""
    known = _devices()
    if name not in known:
        raise InputError(f"device: '{name}' is not there for backend 'jax'; it sees {', '.join(known)}")
    return known[name]


def device_name(device: JaxDevice) -> str:
    """Its name in recurra's words."""
    return "cpu" if device.platform == "cpu" else f"gpu:{_of_platform('gpu').index(device)}"


def describe() -> dict[str, str]:
    """Versions and settings that the bytes of a result, or its speed, depend on."""
    about = {"jax": jax.__version__, "jaxlib": version("jaxlib"), "jax threads": _threads()}
    if os.environ.get("XLA_FLAGS"):
        about["xla flags"] = os.environ["XLA_FLAGS"]
    for gpu in _of_platform("gpu")[:1]:
        about["jax gpu platform"] = " ".join(gpu.client.platform_version.split())
        about |= libraries()
    return about


def libraries() -> dict[str, str]:
    """The installed versions of NVIDIA's libraries (cuDNN, cuBLAS, ...): JAX's own pip packages bring them."""
    installed = {each.name: each.version for each in distributions()}
    return {name: installed[name] for name in sorted(installed) if name.startswith("nvidia-")}


def _threads() -> str:
    return str(THREADS) if THREADS else "not limited: JAX's devices were made before recurra asked for them"


def _devices() -> dict[str, JaxDevice]:
    found = {f"gpu:{number}": device for number, device in enumerate(_of_platform("gpu"))}
    for cpu in _of_platform("cpu")[:1]:
        found["cpu"] = cpu
    return found


def _of_platform(platform: str) -> list[JaxDevice]:
    try:
        return jax.local_devices(backend=platform)
    except RuntimeError:  # what JAX says of a platform that is not there
        return []


def _description(device: JaxDevice) -> str:
    return f"{processor()}, {THREADS or 'any number of'} threads" if device.platform == "cpu" else device.device_kind
