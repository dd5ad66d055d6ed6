"""Downloads, from a server in this process; no test goes to the network."""

import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import cifar, named, open_source
from recurra.readers.download import Remote, fetched

NOWHERE = "http://127.0.0.1:9/"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECURRA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def remote_of(content: bytes) -> Remote:
    return Remote("file.bin", hashlib.sha256(content).hexdigest())


def test_a_file_comes_from_the_first_mirror_that_has_it(served, home: Path) -> None:
    folder, address = served
    (folder / "file.bin").write_bytes(b"published")
    path = fetched("set", remote_of(b"published"), (NOWHERE, address))
    assert path == home / "downloads/set/file.bin"
    (folder / "file.bin").unlink()
    assert fetched("set", remote_of(b"published"), (NOWHERE, address)).read_bytes() == b"published"


def test_a_mirror_with_another_file_is_not_believed(served, home: Path) -> None:
    folder, address = served
    (folder / "file.bin").write_bytes(b"forged")
    with pytest.raises(InputError, match=r"file\.bin could not be fetched.*put it at .*set/file\.bin"):
        fetched("set", remote_of(b"published"), (address,))
    assert not (home / "downloads/set/file.bin").exists()


def test_a_file_put_there_by_hand_needs_no_network(home: Path) -> None:
    path = home / "downloads/set/file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"published")
    assert fetched("set", remote_of(b"published"), (NOWHERE,)) == path
    path.write_bytes(b"another")
    with pytest.raises(InputError, match="not the published file"):
        fetched("set", remote_of(b"published"), (NOWHERE,))


def test_fashion_mnist_by_name_has_named_classes(fashion_mnist: Path, home: Path) -> None:
    shutil.copytree(fashion_mnist, home / "downloads/fashion-mnist")
    source = open_source("fashion-mnist", Data(source="fashion-mnist"))
    assert source.classes[9] == "ankle boot"
    assert len(source.samples) == 70_000
    # Else a dataset with numbers for names would be found under the digest of this one.
    assert source.digest() != open_source(str(fashion_mnist), Data(source="x")).digest()


def test_downloads_lie_in_the_home_folder_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "_MNIST_MIRRORS", (NOWHERE,))
    with pytest.raises(InputError, match=r"put it at .*/mine/downloads/mnist/train-images-idx3-ubyte\.gz"):
        open_source("mnist", Data(source="mnist"), home=tmp_path / "mine")


def test_without_a_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "_MNIST_MIRRORS", (NOWHERE,))
    with pytest.raises(InputError, match=r"mnist: train-images-idx3-ubyte\.gz could not be fetched") as error:
        open_source("mnist", Data(source="mnist"))
    assert "\n" not in str(error.value)


def cifar_archive(path: Path, names: list[str], records: int = 4) -> np.ndarray:
    """An archive as CIFAR-10's, smaller; returns its [N, 3073] records."""
    rows = np.random.default_rng(0).integers(0, 256, (len(names), records, 3073), np.uint8)
    rows[:, :, 0] %= 10
    with tarfile.open(path, "w:gz") as archive:
        for name, content in zip(names, rows, strict=True):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = content.size
            archive.addfile(member, io.BytesIO(content.tobytes()))
    return rows


BATCHES = ["test_batch.bin", *(f"data_batch_{n}.bin" for n in (5, 3, 1, 2, 4))]


def test_cifar_is_read_from_its_archive_in_place(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    rows = cifar_archive(path, BATCHES)
    source = cifar.open_cifar10(path, Data(source="cifar10"))
    assert source.samples.splits.tolist() == ["train"] * 20 + ["test"] * 4
    block = source.read(np.array([0, 23]))
    assert source.samples.sources[0] == "data_batch_1.bin#0"
    np.testing.assert_array_equal(block.arrays[0, 0], rows[3, 0, 1:].reshape(3, 32, 32).transpose(1, 2, 0))
    assert source.samples.labels[23] == rows[0, 3, 0]
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_cifar_archive_without_a_batch_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    cifar_archive(path, BATCHES[:-1])
    with pytest.raises(InputError, match=r"has no data_batch_4\.bin"):
        cifar.open_cifar10(path, Data(source="cifar10"))
