import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import Source, open_source


def still(path: Path, value: int = 9, size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def stills(root: Path, names: Iterable[str]) -> Path:
    for value, name in enumerate(names):
        still(root / name, value)
    return root


def opened(root: Path, **settings) -> Source:
    return open_source(str(root), Data(source=str(root), **settings))


def test_grey_frames_of_8_and_16_bits_are_on_one_scale_and_floats_need_not_be(tmp_path: Path) -> None:
    for folder, second in (("a/x", np.uint16), ("b/y", np.float32)):
        still(tmp_path / folder / "0.tif")
        Image.fromarray(np.ones((4, 6), second)).save(tmp_path / folder / "1.tif")
    forms = opened(tmp_path, kind="clips").forms(np.arange(2))
    assert [(form.frames, form.dtype, form.scaled) for form in forms] == [(2, "float32", True), (2, "float32", False)]


def test_a_home_folder_that_is_named_is_the_one_that_remembers(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RECURRA_HOME", str(tmp_path / "other"))
    root = stills(tmp_path / "tree", [f"{'ab'[n % 2]}/{n}.png" for n in range(300)])
    open_source(str(root), Data(source=str(root)), home=tmp_path / "home").digest()
    assert len(list((tmp_path / "home/digests").iterdir())) == 1
    assert not (tmp_path / "other").exists()


def everything(source: Source):
    return source.read(np.arange(len(source.samples)))


def test_a_folder_for_each_class_is_a_source_of_images(tmp_path: Path) -> None:
    source = opened(stills(tmp_path, ["cat/b.png", "cat/a.png", "dog/x/c.bmp"]))
    assert (source.kind, source.classes) == ("image", ("cat", "dog"))
    assert list(source.samples.sources) == ["cat/a.png", "cat/b.png", "dog/x/c.bmp"]
    assert source.samples.labels.tolist() == [0, 0, 1]
    assert set(source.samples.splits) == {""}
    block = everything(source)
    assert np.asarray(block.arrays)[:, 0, 0, 0, 0].tolist() == [1, 0, 2]


def test_split_folders_become_splits_and_classes_are_in_natural_order(tmp_path: Path) -> None:
    names = [f"{split}/{name}/1.png" for split in ("train", "test", "val") for name in ("10", "9")]
    source = opened(stills(tmp_path, names))
    assert source.classes == ("9", "10")
    assert sorted(zip(source.samples.splits, source.samples.labels.tolist(), strict=True)) == [
        (split, label) for split in ("test", "train", "validation") for label in (0, 1)
    ]


def test_classes_may_be_named_like_a_split(tmp_path: Path) -> None:
    assert opened(stills(tmp_path, ["train/1.png", "plane/1.png"])).classes == ("plane", "train")


def test_folders_of_numbered_frames_are_clips_in_natural_order(tmp_path: Path) -> None:
    frames = [f"{c}/clip{k}/frame{t}.png" for c in "ab" for k in (1, 2) for t in range(12)]
    source = opened(stills(tmp_path, frames))
    assert source.kind == "clip"
    assert list(source.samples.sources) == ["a/clip1", "a/clip2", "b/clip1", "b/clip2"]
    block = everything(source)
    assert np.asarray(block.arrays)[1, :, 0, 0, 0].tolist() == list(range(12, 24))
    assert source.forms(np.array([0]))[0] == source.forms(np.array([3]))[0]


def test_folders_that_could_be_either_need_a_word_from_the_user(tmp_path: Path) -> None:
    stills(tmp_path, ["a/anna/IMG_1.png", "a/anna/IMG_7.png", "b/ben/IMG_3.png", "b/ben/IMG_4.png"])
    with pytest.raises(InputError, match=r"set data\.kind to images or clips"):
        opened(tmp_path)
    assert len(opened(tmp_path, kind="images").samples) == 4
    assert len(opened(tmp_path, kind="clips").samples) == 2


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "tif"])
def test_animations_are_clips(tmp_path: Path, extension: str) -> None:
    first, *rest = [Image.new("L", (6, 4), value) for value in (0, 90, 180)]
    for name in "ab":
        (tmp_path / name).mkdir()
        first.save(tmp_path / name / f"1.{extension}", save_all=True, append_images=rest)
    source = opened(tmp_path)
    assert source.kind == "clip"
    assert [form.frames for form in source.forms(np.array([0, 1]))] == [3, 3]
    assert np.asarray(everything(source).arrays)[0].shape[:3] == (3, 4, 6)


def test_arrays_in_class_folders_are_clips_of_any_number_type(tmp_path: Path) -> None:
    for name, array in {
        "a/bytes.npy": np.full((2, 4, 6), 200, np.uint8),
        "a/bools.npy": np.ones((2, 4, 6), bool),
        "b/degrees.npy": np.asfortranarray(np.arange(48, dtype=">f8").reshape(2, 4, 6)),
        "b/colour.npy": np.full((2, 4, 6, 3), -7, np.int16),
        "b/nan.npy": np.full((2, 4, 6), np.nan),
        "b/objects.npy": np.array([[[None]]]),
        "b/flat.npy": np.zeros((4, 6, 2, 9)),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, array)
    source = opened(tmp_path)
    block = everything(source)
    read = {source.samples.sources[row]: array for row, array in zip(block.rows, block.arrays, strict=True)}
    assert read["a/bools.npy"].max() == 255
    assert read["a/bytes.npy"].dtype == np.uint8
    np.testing.assert_array_equal(read["b/degrees.npy"].ravel(), np.arange(48, dtype=np.float32))
    assert (read["b/colour.npy"].shape, read["b/colour.npy"].dtype) == ((2, 4, 6, 3), np.float32)
    reasons = {refused.source: refused.reason for refused in block.refused}
    assert list(reasons) == ["b/flat.npy", "b/nan.npy", "b/objects.npy"]
    assert "NaN" in reasons["b/nan.npy"]
    assert "objects" in reasons["b/objects.npy"]


