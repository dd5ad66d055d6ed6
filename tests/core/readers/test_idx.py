import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import open_source

IMAGES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
LABELS = np.array([0, 1, 2, 1, 0], np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def opened(folder: Path):
    return open_source(str(folder), Data(source=str(folder)))


@pytest.mark.parametrize("zipped", [True, False])
def test_pairs_of_files_become_splits(tmp_path: Path, zipped: bool) -> None:
    for prefix, count in (("train", 5), ("t10k", 3)):
        for name, array in (("images-idx3-ubyte", IMAGES), ("labels-idx1-ubyte", LABELS)):
            content = idx(array[:count])
            path = tmp_path / f"{prefix}-{name}{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)
    source = opened(tmp_path)
    assert source.classes == ("0", "1", "2")
    assert source.samples.splits.tolist() == ["train"] * 5 + ["test"] * 3
    assert source.samples.labels.tolist() == [*LABELS, *LABELS[:3]]
    np.testing.assert_array_equal(source.read(np.array([6, 4])).arrays[:, 0, :, :, 0], IMAGES[[1, 4]])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (idx(IMAGES)[:-1], idx(LABELS), r"train-images-idx3-ubyte: its header says \[5, 3, 4\], 60 bytes; 59 are"),
        (idx(IMAGES) + b"x", idx(LABELS), "60 bytes; 61 are there"),
        (idx(IMAGES), idx(LABELS[:4]), "5 images, but 4 labels in train-labels-idx1-ubyte"),
        (b"\x1f\x8b nothing", idx(LABELS), "not an IDX file"),
        (idx(IMAGES), idx(IMAGES), "expected one label a sample"),
    ],
)
def test_files_that_contradict_their_header_are_named(tmp_path: Path, images, labels, message: str) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(images)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(InputError, match=message):
        opened(tmp_path)


def test_a_small_file_cannot_claim_a_large_array(tmp_path: Path) -> None:
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1 << 20, 1 << 12, 1 << 12)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + bytes(99)))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    with pytest.raises(InputError, match="more than the file can hold"):
        opened(tmp_path)


def test_images_without_labels_are_no_source(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    with pytest.raises(InputError, match="no IDX images with their labels"):
        opened(tmp_path)


def test_fashion_mnist_is_read_as_it_was_published(fashion_mnist: Path) -> None:
    source = opened(fashion_mnist)
    assert (source.kind, source.classes) == ("image", tuple("0123456789"))
    assert np.bincount(source.samples.labels).tolist() == [7000] * 10
    assert (source.samples.splits == "test").sum() == 10_000
    block = source.read(np.arange(59_990, 60_010))
    assert block.arrays.shape == (20, 1, 28, 28, 1)
    # The first test image is an ankle boot.
    assert source.samples.labels[60_000] == 9
