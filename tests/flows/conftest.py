"""A small backend in NumPy, installed for the tests, so that flows run in worker processes without a framework."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PLAIN = '''
import errno, os, signal, sys, time
from pathlib import Path
import numpy as np
from recurra.contract import Device, GanRecords, StepRecords
from recurra.hookspecs import hookimpl


class Plain:
    """Trains its biases a little, and answers with them and the first pixels.

    PLAIN_SLOW: seconds that each call after the first takes. PLAIN_DIES: `always` in the first call, or `once` in the
    second. PLAIN_LOSS: the loss of each step.
    """

    def __init__(self, spec):
        self.spec, self.steps = spec, 0

    def train_steps(self, batches):
        dies = os.environ.get("PLAIN_DIES")
        if self.steps:
            time.sleep(float(os.environ.get("PLAIN_SLOW", 0)))
        if dies == "always" or (dies == "once" and self.steps and not Path("died").exists()):
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        print("a framework's chatter")
        self.steps += len(batches.x)
        self._weights["output.bias"] += batches.x.mean(dtype=np.float32)
        loss = float(os.environ.get("PLAIN_LOSS", 0.5))
        return StepRecords(np.full(len(batches.x), loss, np.float32), np.zeros(len(batches.x), np.int64))

    def logits(self, x):
        bias = self._weights["output.bias"]
        return (x.reshape(len(x), -1)[:, : self.spec.classes] + bias).astype(np.float32)

    def features(self, x):
        return np.ascontiguousarray(x.reshape(len(x), -1)[:, :32], np.float32)

    def weights(self):
        return {name: array.copy() for name, array in self._weights.items()}

    def load_weights(self, weights):
        self._weights = {name: np.array(array) for name, array in weights.items()}

    def training_state(self):
        zeros = {f"adam.{m}.{n}": np.zeros_like(a) for m in "mv" for n, a in self._weights.items()}
        return {"adam.step": np.int64(self.steps), **zeros}

    def load_training_state(self, state):
        self.steps = int(state["adam.step"])


class PlainGan(Plain):
    """Its samples are as bright as their label says, with some noise."""

    def train_steps(self, batches):
        steps = len(batches.x)
        time.sleep(float(os.environ.get("PLAIN_SLOW", 0)))
        self.steps += steps
        self._weights["generator.embedding"] += batches.x.mean(dtype=np.float32)
        return GanRecords(*(np.full(steps, value, np.float32) for value in (1.4, 0.7, 0.0, 0.6, 0.6)))

    def generate(self, latents, labels):
        shape = (len(labels), *self.spec.sample.array)
        shades = np.linspace(0, 1, np.prod(shape[1:])) * (1 + labels[:, None]) / self.spec.classes
        x = shades + 0.1 * latents.content[:, :1] * latents.noise[:, 0, :1]
        return x.clip(0, 1).reshape(shape).astype(np.float32)

    def judge(self, x, labels):
        return np.zeros((len(x), x.shape[1]), np.float32), None


class PlainBackend:
    name, contract, capabilities = "plain", (1, 1), frozenset({"cnn", "rnn", "fusion", "gan"})

    def describe(self):
        return {"plain": "1"}

    def devices(self):
        if os.environ.get("PLAIN_DEVICES") == "full disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        if os.environ.get("PLAIN_DEVICES") == "dies while it writes":
            os.write(int(sys.argv[1]), b'{"event": "no')
            os.kill(os.getpid(), signal.SIGKILL)
        return [Device("cpu", "this one")]

    def build(self, spec, device, seed):
        return Plain(spec)

    def build_gan(self, spec, device):
        return PlainGan(spec)


@hookimpl
def recurra_backend():
    return PlainBackend()
'''


GAN = """
backend: plain
data: {source: digits}
model:
  kind: gan
  rnn: {units: 4}
  gan: {content: 4, noise: 2, embedding: 3, channels: [6, 4], frame_channels: [4, 6]}
train:
  epochs: 2
  batch_size: 512
  gan: {measured: 100}
evaluate:
  gan:
    per_class: 12
    recogniser: {train: {epochs: 1, batch_size: 128}}
"""
"""A small GAN of digits; few steps of large batches."""


@pytest.fixture(scope="session")
def gan_file() -> str:
    """The text of g.yaml."""
    return GAN


@pytest.fixture(scope="session")
def plain_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH in which the backend `plain` is installed."""
    folder = tmp_path_factory.mktemp("plain")
    _install(folder, "plain", PLAIN, "recurra.backends")
    return folder


@pytest.fixture(scope="session")
def plain_python_path(plain_path: Path) -> str:
    """PYTHONPATH for a process that has the backend `plain`."""
    return os.pathsep.join([str(plain_path), os.environ["PYTHONPATH"]])


def _install(folder: Path, name: str, code: str, group: str) -> None:
    (folder / f"{name}_backend.py").write_text(code)
    info = folder / f"{name}_backend-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-backend\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}_backend\n")


@pytest.fixture
def installed(place: Path, plain_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Installs a plugin beside `plain`, in a folder of its own: its name, its code, its group."""

    def install(name: str, code: str, group: str) -> None:
        folder = place / f"of-{name}"
        folder.mkdir()
        _install(folder, name, code, group)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ["PYTHONPATH"]]))

    return install


@pytest.fixture(scope="session", autouse=True)
def _prefect_of_the_tests_own() -> Iterator[None]:
    """Nothing of the user's Prefect settings, and nobody is told of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        patch.setenv("DO_NOT_TRACK", "1")
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        yield


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """A Prefect server for all the tests of this folder."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=240):
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def place(tmp_path: Path, plain_path: Path, plain_python_path: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a home folder and leases of its own, no GPUs, and the backend `plain`.

    Experiments: a recogniser in e.yaml, a GAN in g.yaml, a recogniser that takes the GAN's samples in a.yaml.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECURRA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("RECURRA_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("RECURRA_DEVICES", "none")
    monkeypatch.setenv("PYTHONPATH", plain_python_path)
    monkeypatch.syspath_prepend(str(plain_path))
    (tmp_path / "e.yaml").write_text(
        "backend: plain\ndata: {source: digits}\ntrain: {epochs: 2}\nevaluate: {bootstrap: 10}\n"
    )
    (tmp_path / "g.yaml").write_text(GAN)
    (tmp_path / "a.yaml").write_text(
        "backend: plain\ndata: {source: digits, augment: {gan: g.yaml, generated: 0.5}}\ntrain: {epochs: 1}\n"
        "evaluate: {bootstrap: 10}\n"
    )
    return tmp_path


Command = Callable[..., subprocess.CompletedProcess[str]]


def _started(*arguments: str, **env: str) -> subprocess.Popen[str]:
    code = "import sys; from recurra_flows.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
        start_new_session=True,
    )


@pytest.fixture
def started(place: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `recurra ARGUMENTS` in a process and a group of its own, which are gone after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
        processes.append(_started(*arguments, **env))
        return processes[-1]

    yield start
    for process in processes:
        _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    """Ends it and its group; workers and servers follow it by themselves."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def recurra(place: Path) -> Command:
    """Runs `recurra ARGUMENTS` to its end."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        with _started(*arguments, **env) as process:
            try:
                out, err = process.communicate(timeout=240)
            finally:
                _kill(process)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


@pytest.fixture
def run_json(recurra: Command, prefect_api: str) -> Callable[..., dict[str, Any]]:
    """Runs `recurra run ... --json` on the tests' server; what it printed."""

    def run(*arguments: str, **env: str) -> dict[str, Any]:
        done = recurra("run", *arguments, "--json", PREFECT_API_URL=prefect_api, **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
