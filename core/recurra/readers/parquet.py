"""Parquet tables: encoded images (as Hugging Face stores them) or fixed-size pixels (as recurra does), with labels."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recurra.errors import InputError, nearest
from recurra.experiment import Data
from recurra.readers import labels, npy
from recurra.readers.names import escaped, extension, split_of, split_prefix
from recurra.readers.reader import Kind, Refused, Samples, Source
from recurra.readers.row_groups import Pixels, RowGroup, TableSource
from recurra.readers.rows import RowNames
from recurra.readers.tree import below, foreign, listed
from recurra.readers.unreadable import UnreadableError, refusing

_EXTENSIONS = (".parquet", ".pq")
_PROBED = 3


class Column(Sequence[str]):
    """A column of text or integers as text, kept in Arrow's memory."""

    def __init__(self, values: pa.ChunkedArray) -> None:
        self.values = pc.fill_null(values.cast(pa.string()), "")

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[str]:
        return (value for chunk in self.values.chunks for value in chunk.to_pylist())

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        found = self.values[index]
        return found.to_pylist() if isinstance(index, slice) else found.as_py()


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)


def _is_encoded(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_encoded(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def files_of(source: str) -> list[str]:
    """The Parquet files below a source: itself, in it, in its `data` folder, or in folders named after splits."""
    if os.path.isfile(source):
        return [""] if extension(source) in _EXTENSIONS else []
    top = listed(source)
    inner = [listed(source, name) for name in top.folders if name == "data" or split_of(name)]
    files = [below(folder.path, name) for folder in (top, *inner) for name in folder.files]
    return [name for name in files if extension(name) in _EXTENSIONS]


def _split(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return split_of(folder) or split_prefix(file) or ""


def _image_column(schema: pa.Schema, data: Data) -> str | None:
    if data.columns.image in schema.names:
        return data.columns.image
    # A dataset that recurra wrote.
    own = "pixels" in schema.names and b"recurra.shape" in (schema.field("pixels").metadata or {})
    return "pixels" if own and data.columns.image == "image" else None


def _pixels(field: pa.Field, max_pixels: int) -> Pixels:
    about = field.metadata or {}
    try:
        shape = tuple(int(side) for side in json.loads(about[b"recurra.shape"]))
        dtype = np.dtype(about[b"recurra.dtype"].decode())
    except (KeyError, ValueError, TypeError):
        wanted = "field metadata recurra.shape (JSON) and recurra.dtype (uint8 or float32)"
        raise UnreadableError(f"column {field.name}: fixed-size binary without {wanted}") from None
    if dtype not in (np.uint8, np.float32) or len(shape) not in (3, 4):
        wanted = "uint8 or float32, [H, W, C] or [T, H, W, C]"
        raise UnreadableError(f"column {field.name}: {dtype} {list(shape)}, expected {wanted}")
    needed = math.prod(shape) * dtype.itemsize
    if needed != field.type.byte_width:
        raise UnreadableError(
            f"column {field.name}: {field.type.byte_width} bytes a value, {dtype} {list(shape)} needs {needed}"
        )
    kind: Kind = "clip" if len(shape) == 4 else "image"
    return Pixels(npy.form_of(shape, dtype, kind, max_pixels), kind)


def _path(source: str, name: str) -> str:
    return os.path.join(source, name) if name else source


def _footer(source: str, name: str) -> tuple[pa.Schema, pq.FileMetaData]:
    path = _path(source, name)
    with refusing(escaped(path)), pq.ParquetFile(path) as file:
        return file.schema_arrow, file.metadata


def _row_groups(name: str, footer: pq.FileMetaData) -> Iterator[RowGroup]:
    for number in range(footer.num_row_groups):
        yield RowGroup(name, number, footer.row_group(number).num_rows)


def _text_columns(schema: pa.Schema, data: Data, image: str) -> list[str]:
    return [field.name for field in schema if _is_text(field.type) and field.name not in (image, data.columns.label)]


def _no_column(shown: str, role: str, asked: str, known: Sequence[str]) -> str:
    names = list(dict.fromkeys(known))
    return f"{shown}: no column {asked!r}, has {', '.join(names)};{nearest(asked, names)} Set data.columns.{role}"


def _side_table(source: str, names: Sequence[str], columns: Sequence[str]) -> pa.Table:
    """The columns of all files, one after another."""
    tables = []
    for name in names:
        with refusing(escaped(_path(source, name))):
            tables.append(pq.read_table(_path(source, name), columns=list(columns)))
    with refusing(escaped(source), "the files' columns must be of the same types"):
        return pa.concat_tables([_without_metadata(table) for table in tables]).unify_dictionaries()


def _without_metadata(table: pa.Table) -> pa.Table:
    plain = [pa.field(field.name, field.type) for field in table.schema]
    return table.replace_schema_metadata(None).cast(pa.schema(plain))


def _class_names(schema: pa.Schema, label: str) -> list[str] | None:
    """The classes' names where the schema says them: Hugging Face's ClassLabel, or a dataset that recurra wrote."""
    about = schema.metadata or {}
    for key, path in ((b"huggingface", ("info", "features", label, "names")), (b"recurra", ("classes",))):
        try:
            names: Any = json.loads(about[key])
            for step in path:
                names = names[step]
        except (KeyError, ValueError, TypeError):
            continue
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return names
    return None


def _labels(column: pa.ChunkedArray, where: str, names: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """([N] int32, class names) of a column of integers or text."""
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy()))
        raise InputError(
            f"{where}: {column.null_count} labels are missing, the first in row {row}; fill or remove them"
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        with refusing(where):
            values = column.to_numpy()
        return labels.indexed(values, where, names)
    # Only the distinct texts become Python objects.
    encoded = column.combine_chunks().dictionary_encode()
    encoded = pa.chunked_array(encoded).unify_dictionaries().combine_chunks()
    distinct = np.asarray(encoded.dictionary.to_pylist(), str)
    indices, classes = labels.indexed(distinct, where, names)
    return indices[encoded.indices.to_numpy()], classes


def _splits(table: pa.Table, names: Sequence[str], counts: Sequence[int], where: str) -> np.ndarray:
    """[N] of each row's split: from the column `split`, else from the name of its file or folder."""
    if "split" not in table.column_names:
        return np.repeat(np.asarray([_split(name) for name in names], "<U10"), counts)
    encoded = pa.chunked_array(Column(table["split"]).values.combine_chunks().dictionary_encode())
    encoded = encoded.unify_dictionaries().combine_chunks()
    values = encoded.dictionary.to_pylist()
    unknown = [value for value in values if value and not split_of(value)]
    if unknown:
        raise InputError(f"{where}: split {unknown[0]!r} in the column split, expected train, validation or test")
    return np.asarray([split_of(value) or "" for value in values], "<U10")[encoded.indices.to_numpy()]


class ParquetReader:
    """Reads Parquet tables of images or clips."""

    name = "parquet"
    description = "Parquet files with an image column (encoded, or fixed-size with shape and dtype) and a label column"

    def recognises(self, source: str) -> bool:
        """Whether it is a Parquet file, or a folder with some in it, in data/ or in folders of splits."""
        try:
            return bool(files_of(source))
        except (OSError, ValueError):
            return False

    def open(self, source: str, data: Data) -> Source:
        """The rows of the files one after another; only labels and columns of text or integers are read here."""
        shown, present = escaped(source), files_of(source)
        footers = {name: _footer(source, name) for name in present}
        names = [name for name in present if _image_column(footers[name][0], data)]
        schema = _common_schema(footers, names, shown, data)
        image = _image_column(schema, data) or ""
        groups = [group for name in names for group in _row_groups(name, footers[name][1])]
        table = _side_table(source, names, [data.columns.label, *_text_columns(schema, data, image)])
        where = f"{shown}, column {data.columns.label}"
        indices, classes = _labels(table[data.columns.label], where, _class_names(schema, data.columns.label))
        labels.check(indices, classes, shown)
        counts = [footers[name][1].num_rows for name in names]
        sources = RowNames(
            [(escaped(name or os.path.basename(source)), n) for name, n in zip(names, counts, strict=True)]
        )
        columns = {name: Column(table[name]) for name in _text_columns(schema, data, image)}
        samples = Samples(sources, indices, _splits(table, names, counts, shown), dict(columns))
        beside = [foreign(name, f"no column {data.columns.image}") for name in present if name not in names]
        pixels = _what(schema.field(image), shown, data)
        opened = TableSource(
            pixels.kind if pixels else "image",
            classes,
            samples,
            beside,
            source,
            tuple(names),
            image,
            tuple(groups),
            pixels,
            data.max_pixels,
        )
        return opened if pixels else _of_kind(opened, data)


def _common_schema(footers: Mapping[str, Any], names: Sequence[str], shown: str, data: Data) -> pa.Schema:
    """The schema of the files with images, which must agree on the columns that count."""
    known = [column for schema, _ in footers.values() for column in schema.names]
    if not names:
        raise InputError(_no_column(shown, "image", data.columns.image, known))
    first = footers[names[0]][0]
    image = _image_column(first, data)
    for name in names:
        schema = footers[name][0]
        if data.columns.label not in schema.names:
            raise InputError(_no_column(f"{shown}, {escaped(name)}", "label", data.columns.label, schema.names))
        if not schema.field(image).equals(first.field(image), check_metadata=True):
            raise InputError(f"{shown}: column {image} of {escaped(name)} is unlike that of {escaped(names[0])}")
        if missing := set(_text_columns(first, data, image or "")) - set(schema.names):
            raise InputError(f"{shown}: {escaped(name)} has no column {min(missing)}, {escaped(names[0])} has")
    return first


def _what(field: pa.Field, shown: str, data: Data) -> Pixels | None:
    """The pixels of a fixed-size column; None for a column of encoded files."""
    if _is_encoded(field.type):
        return None
    if not pa.types.is_fixed_size_binary(field.type):
        wanted = "binary, a struct with bytes, or fixed-size binary with recurra.shape"
        raise InputError(f"{shown}: column {field.name} is {field.type}, expected {wanted}")
    with refusing(shown):
        pixels = _pixels(field, data.max_pixels)
    if data.kind not in ("auto", f"{pixels.kind}s"):
        raise InputError(f"{shown}: column {field.name} holds {pixels.kind}s, data.kind asks for {data.kind}")
    return pixels


def _of_kind(source: TableSource, data: Data) -> TableSource:
    """The source with its kind told from `data.kind`, else from the first few files in its column."""
    if data.kind == "images":
        return source
    as_clips = replace(source, kind="clip")
    if data.kind == "clips":
        return as_clips
    forms = as_clips.forms(np.arange(min(_PROBED, len(source.samples))))
    moving = [not isinstance(form, Refused) and form.frames > 1 for form in forms]
    return as_clips if all(moving) else source
