import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import Source, open_source, row_groups


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (5, 4), value).save(file, "PNG")
    return file.getvalue()


def opened(path: Path, **settings) -> Source:
    return open_source(str(path), Data(source=str(path), **settings))


def values(source: Source, rows: list[int]) -> list[int]:
    return np.asarray(source.read(np.array(rows)).arrays)[:, 0, 0, 0, 0].tolist()


def encoded(count: int, **columns) -> pa.Table:
    return pa.table({"image": [png(value) for value in range(count)], **columns})


def test_encoded_images_with_integer_labels(tmp_path: Path) -> None:
    table = encoded(10, label=[3, 1] * 5, person=list("abcde") * 2, place=[1] * 10)
    pq.write_table(table, tmp_path / "set.parquet", row_group_size=3)
    groups = {"validation_group": {"column": "person"}, "test_group": {"column": "place"}}
    source = opened(tmp_path / "set.parquet", **groups)
    assert (source.kind, source.classes) == ("image", ("1", "3"))
    assert source.samples.sources[9] == "set.parquet#9"
    assert list(source.samples.groups["person"]) == list("abcde") * 2
    assert source.samples.groups["place"][4] == "1"
    assert values(source, [9, 0, 4, 3]) == [9, 0, 4, 3]


def test_hugging_face_names_its_splits_and_classes(tmp_path: Path) -> None:
    about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    for split, count in (("train", 4), ("test", 2)):
        images = [{"bytes": png(value), "path": f"{value}.png"} for value in range(count)]
        table = pa.table({"image": images, "label": [0, 1] * (count // 2)})
        (tmp_path / "data").mkdir(exist_ok=True)
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
        pq.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    source = opened(tmp_path)
    assert source.classes == ("cat", "dog")
    assert source.samples.splits.tolist() == ["test"] * 2 + ["train"] * 4
    assert values(source, [5, 0]) == [3, 0]


def test_text_labels_dictionaries_and_a_split_column(tmp_path: Path) -> None:
    labels = pa.array(["b", "a", "b", "c"]).dictionary_encode()
    table = encoded(4, label=labels, split=["train", "test", "val", "train"])
    pq.write_table(table, tmp_path / "set.parquet")
    source = opened(tmp_path)
    assert (source.classes, source.samples.labels.tolist()) == (("a", "b", "c"), [1, 0, 1, 2])
    assert source.samples.splits.tolist() == ["train", "test", "validation", "train"]


@pytest.mark.parametrize(("shape", "kind"), [((4, 5, 1), "image"), ((3, 4, 5, 3), "clip")])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_fixed_size_pixels_are_read_without_decoding(tmp_path: Path, shape, kind: str, dtype: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (7, *shape)).astype(dtype)
    width = int(np.prod(shape)) * pixels.itemsize
    about = {"recurra.shape": json.dumps(shape), "recurra.dtype": dtype}
    schema = pa.schema([pa.field("pixels", pa.binary(width), metadata=about), pa.field("label", pa.int32())])
    rows = pa.array([row.tobytes() for row in pixels], pa.binary(width))
    pq.write_table(
        pa.table([rows, pa.array([0, 1] * 3 + [0], pa.int32())], schema=schema),
        tmp_path / "a.parquet",
        row_group_size=3,
    )
    source = opened(tmp_path)
    assert source.kind == kind
    block = source.read(np.array([6, 2, 3, 2]))
    np.testing.assert_array_equal(block.arrays.reshape(4, *shape), pixels[[6, 2, 3, 2]])
    assert block.arrays.dtype == dtype
    assert source.forms(np.array([0]))[0].dtype == dtype


def test_missing_and_damaged_images_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    images = [png(0), None, png(2)[:40], png(3)]
    pq.write_table(pa.table({"image": images, "label": [0, 1, 0, 1]}), tmp_path / "set.parquet")
    block = opened(tmp_path).read(np.arange(4))
    assert block.rows.tolist() == [0, 3]
    assert [refused.row for refused in block.refused] == [1, 2]


def test_columns_that_nothing_asks_for_are_neither_read_nor_compared(tmp_path: Path) -> None:
    pq.write_table(encoded(4, label=[0, 1] * 2, caption=["x" * 1000] * 4, person=[*"abab"]), tmp_path / "1.parquet")
    pq.write_table(encoded(2, label=[0, 1], person=[*"cd"]), tmp_path / "2.parquet")
    assert not opened(tmp_path).samples.groups
    source = opened(tmp_path, test_group={"column": "person"})
    assert {name: list(column) for name, column in source.samples.groups.items()} == {"person": [*"ababcd"]}
    with pytest.raises(InputError, match=r"2\.parquet: no column 'caption'.*data\.test_group\.column"):
        opened(tmp_path, test_group={"column": "caption"})


def test_files_of_which_one_names_splits_and_another_does_not_are_named(tmp_path: Path) -> None:
    pq.write_table(encoded(2, label=[0, 1]), tmp_path / "1.parquet")
    pq.write_table(encoded(2, label=[0, 1], split=["train", "test"]), tmp_path / "2.parquet")
    with pytest.raises(InputError, match=r"1\.parquet has no column split, 2\.parquet has"):
        opened(tmp_path)


class Chunked:
    """A Parquet file whose columns come as Arrow gives those of more than 2 GiB: in chunks, structs not at all."""

    def __init__(self, path: str) -> None:
        self.file = pq.ParquetFile(path)

    def __enter__(self) -> "Chunked":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def read_row_group(self, number: int, columns: list[str]) -> pa.Table:
        table = self.file.read_row_group(number, columns=columns)
        if pa.types.is_struct(table.column(0).type):
            raise pa.ArrowNotImplementedError("Nested data conversions not implemented for chunked array outputs")
        halves = [table.column(0).slice(0, 1).chunk(0), table.column(0).slice(1).chunk(0)]
        return pa.table([pa.chunked_array(halves)], names=columns)


def test_a_row_group_of_more_bytes_than_a_chunk_holds_is_read_or_explained(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(row_groups, "_parquet", Chunked)
    pq.write_table(encoded(4, label=[0, 1] * 2), tmp_path / "set.parquet")
    assert values(opened(tmp_path), [3, 0, 1]) == [3, 0, 1]
    structs = [{"bytes": png(value), "path": ""} for value in range(2)]
    pq.write_table(pa.table({"image": structs, "label": [0, 1]}), tmp_path / "set.parquet")
    (first, _) = opened(tmp_path).read(np.arange(2)).refused
    assert "more than 2 GiB of images in one row group; write the file again with smaller row groups" in first.reason


def test_animations_in_a_column_are_clips(tmp_path: Path) -> None:
    file = io.BytesIO()
    frames = [Image.new("L", (5, 4), value) for value in (0, 99)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    pq.write_table(pa.table({"image": [file.getvalue()] * 2, "label": ["x", "y"]}), tmp_path / "set.parquet")
    source = opened(tmp_path)
    assert source.kind == "clip"
    assert source.read(np.array([1])).arrays.shape == (1, 2, 4, 5, 1)


def test_flipped_bits_are_refused_where_pages_have_checksums(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    pq.write_table(encoded(6, label=[0, 1] * 3), path, write_page_checksum=True, compression="none")
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    block = opened(path).read(np.arange(6))
    assert len(block.rows) == 0
    assert all("row group 0" in refused.reason for refused in block.refused)


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        (
            {"label": [0, 1]},
            {"columns": {"image": "imgae"}},
            r"no column 'imgae', has image, label; Did you mean 'image'\?",
        ),
        ({"labels": [0, 1]}, {}, r"no column 'label'.*Did you mean 'labels'.*data\.columns\.label"),
        ({"label": [0, 1]}, {"test_group": {"column": "who"}}, r"no column 'who'.*data\.test_group\.column"),
        ({"label": [0, 1], "who": [0.5, 1]}, {"test_group": {"column": "who"}}, "column who is double"),
        ({"label": [0, None]}, {}, "1 labels are missing, the first in row 1"),
        ({"label": [0.5, 1.0]}, {}, "label 0.5 in row 0"),
        ({"label": [1, 1]}, {}, "every sample is of class '1'"),
        ({"label": [[1], [2]]}, {}, "column label"),
        ({"label": [0, 1], "split": ["train", "holdout"]}, {}, "split 'holdout'"),
        ({"label": [0, 1]}, {"columns": {"image": "label"}}, "column label is int64, expected binary"),
    ],
)
def test_tables_that_do_not_fit_are_explained(tmp_path: Path, columns, settings, message: str) -> None:
    pq.write_table(encoded(2, **columns), tmp_path / "set.parquet")
    with pytest.raises(InputError, match=message) as error:
        opened(tmp_path, **settings)
    assert "\n" not in str(error.value)


def test_a_dataset_that_recurra_wrote_is_a_source(tmp_path: Path) -> None:
    from recurra.experiment import Experiment
    from recurra.preprocess import preprocess
    from recurra.progress import Silent

    data = Data(source="digits")
    preprocess(open_source("digits", data), Experiment(name="digits", data=data), tmp_path, Silent())
    source = opened(tmp_path)
    assert (source.kind, source.classes, len(source.samples)) == ("image", tuple("0123456789"), 1797)
    assert set(source.samples.splits) == {"train", "validation", "test"}


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "set.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(InputError, match=r"set\.parquet: damaged"):
        opened(tmp_path)
