"""A dataset written, and read again."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from recurra import dataset_writer
from recurra.contract import SampleShape
from recurra.dataset import Dataset, to_numpy
from recurra.dataset_writer import DatasetWriter, Rows
from recurra.errors import RecurraError
from recurra.normalisation import Normalisation
from recurra.readers.reader import Refused
from recurra.recipe import Recipe

CLIP = SampleShape("clip", 3, 4, 5, 3)
CLASSES = ("cat", "dog")


def write(folder, pixels, sample=CLIP, dtype="float32", groups=None, compression="none", blocks=7):
    labels = (np.arange(len(pixels)) % 2).astype(np.int32)
    with DatasetWriter(folder, sample, dtype, CLASSES, groups is not None, compression) as writer:
        for start in range(0, len(pixels), blocks):
            part = slice(start, start + blocks)
            rows = range(len(pixels))[part]
            named = None if groups is None else groups[part]
            lengths = np.arange(len(pixels), dtype=np.int32)[part]
            writer.write("train", Rows(pixels[part], labels[part], [f"é/{r}" for r in rows], lengths, named))
        recipe = Recipe(sample, dtype, "stretch", "resample", "none").to_json()
        about = {"format": 1, "classes": CLASSES, "sample": recipe["sample"], "dtype": dtype, "recipe": recipe}
        about["counts"] = {"train": np.bincount(labels, minlength=2).tolist()}
        about["normalisation"] = Normalisation((2.0,) * 3, (0.5,) * 3).to_json()
        writer.finish(about, [Refused(3, "bad.png", "is cut short")])
    return folder


@pytest.fixture
def pixels():
    return np.random.default_rng(0).normal(size=(50, *CLIP.array)).astype(np.float32)


@pytest.fixture
def small_row_groups(monkeypatch):
    monkeypatch.setattr(dataset_writer, "ROWS", 8)


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_what_is_written_is_read_again(tmp_path, pixels, compression):
    dataset = Dataset.open(write(tmp_path, pixels, compression=compression, groups=["g"] * 20 + ["h"] * 30))
    train = dataset.splits["train"]
    assert (train.pixels() == pixels).all()
    assert train.labels().tolist() == [0, 1] * 25
    assert train.sources()[:2] == ["é/0", "é/1"]
    assert train.lengths().tolist() == list(range(50))
    assert train.groups() == ["g"] * 20 + ["h"] * 30
    assert (dataset.classes, dataset.sample, dataset.dtype) == (CLASSES, CLIP, np.float32)
    assert dataset.refused == [Refused(3, "bad.png", "is cut short")]


def test_row_groups_and_files_join_in_order(tmp_path, pixels, small_row_groups, monkeypatch):
    monkeypatch.setattr(dataset_writer, "FILE_BYTES", 20 * pixels[0].nbytes)
    dataset = Dataset.open(write(tmp_path, pixels))
    assert len(list(tmp_path.glob("train-*.parquet"))) == 4
    assert (dataset.splits["train"].pixels() == pixels).all()
    assert (dataset.splits["train"].gather([49, 0, 17, 0]) == pixels[[49, 0, 17, 0]]).all()


def test_a_split_that_is_too_large_is_mapped_from_scratch_and_leaves_nothing(tmp_path, pixels, small_row_groups):
    train = Dataset.open(write(tmp_path, pixels)).splits["train"]
    mapped = train.pixels(tmp_path / "scratch", limit=1000)
    assert isinstance(mapped, np.memmap)
    assert (mapped[[40, 3]] == pixels[[40, 3]]).all()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_row_groups_of_a_file_are_read_into_one_array_without_a_copy(tmp_path, pixels, small_row_groups):
    train = Dataset.open(write(tmp_path, pixels)).splits["train"].pixels()
    column = pq.read_table(tmp_path / "train-00000.parquet")["pixels"]
    assert not train.flags.owndata
    assert not train.flags.writeable
    assert (train == pixels).all()
    assert (to_numpy(column.slice(5, 3), CLIP.array, "float32") == pixels[5:8]).all()


def test_pixels_explain_themselves_to_pandas(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 5, 6, 1), dtype=np.uint8)
    write(tmp_path, images, SampleShape("image", 1, 5, 6, 1), "uint8")
    about = pq.read_schema(tmp_path / "train-00000.parquet").field("pixels").metadata
    shape, dtype = json.loads(about[b"recurra.shape"]), about[b"recurra.dtype"].decode()
    row = pd.read_parquet(tmp_path / "train-00000.parquet").iloc[2]
    assert shape == [5, 6, 1]
    assert (np.frombuffer(row["pixels"], dtype).reshape(shape) == images[2, 0]).all()
    assert row["class"] == "cat"


def test_equal_samples_give_equal_bytes_however_they_arrive(tmp_path, pixels, small_row_groups):
    for name, blocks in (("a", 7), ("b", 19)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, pixels, blocks=blocks)
    files = [(tmp_path / name / "train-00000.parquet").read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_a_flipped_bit_in_the_pixels_is_seen(tmp_path, pixels):
    path = write(tmp_path, pixels) / "train-00000.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[2000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(RecurraError, match=r"train-00000.parquet: damaged"):
        Dataset.open(tmp_path).splits["train"].pixels()


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_file_that_is_cut_short_is_seen(tmp_path, pixels, keep):
    path = write(tmp_path, pixels) / "train-00000.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RecurraError, match=r"train-00000.parquet: damaged"):
        Dataset.open(tmp_path)


def test_changed_metadata_is_seen(tmp_path, pixels):
    path = write(tmp_path, pixels) / "train-00000.parquet"
    table = pq.read_table(path)
    about = table.schema.metadata[b"recurra"].replace(b"stretch", b"crop")
    pq.write_table(table.replace_schema_metadata({"recurra": about}), path)
    with pytest.raises(RecurraError, match="metadata has changed"):
        Dataset.open(tmp_path)


def test_a_missing_file_is_seen(tmp_path, pixels, small_row_groups, monkeypatch):
    monkeypatch.setattr(dataset_writer, "FILE_BYTES", 20 * pixels[0].nbytes)
    (write(tmp_path, pixels) / "train-00001.parquet").unlink()
    with pytest.raises(RecurraError, match="the train split has 34 samples, and 50 were written"):
        Dataset.open(tmp_path)


def test_a_folder_without_a_dataset_says_so(tmp_path):
    with pytest.raises(RecurraError, match="no dataset here"):
        Dataset.open(tmp_path)


def test_a_parquet_file_of_someone_else_is_not_a_dataset(tmp_path):
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "train-00000.parquet")
    with pytest.raises(RecurraError, match="not a recurra dataset"):
        Dataset.open(tmp_path)