def test_a_frame_of_another_size_refuses_its_clip_by_name(tmp_path: Path) -> None:
    stills(tmp_path, [f"{c}/1/{t}.png" for c in "ab" for t in range(3)])
    still(tmp_path / "a/1/2.png", size=(5, 5))
    source = opened(tmp_path)
    (refused,) = everything(source).refused
    assert refused == source.forms(np.array([0]))[0]
    assert refused.reason == "frame 2.png is 5 x 5, the first is 6 x 4"


def test_a_coloured_frame_makes_its_clip_coloured(tmp_path: Path) -> None:
    stills(tmp_path, [f"{c}/1/{t}.png" for c in "ab" for t in range(3)])
    Image.new("RGB", (6, 4), (1, 2, 3)).save(tmp_path / "a/1/1.png")
    clip = opened(tmp_path).read(np.array([0])).arrays[0]
    assert clip[:, 0, 0].tolist() == [[0, 0, 0], [1, 2, 3], [2, 2, 2]]


def test_other_files_are_listed_and_what_desktops_leave_is_not(tmp_path: Path) -> None:
    stills(tmp_path, ["a/1.png", "b/1.png"])
    for name in ("notes.txt", "a/labels.csv", "a/.DS_Store", "b/Thumbs.db", ".hidden/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    source = opened(tmp_path)
    assert {(refused.row, refused.source) for refused in source.refused} == {(-1, "notes.txt"), (-1, "a/labels.csv")}
    assert len(source.samples) == 2


def test_a_damaged_file_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    stills(tmp_path, [f"{c}/{n}.png" for c in "ab" for n in range(3)])
    whole = (tmp_path / "a/1.png").read_bytes()
    (tmp_path / "a/1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b/0.png").write_bytes(b"")
    block = everything(opened(tmp_path))
    assert block.rows.tolist() == [0, 2, 4, 5]
    assert [(refused.row, refused.source) for refused in block.refused] == [(1, "a/1.png"), (3, "b/0.png")]


def test_names_of_any_bytes_are_escaped_and_read(tmp_path: Path) -> None:
    stills(tmp_path, ["a b/ü #1.png", "c/1.png"])
    raw = os.fsencode(tmp_path / "c") + b"/\xff\n\\.png"
    Path(os.fsdecode(raw)).write_bytes((tmp_path / "c/1.png").read_bytes())
    source = opened(tmp_path)
    assert list(source.samples.sources) == ["a b/ü #1.png", "c/1.png", r"c/\xff\x0a\\.png"]
    assert len(everything(source).rows) == 3
    assert len(source.digest()) == 64


def test_links_that_lead_in_circles_come_to_an_end(tmp_path: Path) -> None:
    stills(tmp_path, ["a/1.png", "b/1.png"])
    for link, target in {"a/up": "..", "b/self": "self", "b/other": "../a", "a/other": "../b"}.items():
        (tmp_path / link).symlink_to(target)
    assert set(opened(tmp_path, kind="images").samples.sources) >= {"a/1.png", "b/1.png"}


def test_pipes_and_links_to_nothing_are_not_waited_for(tmp_path: Path) -> None:
    stills(tmp_path, ["a/1.png", "b/1.png"])
    os.mkfifo(tmp_path / "a/pipe.png")
    (tmp_path / "b/gone.png").symlink_to("nowhere.png")
    source = opened(tmp_path)
    assert {refused.source for refused in source.refused} == {"a/pipe.png", "b/gone.png"}
    assert len(everything(source).rows) == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.png", "b/notes.txt"], r"class folder b holds no images.*\(1 other files\)"),
        (["train/a/1.png", "train/b/1.png", "test/a/x.txt"], "class folder test/a holds no"),
        (["a/1.png"], "one class folder only, a"),
        (["set/a/1.png", "set/b/1.png"], r"did you mean .*/set\?"),
        (["test/a/1.png", "test/b/1.png"], "has test/ but no train/"),
    ],
)
def test_what_cannot_be_a_source_is_said_in_one_line(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        still(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=message) as error:
        opened(tmp_path)
    assert "\n" not in str(error.value)


def test_the_thermal_clips_are_recognised_as_they_were_published(fir_actions: Path) -> None:
    source = opened(fir_actions)
    assert (source.kind, len(source.classes), len(source.samples)) == ("clip", 7, 2520)
    assert dict(zip(*np.unique(source.samples.splits, return_counts=True), strict=True)) == {"train": 1680, "test": 840}
    block = source.read(np.arange(0, 2520, 100))
    assert not block.refused
    assert all(array.dtype == np.float32 and array.shape[1:] == (16, 16, 1) for array in block.arrays)
