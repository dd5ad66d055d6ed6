"""From what an experiment names to an opened source: which reader reads it, or why none does."""

from __future__ import annotations

import os
from collections.abc import Sequence

from recurra.errors import InputError, nearest
from recurra.experiment import Data
from recurra.readers import named
from recurra.readers.arrays import ArrayReader
from recurra.readers.folders import FolderReader
from recurra.readers.idx import IdxReader
from recurra.readers.names import escaped, extension, is_ignored
from recurra.readers.parquet import ParquetReader
from recurra.readers.reader import Reader, Source

BUILT_IN: tuple[Reader, ...] = (named.NamedReader(), IdxReader(), ArrayReader(), ParquetReader(), FolderReader())
"""In the order in which they are asked."""
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar", ".zst")
_SHOWN = 3


def open_source(source: str, data: Data, more: Sequence[Reader] = ()) -> Source:
    """The source, opened by the reader that `data.reader` names or by the first that recognises it.

    `source` is a name (digits, fashion-mnist, ...) or a path, relative to the current folder; `more` are the readers of
    plugins, asked after the built-in ones. InputError in one line where nothing is there, or nobody reads it.
    """
    readers = (*BUILT_IN, *more)
    path = os.path.expanduser(source)
    if data.reader is not None:
        reader = _asked_for(data.reader, readers)
        if reader in more or reader.name == named.NamedReader.name or os.path.lexists(path):
            return _opened(reader, path, data)
        raise InputError(_unrecognised(path, readers))
    for reader in readers:
        if reader.recognises(path):
            return _opened(reader, path, data)
    raise InputError(_unrecognised(path, readers))


def _opened(reader: Reader, path: str, data: Data) -> Source:
    try:
        return reader.open(path, data)
    except OSError as error:
        raise InputError(f"{escaped(path)}: {error.strerror or error}; expected {reader.description}") from None


def _asked_for(name: str, readers: Sequence[Reader]) -> Reader:
    for reader in readers:
        if reader.name == name:
            return reader
    known = [reader.name for reader in readers]
    raise InputError(f"data.reader: no reader {name!r}, known are {', '.join(known)}.{nearest(name, known)}")


def _unrecognised(path: str, readers: Sequence[Reader]) -> str:
    shown = escaped(path)
    if not path or not os.path.lexists(path):
        hint = nearest(path, named.NAMES)
        bundled, downloaded = ", ".join(named.BUNDLED), ", ".join(named.DOWNLOADED)
        names = f"names are {bundled} (bundled), {downloaded} (downloaded)"
        return f"{shown or 'data.source'}: no such file or folder; {names}.{hint}"
    if not os.path.exists(path):
        return f"{shown}: a link to something that is not there"
    if extension(path) in _ARCHIVES:
        return f"{shown}: an archive; unpack it and name the folder"
    expected = "; or ".join(reader.description for reader in readers if not isinstance(reader, named.NamedReader))
    return f"{shown}: {_contents(path)}, expected {expected}"


def _contents(path: str) -> str:
    if not os.path.isdir(path):
        return f"a {extension(path) or 'nameless'} file"
    try:
        names = sorted(name for name in os.listdir(path) if not is_ignored(name))
    except OSError as error:
        return f"the folder cannot be read ({error.strerror})"
    if not names:
        return "an empty folder"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"holds {', '.join(escaped(name) for name in names[:_SHOWN])}{more}"
