from pathlib import Path

import numpy as np
import pytest

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import Source, open_source

IMAGES = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
LABELS = np.array([7, 7, -2, 7, -2, 10])


def opened(path: Path, **settings) -> Source:
    return open_source(str(path), Data(source=str(path), **settings))


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_data_and_labels_in_a_folder_are_samples(tmp_path: Path) -> None:
    source = opened(saved(tmp_path, data=IMAGES, labels=LABELS))
    assert (source.kind, source.classes) == ("image", ("-2", "7", "10"))
    assert source.samples.labels.tolist() == [1, 1, 0, 1, 0, 2]
    assert source.samples.sources[2] == "data.npy#2"
    block = source.read(np.array([5, 0, 3]))
    np.testing.assert_array_equal(block.arrays, IMAGES[[5, 0, 3]][:, None, :, :, None])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_archives_hold_splits(tmp_path: Path, save, order: str) -> None:
    images = np.asarray(IMAGES, order=order)
    path = tmp_path / "set.npz"
    save(path, x_train=images, y_train=LABELS, x_test=images[:2], y_test=LABELS[1:3])
    source = opened(path)
    assert source.samples.splits.tolist() == ["train"] * 6 + ["test"] * 2
    assert source.samples.sources[7] == "set.npz/x_test#1"
    rows = np.array([6, 1, 7, 0])
    np.testing.assert_array_equal(source.read(rows).arrays[:, 0, :, :, 0], IMAGES[[0, 1, 1, 0]])


@pytest.mark.parametrize(
    ("labels", "classes", "indices"),
    [
        (np.array(["b", "a", "b", "a", "a", "c"]), ("a", "b", "c"), [1, 0, 1, 0, 0, 2]),
        (np.array([b"b", b"\xff", b"b", b"b", b"b", b"b"]), ("\\xff", "b"), [1, 0, 1, 1, 1, 1]),
        (np.eye(3)[[2, 0, 1, 1, 0, 2]], ("0", "1", "2"), [2, 0, 1, 1, 0, 2]),
        (np.array([[1.0], [0], [1], [1], [0], [0]]), ("0", "1"), [1, 0, 1, 1, 0, 0]),
        (np.array([True, False] * 3), ("0", "1"), [1, 0, 1, 0, 1, 0]),
    ],
)
def test_labels_of_many_types(tmp_path: Path, labels: np.ndarray, classes: tuple, indices: list) -> None:
    source = opened(saved(tmp_path, data=IMAGES, labels=labels))
    assert (source.classes, source.samples.labels.tolist()) == (classes, indices)


def test_an_archive_may_name_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=IMAGES, labels=np.array([0, 1, 1, 0, 1, 0]), classes=np.array(["cat", "dog", "eel"]))
    assert opened(path).classes == ("cat", "dog", "eel")


@pytest.mark.parametrize(
    ("shape", "kind", "told", "form"),
    [
        ((6, 4, 5), "auto", "image", (1, 4, 5, 1)),
        ((6, 4, 5, 3), "auto", "image", (1, 4, 5, 3)),
        ((6, 4, 5, 3), "clips", "clip", (4, 5, 3, 1)),
        ((6, 9, 4, 5), "auto", "clip", (9, 4, 5, 1)),
        ((6, 9, 4, 5, 3), "auto", "clip", (9, 4, 5, 3)),
    ],
)
def test_the_shape_tells_images_from_clips(tmp_path: Path, shape: tuple, kind: str, told: str, form: tuple) -> None:
    source = opened(saved(tmp_path, data=np.zeros(shape, np.float64), labels=LABELS), kind=kind)
    assert source.kind == told
    (found,) = source.forms(np.array([5]))
    assert (found.frames, found.height, found.width, found.channels, found.dtype) == (*form, "float32")
    assert source.read(np.arange(6)).arrays.shape == (6, *form)


def test_rows_with_nan_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    images = IMAGES.astype(np.float32)
    images[2, 1, 1], images[4, 0, 0] = np.nan, np.inf
    block = opened(saved(tmp_path, data=images, labels=LABELS)).read(np.arange(6))
    assert block.rows.tolist() == [0, 1, 3, 5]
    assert [(refused.row, refused.source) for refused in block.refused] == [(2, "data.npy#2"), (4, "data.npy#4")]
    np.testing.assert_array_equal(block.arrays[:, 0, :, :, 0], IMAGES[[0, 1, 3, 5]])


def test_splits_of_different_sizes_are_read_together(tmp_path: Path) -> None:
    saved(tmp_path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:, :2], y_test=LABELS)
    block = opened(tmp_path).read(np.array([7, 0]))
    assert [array.shape for array in block.arrays] == [(1, 2, 5, 1), (1, 4, 5, 1)]


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (IMAGES, LABELS[:5], r"data\.npy: 6 samples, but 5 labels"),
        (IMAGES, LABELS + 0.5, r"labels\.npy: label 7\.5 in row 0, expected whole numbers"),
        (IMAGES, np.array([None] * 6), r"labels\.npy: .*Python objects"),
        (IMAGES, np.zeros(6, int), "every sample is of class '0'"),
        (IMAGES, np.ones((6, 2)), r"row 0 is \[1\. 1\.\], expected one 1"),
        (IMAGES, np.array(["a", "", "b", "b", "b", "b"]), "row 1 has an empty label"),
        (IMAGES.reshape(6, 20), LABELS, r"expected images \[N, H, W\]"),
        (np.zeros((6, 3, 8, 8)), LABELS, r"channels first, or clips of 3 frames; set data\.kind"),
        (np.zeros((6, 8, 8, 4, 5)), LABELS, r"expected clips \[N, T, H, W\]"),
        (np.zeros((6, 8, 8), complex), LABELS, "complex128, where numbers are expected"),
        (np.zeros((6, 8, 8), object), LABELS, "Python objects, which are never loaded"),
        (np.zeros((0, 8, 8)), LABELS[:0], "expected one sample or more"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path: Path, data, labels, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        opened(saved(tmp_path, data=data, labels=labels))
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_clips_of_more_pixels_than_ten_frames_may_have_are_refused(tmp_path: Path) -> None:
    clips = np.zeros((4, 11, 5, 5), np.uint8)
    (tmp_path / "whole").mkdir()
    saved(tmp_path / "whole", data=clips, labels=LABELS[:4])
    with pytest.raises(InputError, match=r"11 frames of 5 x 5 pixels, more than 10 times data\.max_pixels \(25\)"):
        opened(tmp_path / "whole", max_pixels=25)
    assert len(opened(tmp_path / "whole", max_pixels=28).samples) == 4
    for name, clip in zip(("a/0", "a/1", "b/0"), (clips[0, :10], clips[1], clips[2]), strict=True):
        (tmp_path / "each" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "each" / f"{name}.npy", clip)
    refused = opened(tmp_path / "each", max_pixels=25, kind="clips").read(np.arange(3)).refused
    assert [each.source for each in refused] == ["a/1.npy", "b/0.npy"]


def test_an_archive_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(b"PK\3\4 not really")
    with pytest.raises(InputError, match=r"set\.npz: damaged"):
        opened(tmp_path / "set.npz")


def test_the_digest_follows_the_contents(tmp_path: Path) -> None:
    first = opened(saved(tmp_path, data=IMAGES, labels=LABELS)).digest()
    assert opened(tmp_path).digest() == first
    assert opened(saved(tmp_path, labels=LABELS[::-1])).digest() != first
