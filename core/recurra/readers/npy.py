"""Arrays in NumPy's .npy format: headers checked before anything is trusted, objects and pickles refused always."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import IO, BinaryIO

import numpy as np

from recurra.readers import area
from recurra.readers.reader import Form, Kind
from recurra.readers.unreadable import UnreadableError, explained


@dataclass(frozen=True)
class Header:
    """What a .npy file says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    offset: int
    """Bytes before the values."""

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def header(file: IO[bytes]) -> Header:
    """The header of an open .npy file. UnreadableError where it is none, or holds Python objects."""
    with explained():
        if file.read(1) == b"":
            raise UnreadableError("the file is empty")
        file.seek(0)
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise UnreadableError(f"version {version[0]}.{version[1]} of the .npy format, which holds no plain numbers")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.hasobject:
            raise UnreadableError("it holds Python objects, which are never loaded: save it as plain numbers or text")
        if any(side < 0 for side in shape):
            raise UnreadableError(f"damaged: a shape of {shape}")
        return Header(shape, dtype, fortran, file.tell())


def _checked(file: BinaryIO) -> Header:
    head = header(file)
    present = os.fstat(file.fileno()).st_size - head.offset
    if present < head.size:
        raise UnreadableError(f"truncated: shape {head.shape} needs {head.size:,} bytes, {present:,} are there")
    return head


def mapped(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in a .npy file, memory-mapped read-only; only the pages that are looked at are read."""
    with explained(file=path), open(path, "rb") as file:
        head = _checked(file)
        return at(file, head, head.offset)


def at(file: BinaryIO, head: Header, offset: int) -> np.ndarray:
    """The array of a header whose values begin at `offset` of an open file, memory-mapped read-only."""
    if head.size == 0:
        return np.empty(head.shape, head.dtype)
    order = "F" if head.fortran else "C"
    return np.asarray(np.memmap(file, head.dtype, "r", offset, head.shape, order))


def has_numbers(dtype: np.dtype) -> bool:
    """Whether values of this type can be pixels."""
    return dtype.kind in "buif"


def layout(shape: tuple[int, ...], kind: Kind) -> tuple[int, int, int, int]:
    """(T, H, W, C) of one sample's array. UnreadableError where it has no such shape."""
    if kind == "image":
        shape = (1, *shape)
    wanted = "[H, W] or [H, W, C]" if kind == "image" else "[T, H, W] or [T, H, W, C]"
    if len(shape) == 3:
        shape = (*shape, 1)
    if len(shape) != 4 or shape[3] not in (1, 3):
        shown = list(shape[1:] if kind == "image" else shape)
        raise UnreadableError(f"shape {shown}, where {wanted} with C 1 or 3 is expected")
    if 0 in shape:
        raise UnreadableError(f"shape {list(shape)}: it has no pixels")
    return shape[0], shape[1], shape[2], shape[3]


def form_of(shape: tuple[int, ...], dtype: np.dtype, kind: Kind, max_pixels: int) -> Form:
    """The form of one sample's array. UnreadableError with the reason."""
    if not has_numbers(dtype):
        raise UnreadableError(f"values of type {dtype}, where numbers are expected")
    frames, height, width, channels = layout(shape, kind)
    area.check((width, height), frames, max_pixels)
    return Form(frames, height, width, 1 if channels == 1 else 3, "uint8" if dtype in (bool, np.uint8) else "float32")


def form(path: str, kind: Kind, max_pixels: int) -> Form:
    """The form of a sample that is a .npy file, from its header. UnreadableError with the reason."""
    with explained(file=path), open(path, "rb") as file:
        head = _checked(file)
        return form_of(head.shape, head.dtype, kind, max_pixels)


def values(array: np.ndarray) -> np.ndarray:
    """uint8 as it is, bool as 0 and 255, every other number as float32, unscaled."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(np.float32)


def pixels(path: str, kind: Kind, max_pixels: int) -> np.ndarray:
    """[T, H, W, C] of a sample that is a .npy file, as `form` says. UnreadableError with the reason."""
    # Read into memory: quicker than a map for the many small files of a tree.
    with explained(file=path), open(path, "rb") as file:
        head = _checked(file)
        wanted = form_of(head.shape, head.dtype, kind, max_pixels)
        stored = np.fromfile(file, head.dtype, math.prod(head.shape))
        array = values(stored.reshape(head.shape, order="F" if head.fortran else "C"))
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise UnreadableError("it holds NaN or infinity")
        return array.reshape(wanted.frames, wanted.height, wanted.width, wanted.channels)
