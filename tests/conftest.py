"""Rules for all tests: real data where it is, one framework in a process, no connection that leaves this machine."""

from __future__ import annotations

import os
import runpy
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkstemp

import pytest

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
LOOPBACK = Path(__file__).parent / "loopback"
CONNECTIONS = "RECURRA_TEST_CONNECTIONS"


def pytest_configure(config: pytest.Config) -> None:
    """This process, and all Python that it starts, is refused what would leave this machine."""
    if not hasattr(config, "workerinput"):  # xdist's workers inherit it
        descriptor, os.environ[CONNECTIONS] = mkstemp(prefix="recurra-connections-")
        os.close(descriptor)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LOOPBACK), os.environ.get("PYTHONPATH")]))
    runpy.run_path(str(LOOPBACK / "sitecustomize.py"))
    # A shell has what it starts with `&` ignore Ctrl-C, and so all that it starts: the commands tested are to obey it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A connection that was refused fails the session, also where what tried it went on without."""
    if not hasattr(session.config, "workerinput") and _refused() and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names them."""
    for line in _refused():
        terminalreporter.write_line(f"left this machine, or would have: {line}", red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The record goes."""
    if not hasattr(config, "workerinput"):
        Path(os.environ.pop(CONNECTIONS)).unlink(missing_ok=True)


def _refused() -> list[str]:
    return Path(os.environ[CONNECTIONS]).read_text().splitlines()


@pytest.fixture(scope="session", autouse=True)
def _leases_of_the_tests_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test waits for the devices that another process of the tests, or the machine's user, has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECURRA_LEASES", str(tmp_path_factory.mktemp("leases")))
        yield


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """The folder of Fashion-MNIST's published files."""
    return _present(REAL_DATA / "fashion-mnist")


@pytest.fixture(scope="session")
def fir_actions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The thermal clips, unpacked."""
    import tarfile

    archive = _present(REAL_DATA / "fir-actions.tar.xz")
    folder = tmp_path_factory.mktemp("fir")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "fir-actions"


def _present(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"real data not here: {path}")
    return path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process that was asked for both frameworks, the TensorFlow tests step back: `make test` runs them apart."""
    if any(item.get_closest_marker("torch") for item in items):
        apart = [item for item in items if item.get_closest_marker("tensorflow")]
        if apart:
            config.hook.pytest_deselected(items=apart)
            items[:] = [item for item in items if item not in apart]
