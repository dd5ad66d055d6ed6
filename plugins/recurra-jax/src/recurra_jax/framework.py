"""JAX as this backend wants it: as many threads as the lease allows, float32 that is float32, equal runs equal bytes.

Every other module takes `jax` from here, so that none can start it another way. Nothing of JAX's own configuration is
changed but for its platforms, and that only where the environment has already ruled the GPUs out: what this backend
needs goes with each function that it compiles, whatever the user set for others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from recurra.environment import allowed_threads
from recurra.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")
JaxDevice = Any
"""A `jax.Device`, whose attributes jaxlib's type stubs lack."""
Names = tuple[str, ...]
_NPROC = "NPROC"
_REPEATABLE = {"xla_gpu_deterministic_ops": True}
"""Without it, XLA picks the GPU kernels that were quickest when it tried them, and some add in any order."""

_compiled: list[Any] = []
"""All functions of this backend that `compiled` made, as `jax.jit` returns them."""

# XLA's own default is three quarters of a GPU's memory, taken at once; a GPU may be shared, and is measured here.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def threads() -> int:
    """Threads that XLA computes with on the CPU: what the lease and the user allow, whichever is less."""
    own = os.environ.get(_NPROC, "")
    return min(allowed_threads(), int(own)) if own.isdecimal() and int(own) else allowed_threads()


@contextmanager
def _limited(count: int) -> Iterator[None]:
    """NPROC, the one variable that XLA sizes its pool of threads by; it is read once, when JAX's devices are made.

    It is put back: a process that is started from here may have another share of the cores.
    """
    before = os.environ.get(_NPROC)
    os.environ[_NPROC] = str(count)
    try:
        yield
    finally:
        del os.environ[_NPROC]
        if before is not None:
            os.environ[_NPROC] = before


def _hides_gpus(visible: str | None) -> bool:
    """Whether CUDA_VISIBLE_DEVICES leaves no GPU: the first entry that names none ends CUDA's list, as `-1` does."""
    return visible is not None and (visible == "" or visible.lstrip().startswith("-"))


with _limited(_allowed := threads()):
    import jax
    from jax._src.xla_bridge import backends_are_initialized  # JAX has no public way to ask

    THREADS: int | None = None if backends_are_initialized() else _allowed
    """Threads of XLA's pool for the CPU; None where JAX's devices were made before, with as many as JAX likes."""
    _chosen: str | None = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue] (JAX makes it at run time)
    if _hides_gpus(os.environ.get("CUDA_VISIBLE_DEVICES")) and not _chosen:
        # No GPU was lent: JAX's CUDA plugin would complain of not finding one.
        jax.config.update("jax_platforms", "cpu")
    try:
        jax.devices()
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise InputError(
            f"JAX_PLATFORMS, or JAX's own installation: JAX finds no device to compute on: {text}"
        ) from error


@contextmanager
def settings() -> Iterator[None]:
    """JAX's settings that results depend on, as this backend has them: all are part of what `jax.jit` compiles for."""
    with (
        # Else a GPU multiplies float32 in TF32, of ten bits; `precision: bf16` is the fast one.
        jax.default_matmul_precision("highest"),
        jax.enable_x64(False),
        # Which of two streams dropout is drawn from.
        jax.threefry_partitionable(True),
    ):
        yield


def compiled(
    *, static: tuple[str, ...] = (), donated: tuple[str, ...] = ()
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """`jax.jit` under this backend's `settings`, whose kernels are repeatable.

    `static` arguments are hashable and compiled in; the buffers of `donated` ones are reused for what is returned.
    """

    def compile(function: Callable[P, R]) -> Callable[P, R]:
        jitted = jax.jit(function, static_argnames=static, donate_argnames=donated, compiler_options=_REPEATABLE)
        _compiled.append(jitted)

        @wraps(jitted)
        def exact(*args: P.args, **kwargs: P.kwargs) -> R:
            with settings():
                return jitted(*args, **kwargs)

        return exact

    return compile


def forget_compiled() -> None:
    """Frees what was compiled, but nothing of the user's own: what is called again is compiled again."""
    for jitted in _compiled:
        jitted.clear_cache()


def waits(device: JaxDevice) -> bool:
    """Whether the device waits for the host in a loop whose length is not compiled in: a GPU, after every turn."""
    return device.platform != "cpu"


__all__ = ["THREADS", "JaxDevice", "compiled", "forget_compiled", "jax", "settings", "waits"]
