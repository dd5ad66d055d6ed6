"""What the backend does to the process that it is used in."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COUNTED = """
import os
from pathlib import Path
from recurra.registry import load_backend
print([device.name for device in load_backend("jax").devices()])
names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
print(sum("XLAEigen" in name for name in names), os.environ.get("NPROC"))
print(os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"])
import jax
print(jax.config.jax_enable_x64, jax.config.jax_platforms)
"""
DESCRIBED = """
from recurra.registry import load_backend
print(load_backend("jax").describe()["jax threads"])
print(load_backend("jax").devices()[-1].description)
"""


def lines(**environment: str) -> list[str]:
    """What COUNTED prints in a process of its own."""
    names = ("OMP_NUM_THREADS", "NPROC", "XLA_PYTHON_CLIENT_PREALLOCATE")
    own = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", COUNTED], env={**own, **environment}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted in /proc")
@pytest.mark.parametrize(
    ("environment", "threads", "left"),
    [
        ({"OMP_NUM_THREADS": "1"}, "1", "None"),
        ({"OMP_NUM_THREADS": "3,1"}, "3", "None"),
        ({"OMP_NUM_THREADS": "3", "NPROC": "2"}, "2", "2"),
        ({"OMP_NUM_THREADS": "1", "NPROC": "5"}, "1", "5"),
    ],
)
def test_xla_has_as_many_threads_as_the_lease_and_the_user_allow(
    environment: dict[str, str], threads: str, left: str
) -> None:
    assert lines(CUDA_VISIBLE_DEVICES="", **environment)[1] == f"{threads} {left}"


@pytest.mark.parametrize("none", ["", "-1", "-1,0"])
def test_a_process_without_a_gpu_asks_for_the_cpu_alone_and_keeps_jaxs_other_settings(none: str) -> None:
    devices, _, preallocate, config = lines(CUDA_VISIBLE_DEVICES=none)
    assert (devices, preallocate, config) == ("['cpu']", "false", "False cpu")


def test_threads_that_are_not_this_backends_are_not_called_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import jax; jax.devices()\n" + DESCRIBED],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    told, description = done.stdout.splitlines()
    assert told == "not limited: JAX's devices were made before recurra asked for them"
    assert description.endswith("any number of threads")


def test_a_users_choice_of_memory_is_kept() -> None:
    assert lines(CUDA_VISIBLE_DEVICES="", XLA_PYTHON_CLIENT_PREALLOCATE="true")[2] == "true"
