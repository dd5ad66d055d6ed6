from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import open_unlabelled

DATA = Data(source="anything")


def still(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 4), value).save(path)
    return path


def test_images_come_from_files_and_folders_each_once(tmp_path: Path) -> None:
    one, two = still(tmp_path / "one.png", 1), still(tmp_path / "deep/er/two.png", 2)
    source = open_unlabelled([one, tmp_path / "deep", two, tmp_path / "deep/er"], "image", DATA)
    assert list(source.samples.sources) == [str(one), str(two)]
    assert source.samples.labels.tolist() == [-1, -1]
    assert source.classes == ()
    assert np.asarray(source.read(np.arange(2)).arrays)[:, 0, 0, 0, 0].tolist() == [1, 2]


def test_a_folder_of_frames_is_a_clip_and_so_is_an_animation_or_an_array(tmp_path: Path) -> None:
    for frame in range(11):
        still(tmp_path / f"run/f{frame}.png", frame)
    frames = [Image.new("L", (6, 4), value) for value in (0, 99)]
    frames[0].save(tmp_path / "wave.gif", save_all=True, append_images=frames[1:])
    np.save(tmp_path / "heat.npy", np.zeros((5, 4, 6)))
    paths = [tmp_path / "run", tmp_path / "wave.gif", tmp_path / "heat.npy"]
    source = open_unlabelled(paths, "clip", DATA)
    assert [len(array) for array in source.read(np.arange(3)).arrays] == [11, 2, 5]
    first = source.read(np.array([0])).arrays[0]
    assert first[:, 0, 0, 0].tolist() == list(range(11))


def test_what_cannot_be_read_is_refused_and_the_rest_is_done(tmp_path: Path) -> None:
    good = still(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"not an image")
    (tmp_path / "notes.txt").write_text("x")
    source = open_unlabelled([tmp_path, tmp_path / "missing.png"], "image", DATA)
    assert {refused.reason for refused in source.refused} == {"not an image, by its name", "no such file or folder"}
    block = source.read(np.arange(2))
    assert [source.samples.sources[row] for row in block.rows] == [str(good)]
    assert block.refused[0].source == str(tmp_path / "bad.png")


def test_stills_are_no_clips(tmp_path: Path) -> None:
    source = open_unlabelled([still(tmp_path / "one.png")], "clip", DATA)
    (refused,) = source.read(np.arange(1)).refused
    assert "a still image, where a clip is expected" in refused.reason


@pytest.mark.parametrize("paths", [[], ["nothing/here.png"]])
def test_nothing_to_recognise_is_an_error(paths: list[str]) -> None:
    with pytest.raises(InputError, match="no images to recognise"):
        open_unlabelled([Path(path) for path in paths], "image", DATA)
