"""The columns of a Parquet table: which holds the images and how, which the labels' names, which may name groups."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recurra.errors import InputError, nearest
from recurra.experiment import Data
from recurra.readers import npy
from recurra.readers.reader import Kind
from recurra.readers.row_groups import Pixels
from recurra.readers.unreadable import UnreadableError, refusing


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


def image_column(schema: pa.Schema, data: Data) -> str | None:
    """The column that holds the images; None where there is none."""
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


def side_columns(schema: pa.Schema, data: Data, shown: str) -> list[str]:
    """The columns to read besides the image and the label: `split`, and those that groups are made by.

    InputError where one of the latter is missing or holds neither text nor integers.
    """
    wanted = ["split"] if "split" in schema.names and _is_text(schema.field("split").type) else []
    for role, group in (("test_group", data.test_group), ("validation_group", data.validation_group)):
        if group is None or group.column is None:
            continue
        if group.column not in schema.names:
            raise InputError(no_column(shown, f"{role}.column", group.column, schema.names))
        if not _is_text(found := schema.field(group.column).type):
            raise InputError(f"{shown}: column {group.column} is {found}, data.{role}.column needs text or integers")
        wanted.append(group.column)
    return list(dict.fromkeys(wanted))


def no_column(shown: str, role: str, asked: str, known: Sequence[str]) -> str:
    """The line that says that a column is missing; `role` is the field below `data` that asks for it."""
    names = list(dict.fromkeys(known))
    hint = nearest(asked, names)
    return f"{shown}: no column {asked!r}, has {', '.join(names)};{f'{hint} Set' if hint else ' set'} data.{role}"


def class_names(schema: pa.Schema, label: str) -> list[str] | None:
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


def pixels_of(field: pa.Field, shown: str, data: Data) -> Pixels | None:
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
