"""Parquet tables: encoded images (as Hugging Face stores them) or fixed-size pixels (as recurra does), with labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import labels
from recurra.readers.columns import Column, class_names, image_column, no_column, pixels_of, side_columns
from recurra.readers.names import escaped, extension, split_of, split_prefix
from recurra.readers.reader import Refused, Samples, Source
from recurra.readers.row_groups import RowGroup, TableSource
from recurra.readers.rows import RowNames
from recurra.readers.tree import below, foreign, listed
from recurra.readers.unreadable import UnreadableError, refusing

_EXTENSIONS = (".parquet", ".pq")
_PROBED = 3


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


def _path(source: str, name: str) -> str:
    return os.path.join(source, name) if name else source


def _footer(source: str, name: str) -> tuple[pa.Schema, pq.FileMetaData]:
    path = _path(source, name)
    with refusing(escaped(path)), pq.ParquetFile(path) as file:
        return file.schema_arrow, file.metadata


def _row_groups(name: str, footer: pq.FileMetaData) -> Iterator[RowGroup]:
    for number in range(footer.num_row_groups):
        yield RowGroup(name, number, footer.row_group(number).num_rows)


def _side_table(source: str, names: Sequence[str], counts: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """The columns of all files, one after another."""
    tables = []
    for name, count in zip(names, counts, strict=True):
        with refusing(escaped(_path(source, name))):
            table = pq.read_table(_path(source, name), columns=list(columns), page_checksum_verification=True)
            if table.num_rows != count:
                raise UnreadableError(f"damaged: {table.num_rows} rows, {count} were written")
            table.validate(full=True)
            tables.append(_without_metadata(table))
    with refusing(escaped(source), "the files' columns must be of the same types"):
        return pa.concat_tables(tables).unify_dictionaries()


def _without_metadata(table: pa.Table) -> pa.Table:
    plain = [pa.field(field.name, field.type) for field in table.schema]
    return table.replace_schema_metadata(None).cast(pa.schema(plain))


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


@dataclass
class ParquetReader:
    """Reads Parquet tables of images or clips."""

    home: Path | None = None
    """The home folder; left out: the default one."""
    name = "parquet"
    description = "Parquet files with an image column (encoded, or fixed-size with shape and dtype) and a label column"

    def recognises(self, source: str) -> bool:
        """Whether it is a Parquet file, or a folder with some in it, in data/ or in folders of splits."""
        try:
            return bool(files_of(source))
        except (OSError, ValueError):
            return False

    def open(self, source: str, data: Data) -> Source:
        """The rows of the files one after another; only labels, splits and groups are read here."""
        shown, present = escaped(source), files_of(source)
        footers = {name: _footer(source, name) for name in present}
        names = [name for name in present if image_column(footers[name][0], data)]
        schema = _common_schema(footers, names, shown, data)
        image = image_column(schema, data) or ""
        groups = [group for name in names for group in _row_groups(name, footers[name][1])]
        counts = [footers[name][1].num_rows for name in names]
        beside = side_columns(schema, data, shown)
        table = _side_table(source, names, counts, list(dict.fromkeys([data.columns.label, *beside])))
        where = f"{shown}, column {data.columns.label}"
        indices, classes = _labels(table[data.columns.label], where, class_names(schema, data.columns.label))
        labels.check(indices, classes, shown)
        sources = RowNames(
            [(escaped(name or os.path.basename(source)), n) for name, n in zip(names, counts, strict=True)]
        )
        columns = {name: Column(table[name]) for name in beside}
        samples = Samples(sources, indices, _splits(table, names, counts, shown), dict(columns))
        others = [foreign(name, f"no column {data.columns.image}") for name in present if name not in names]
        pixels = pixels_of(schema.field(image), shown, data)
        opened = TableSource(
            pixels.kind if pixels else "image",
            classes,
            samples,
            others,
            source,
            tuple(names),
            image,
            tuple(groups),
            pixels,
            data.max_pixels,
            self.home,
        )
        return opened if pixels else _of_kind(opened, data)


def _common_schema(footers: Mapping[str, Any], names: Sequence[str], shown: str, data: Data) -> pa.Schema:
    """The schema of the files with images, which must agree on the columns that count."""
    known = [column for schema, _ in footers.values() for column in schema.names]
    if not names:
        if not footers:
            raise InputError(f"{shown}: no Parquet files in it, expected {ParquetReader.description}")
        raise InputError(no_column(shown, "columns.image", data.columns.image, known))
    first = footers[names[0]][0]
    image = image_column(first, data)
    for name in names:
        schema, where = footers[name][0], f"{shown}/{escaped(name)}" if name else shown
        if data.columns.label not in schema.names:
            raise InputError(no_column(where, "columns.label", data.columns.label, schema.names))
        if not schema.field(image).equals(first.field(image), check_metadata=True):
            raise InputError(f"{shown}: column {image} of {escaped(name)} is unlike that of {escaped(names[0])}")
        if ("split" in schema.names) != ("split" in first.names):
            one, other = (names[0], name) if "split" in first.names else (name, names[0])
            raise InputError(f"{shown}: {escaped(other)} has no column split, {escaped(one)} has")
        side_columns(schema, data, where)
    return first


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
