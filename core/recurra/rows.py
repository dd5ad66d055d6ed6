"""Rows of plain values, one dataclass each, as a Parquet table with a column for each field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Row = TypeVar("Row", bound=DataclassInstance)
else:
    Row = TypeVar("Row")

_KINDS = {"float": pa.float64(), "int": pa.int64(), "str": pa.string()}
_OR_NONE = " | None"


def write(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """Writes them; fields are float, int or str, or one of these or None, and their module has `annotations` from the
    future, so that a field's type is its name.
    """
    names = {field.name: str(field.type) for field in fields(kind)}
    columns: Any = [
        pa.field(name, _KINDS[type_.removesuffix(_OR_NONE)], nullable=type_.endswith(_OR_NONE))
        for name, type_ in names.items()
    ]
    pq.write_table(
        pa.Table.from_pylist([asdict(row) for row in rows], pa.schema(columns)), path, write_page_checksum=True
    )


def read(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of such a file."""
    return [kind(**values) for values in pq.read_table(path, page_checksum_verification=True).to_pylist()]
