"""The sha256 of a source's files, hashed in parallel and remembered: a second look only asks for their dates."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from recurra.durable import write_bytes
from recurra.home import Home
from recurra.readers.names import escaped

_REMEMBERED_FILES, _REMEMBERED_BYTES = 256, 16 << 20
"""Below both of these hashing again costs less than remembering."""
_SETTLED = 2_000_000_000
"""Nanoseconds: a file changed more recently could change again within one tick of its file system's clock."""
_UNREADABLE = bytes(32)
_CHUNK = 64
_Stamp = tuple[int, int, int]


def _sha256(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:  # reading it as a sample gives the reason
        return _UNREADABLE


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ino


def _hashed(paths: Sequence[str]) -> list[bytes]:
    def several(chunk: Sequence[str]) -> list[bytes]:
        return [_sha256(path) for path in chunk]

    chunks = [paths[at : at + _CHUNK] for at in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 2)) as threads:
        return [digest for digests in threads.map(several, chunks) for digest in digests]


def _memory_of(root: str, home: Path | None) -> Path:
    where = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()
    return (home or Home.default().path) / "digests" / f"{where[:32]}.parquet"


def _remembered(memory: Path) -> dict[bytes, tuple[_Stamp, bytes]]:
    import pyarrow.parquet as pq

    if not memory.is_file():
        return {}
    try:
        table = pq.read_table(memory, page_checksum_verification=True)
        stamps = zip(*(table[name].to_pylist() for name in ("size", "mtime_ns", "inode")), strict=True)
        known = zip(stamps, table["sha256"].to_pylist(), strict=True)
        return dict(zip(table["name"].to_pylist(), known, strict=True))
    except Exception:  # a damaged memory costs a hashing, nothing else
        return {}


def _remember(memory: Path, names: Sequence[bytes], stamps: Sequence[_Stamp], digests: Sequence[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    now = time.time_ns()
    settled = [stamp[1] < now - _SETTLED for stamp in stamps]
    keep = [row for row, digest in enumerate(digests) if settled[row] and digest != _UNREADABLE]
    columns = {
        "name": pa.array([names[row] for row in keep], pa.binary()),
        "size": pa.array([stamps[row][0] for row in keep], pa.int64()),
        "mtime_ns": pa.array([stamps[row][1] for row in keep], pa.int64()),
        "inode": pa.array([stamps[row][2] for row in keep], pa.uint64()),
        "sha256": pa.array([digests[row] for row in keep], pa.binary(32)),
    }
    table, file = pa.table(columns), io.BytesIO()
    pq.write_table(table, file, compression="zstd", write_page_checksum=True)
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(memory, file.getvalue())
    except OSError:
        return  # a home that cannot be written to costs the next run a hashing


def _file_digests(root: str, names: Sequence[str], home: Path | None) -> list[bytes]:
    paths = [os.path.join(root, name) for name in names]
    stamps = [_stamp(path) for path in paths]
    if len(names) < _REMEMBERED_FILES and sum(stamp[0] for stamp in stamps) < _REMEMBERED_BYTES:
        return _hashed(paths)
    memory, keys = _memory_of(root, home), [os.fsencode(name) for name in names]
    known = _remembered(memory)
    digests = [
        known[key][1] if key in known and known[key][0] == stamp else b""
        for key, stamp in zip(keys, stamps, strict=True)
    ]
    missing = [row for row, digest in enumerate(digests) if not digest]
    for row, digest in zip(missing, _hashed([paths[row] for row in missing]), strict=True):
        digests[row] = digest
    if missing or len(known) != len(names):
        _remember(memory, keys, stamps, digests)
    return digests


def digest_of_files(root: str, names: Iterable[str], home: Path | None = None) -> str:
    """sha256 (hex) over the names below `root` and the contents of these files, in the order of their names.

    Where there are many files or large ones, each file's sha256 is kept in `digests` in the home folder (left out: the
    default one) with its size, date and inode, and is taken from there while these are unchanged.
    """
    ordered, whole = sorted(names), hashlib.sha256()
    for name, digest in zip(ordered, _file_digests(root, ordered, home), strict=True):
        whole.update(escaped(name).encode() + b"\0" + digest)
    return whole.hexdigest()


def digest_of_values(*parts: bytes | np.ndarray) -> str:
    """sha256 (hex) over values that no file holds, each with its length, type and shape."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            whole.update(f"{part.dtype.str}{part.shape}".encode() + b"\0")
            whole.update(np.ascontiguousarray(part).data)
        else:
            whole.update(len(part).to_bytes(8, "little") + part)
    return whole.hexdigest()
