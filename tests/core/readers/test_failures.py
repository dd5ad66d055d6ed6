"""What the machine is to blame for is no sample's fault: it stops the reading and leaves no smaller dataset behind."""

import errno
import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recurra.errors import InputError, RecurraError
from recurra.experiment import Data
from recurra.readers import decode, npy, open_source, tree
from recurra.readers.unreadable import UnreadableError, explained


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOMEM, errno.ETIMEDOUT])
def test_a_failing_disk_or_system_is_not_the_files_fault(number: int) -> None:
    with pytest.raises(OSError, match=r"a/1\.png") as caught, explained(file="a/1.png"):
        raise OSError(number, os.strerror(number))
    assert (caught.value.errno, caught.value.filename) == (number, "a/1.png")


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, os.strerror(number)) for number in (errno.ENOENT, errno.EACCES, errno.EISDIR, errno.EINVAL)),
        OSError("image file is truncated (3 bytes not processed)"),
        SyntaxError("not a PNG file"),
    ],
)
def test_a_missing_barred_or_damaged_file_is_its_own_fault(error: Exception) -> None:
    with pytest.raises(UnreadableError), explained(file="a/1.png"):
        raise error


def test_too_little_memory_is_not_the_files_fault() -> None:
    with pytest.raises(MemoryError), explained():
        raise MemoryError


@pytest.mark.parametrize("name", ["1.png", "1.npy"])
def test_a_sample_on_a_failing_disk_is_not_refused(tmp_path: Path, monkeypatch, name: str) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        Image.new("L", (5, 4)).save(tmp_path / folder / "0.png")
    np.save(tmp_path / "a/1.npy", np.zeros((4, 5), np.uint8))
    Image.new("L", (5, 4)).save(tmp_path / "a/1.png")
    source = open_source(str(tmp_path), Data(source=str(tmp_path)))

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(*((npy, "header") if name.endswith("npy") else (decode, "_plugin")), failing)
    row = np.array([list(source.samples.sources).index(f"a/{name}")])
    for read in (source.forms, source.read):
        with pytest.raises(OSError, match=rf"Input/output error: .*a/{name}"):
            read(row)


def test_a_folder_on_a_failing_disk_is_not_passed_over(tmp_path: Path, monkeypatch) -> None:
    listed = tree.listed

    def failing(root: str, path: str = "") -> tree.Folder:
        if path == "a/deep":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return listed(root, path)

    (tmp_path / "a/deep").mkdir(parents=True)
    monkeypatch.setattr(tree, "listed", failing)
    with pytest.raises(OSError, match="Input/output error: 'a/deep'"):
        tree.search(str(tmp_path), "a", "image")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk to write to is needed")
def test_a_full_disk_is_no_damage_to_an_archive(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, data=np.zeros((4, 5, 5), np.uint8), labels=np.arange(4))
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(Path("/dev/full").open, "r+b"))
    with pytest.raises(RecurraError, match=r"no room to unpack .*set\.npz, array data.*set TMPDIR") as caught:
        open_source(str(path), Data(source=str(path)))
    assert not isinstance(caught.value, InputError)
