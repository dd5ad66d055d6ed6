from pathlib import Path

import numpy as np
import pytest

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import BUILT_IN, Reader, Source, open_source
from recurra.readers.digits import open_digits


class Telescope:
    """A plugin's reader, of addresses that are no paths."""

    name = "telescope"
    description = "sky://PLACE"

    def recognises(self, source: str) -> bool:
        return source.startswith("sky://")

    def open(self, source: str, data: Data) -> Source:
        return open_digits(data)


def test_readers_of_plugins_are_asked_after_the_built_in_ones() -> None:
    assert isinstance(Telescope(), Reader)
    source = open_source("sky://m31", Data(source="sky://m31"), [Telescope()])
    assert len(source.samples) == 1797
    assert open_source("x", Data(source="x", reader="telescope"), [Telescope()]).kind == "image"


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        ("digts", {}, r"digts: no such file or folder; .*moving-digits.*cifar10.* Did you mean 'digits'\?"),
        ("", {}, "no such file or folder"),
        ("no/such/place", {}, "no/such/place: no such file"),
        ("digits", {"reader": "folder"}, r"data\.reader: no reader 'folder'.* Did you mean 'folders'\?"),
        ("x\0y", {}, "no such file"),
    ],
)
def test_a_source_that_is_not_there_is_named_with_the_nearest(source: str, settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source(source, Data(source=source, **settings))


@pytest.mark.parametrize("reader", [reader.name for reader in BUILT_IN])
def test_a_named_reader_says_in_a_line_why_it_cannot_read(tmp_path: Path, reader: str) -> None:
    for source in (tmp_path, tmp_path / "missing", _file(tmp_path / "notes.txt")):
        with pytest.raises(InputError) as error:
            open_source(str(source), Data(source=str(source), reader=reader))
        assert "\n" not in str(error.value)
        assert str(source) in str(error.value)


def _file(path: Path) -> Path:
    path.write_text("x")
    return path


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "an empty folder; put a folder of images or clips for each class into it"),
        ([".hidden"], "an empty folder"),
        (["a.txt", "b.txt", "c.txt", "d.txt"], "holds a.txt, b.txt, c.txt and 1 more, expected"),
        (["1.png"], "1 images in no class folder; move those of each class"),
        (["1.png", "labels.csv"], "holds 1.png, labels.csv, expected"),
    ],
)
def test_a_folder_that_no_reader_recognises_is_described(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        _file(tmp_path / name)
    with pytest.raises(InputError, match=message):
        open_source(str(tmp_path), Data(source=str(tmp_path)))


def test_archives_and_broken_links_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"x")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match="unpack it"):
        open_source(str(tmp_path / "set.zip"), Data(source="x"))
    with pytest.raises(InputError, match="a link to something that is not there"):
        open_source(str(tmp_path / "link"), Data(source="x"))


def test_relative_paths_begin_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    np.save(tmp_path / "digits/data.npy", np.zeros((4, 2, 2), np.uint8))
    np.save(tmp_path / "digits/labels.npy", np.arange(4))
    monkeypatch.chdir(tmp_path)
    assert len(open_source("./digits", Data(source="./digits")).samples) == 4
    assert len(open_source("digits", Data(source="digits")).samples) == 1797
