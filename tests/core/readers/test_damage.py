"""Damaged files are refused with a reason, never with another exception."""

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import Kind, decode, idx, npy, open_source
from recurra.readers.unreadable import UnreadableError

T = TypeVar("T")
SIDE = 16
MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _image(kind: str, frames: int) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (frames, SIDE, SIDE), np.uint8)
    first, *rest = [Image.fromarray(frame) for frame in noise]
    file = io.BytesIO()
    first.save(file, kind, **({"save_all": True, "append_images": rest} if rest else {}))
    return file.getvalue()


FILES = {
    **{f"{kind} of {n}": _image(kind, n) for kind in ("PNG", "GIF", "TIFF", "WEBP") for n in (1, 3)},
    "JPEG": _image("JPEG", 1),
    "BMP": _image("BMP", 1),
}


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The file with bits flipped, cut short, or with a stretch of other bytes."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["flip", "cut", "overwrite"])):
            case "flip":
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:]
            case _:
                data[at : at + 8] = draw(st.binary(max_size=8))
    return bytes(data)


def result(read: Callable[[], T]) -> T | None:
    """What was read; None where it was refused, in one line. Any other exception fails the test."""
    try:
        return read()
    except UnreadableError as error:
        reason = str(error)
    assert reason.isprintable()
    assert 0 < len(reason) < 300
    return None


def attempt(content: bytes, kind: Kind) -> None:
    form = result(lambda: decode.form(content, kind, 1 << 20))
    array = result(lambda: decode.pixels(content, kind, 1 << 20))
    if form is not None and array is not None:
        assert array.shape == (form.frames, form.height, form.width, form.channels)
        assert array.dtype == form.dtype


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@MANY
@given(data=st.data())
def test_damaged_images_are_read_or_refused(name: str, data: st.DataObject) -> None:
    content = data.draw(damaged(FILES[name]))
    attempt(content, "image")
    attempt(content, "clip")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_images_cut_short_are_refused(name: str) -> None:
    whole = FILES[name]
    kind = "clip" if name.endswith("3") else "image"
    decode.pixels(whole, kind, 1 << 20)
    for share in (0.0, 0.05, 0.2, 0.5, 0.8, 0.9):
        with pytest.raises(UnreadableError):
            decode.pixels(whole[: int(len(whole) * share)], kind, 1 << 20)


@MANY
@given(data=st.data())
def test_damaged_arrays_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    file = io.BytesIO()
    np.save(file, np.arange(60, dtype=np.float32).reshape(3, 4, 5))
    path = tmp_path / "clip.npy"
    path.write_bytes(data.draw(damaged(file.getvalue())))
    result(lambda: npy.mapped(path))
    result(lambda: npy.pixels(str(path), "clip", 1 << 20))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@MANY
@given(data=st.data())
def test_damaged_archives_are_read_or_refused(tmp_path: Path, save, data: st.DataObject) -> None:
    file = io.BytesIO()
    save(file, data=np.arange(600, dtype=np.uint8).reshape(6, 10, 10), labels=np.arange(6))
    path = tmp_path / "set.npz"
    path.write_bytes(data.draw(damaged(file.getvalue())))
    with suppress(InputError):
        samples = open_source(str(path), Data(source=str(path)))
        samples.read(np.arange(len(samples.samples)))


@pytest.mark.parametrize("compressed", [True, False])
@MANY
@given(data=st.data())
def test_damaged_idx_files_are_read_or_refused(tmp_path: Path, compressed: bool, data: st.DataObject) -> None:
    import gzip

    whole = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(24)
    path = tmp_path / ("x-images-idx3-ubyte.gz" if compressed else "x-images-idx3-ubyte")
    path.write_bytes(data.draw(damaged(gzip.compress(whole) if compressed else whole)))
    result(lambda: idx.array(str(path)))


@pytest.mark.parametrize("checksums", [True, False])
@MANY
@given(data=st.data())
def test_damaged_tables_are_read_or_refused(tmp_path: Path, checksums: bool, data: st.DataObject) -> None:
    file = io.BytesIO()
    images = [FILES["PNG of 1"], FILES["BMP"], FILES["JPEG"], FILES["GIF of 1"]]
    table = pa.table({"image": images, "label": ["a", "b", "a", "b"], "split": ["train", "train", "test", "test"]})
    pq.write_table(table, file, write_page_checksum=checksums, row_group_size=2)
    path = tmp_path / "set.parquet"
    path.write_bytes(data.draw(damaged(file.getvalue())))
    with suppress(InputError):
        samples = open_source(str(path), Data(source=str(path)))
        samples.read(np.arange(len(samples.samples)))
