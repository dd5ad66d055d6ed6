"""Rules for all tests: real data where it is, and one framework in a process."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


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
