"""The arrays of an .npz archive, and streams, as memory-mapped arrays: none is held in memory whole."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zipfile
from typing import IO, BinaryIO

import numpy as np

from recurra.readers import npy
from recurra.readers.unreadable import UnreadableError

_BLOCK = 1 << 20
_LOCAL_HEADER = 30


def spooled(stream: IO[bytes], size: int) -> BinaryIO:
    """A temporary file, gone when it is closed, with the `size` bytes that the stream must yield: no fewer, no more."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the map on it)
    try:
        written = 0
        while written <= size and (part := stream.read(min(_BLOCK, size + 1 - written))):
            written += file.write(part)
        if written != size:
            raise UnreadableError(
                f"truncated or damaged: {size:,} bytes expected, {'more' if written > size else f'{written:,}'} found"
            )
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def mapped_stream(stream: IO[bytes], head: npy.Header) -> np.ndarray:
    """The values of a stream as a memory-mapped array: unpacked in blocks into a temporary file."""
    with spooled(stream, head.size) as file:
        return npy.at(file, head, 0)


def names(path: str) -> tuple[str, ...]:
    """The names of the arrays in an .npz archive, without `.npy`."""
    with zipfile.ZipFile(path) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))


def _stored_at(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where the bytes of an uncompressed member begin (APPNOTE 4.3.7: the local header has lengths of its own)."""
    file.seek(info.header_offset)
    local = file.read(_LOCAL_HEADER)
    if len(local) < _LOCAL_HEADER or local[:4] != b"PK\3\4":
        raise UnreadableError(f"damaged: no local header of {info.filename}")
    name, extra = struct.unpack_from("<HH", local, 26)
    return info.header_offset + _LOCAL_HEADER + name + extra


def member(path: str, name: str) -> np.ndarray:
    """The array `name` of an .npz archive, memory-mapped.

    In place where it is stored uncompressed, else from a temporary file that it is unpacked into in blocks.
    """
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        info = archive.getinfo(f"{name}.npy")
        start = io.BytesIO(stream.read(min(info.file_size, 1 << 16)))
        head = npy.header(start)
        if head.offset + head.size != info.file_size:
            raise UnreadableError(
                f"array {name}: shape {head.shape} needs {head.size:,} bytes, the header says otherwise"
            )
        if info.compress_type != zipfile.ZIP_STORED:
            stream.seek(head.offset)
            return mapped_stream(stream, head)
    with open(path, "rb") as file:
        begin = _stored_at(file, info)
        if begin + info.file_size > os.fstat(file.fileno()).st_size:
            raise UnreadableError(f"truncated within the array {name}")
        return npy.at(file, head, begin + head.offset)
