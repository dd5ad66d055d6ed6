"""From what an experiment names to an opened source: which reader reads it, or why none does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from recurra.errors import InputError, nearest
from recurra.experiment import Data
from recurra.readers import decode, named
from recurra.readers.arrays import ArrayReader
from recurra.readers.folders import FolderReader
from recurra.readers.idx import IdxReader
from recurra.readers.names import escaped, extension, is_ignored
from recurra.readers.parquet import ParquetReader
from recurra.readers.reader import Reader, Source
from recurra.readers.unreadable import is_of_the_machine


def _built_in(home: Path | None = None) -> tuple[Reader, ...]:
    readers = (named.NamedReader, IdxReader, ArrayReader, ParquetReader, FolderReader)
    return tuple(reader(home) for reader in readers)


BUILT_IN: tuple[Reader, ...] = _built_in()
"""In the order in which they are asked."""
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar", ".zst")
_SHOWN = 3


def open_source(source: str, data: Data, more: Sequence[Reader] = (), home: Path | None = None) -> Source:
    """The source, opened by the reader that `data.reader` names or by the first that recognises it.

    `source` is a name (digits, fashion-mnist, ...) or a path, relative to the current folder; `more` are the readers of
    plugins, asked after the built-in ones. `home` is the folder where downloads and the files' digests are kept (left
    out: the default home). InputError in one line where nothing is there, or nobody reads it.
    """
    readers = (*_built_in(home), *more)
    path = os.path.expanduser(source)
    if data.reader is not None:
        reader = _asked_for(data.reader, readers)
        if reader in more or reader.name == named.NamedReader.name or _is_there(path):
            return _opened(reader, path, data)
        raise InputError(_unrecognised(path, readers))
    for reader in readers:
        if reader.recognises(path):
            return _opened(reader, path, data)
    raise InputError(_unrecognised(path, readers))


def _is_there(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # no file can have such a name: a null character, half a surrogate pair
        return False


def _opened(reader: Reader, path: str, data: Data) -> Source:
    try:
        return reader.open(path, data)
    except OSError as error:
        if is_of_the_machine(error):
            raise
        raise InputError(f"{escaped(path)}: {error.strerror or error}; expected {reader.description}") from None


def _asked_for(name: str, readers: Sequence[Reader]) -> Reader:
    for reader in readers:
        if reader.name == name:
            return reader
    known = [reader.name for reader in readers]
    raise InputError(f"data.reader: no reader {name!r}, known are {', '.join(known)}.{nearest(name, known)}")


def _unrecognised(path: str, readers: Sequence[Reader]) -> str:
    shown = escaped(path)
    if (not path or not _is_there(path)) and path not in named.NAMES:
        hint = nearest(path, named.NAMES)
        bundled, downloaded = ", ".join(named.BUNDLED), ", ".join(named.DOWNLOADED)
        names = f"names are {bundled} (bundled), {downloaded} (downloaded)"
        return f"{shown or 'data.source'}: no such file or folder; {names}.{hint}"
    if os.path.islink(path) and not os.path.exists(path):
        return f"{shown}: a link to something that is not there"
    if extension(path) in _ARCHIVES:
        return f"{shown}: an archive; unpack it and name the folder"
    if path in named.NAMES and not os.path.lexists(path):
        return f"{shown}: a source by name; leave data.reader out"
    if advice := _advice(path):
        return f"{shown}: {advice}"
    expected = "; or ".join(reader.description for reader in readers if not isinstance(reader, named.NamedReader))
    return f"{shown}: {_contents(path)}, expected {expected}"


def _advice(path: str) -> str:
    """What to do where it is plain what was meant; empty where it is not."""
    if not os.path.isdir(path):
        is_image = extension(path) in decode.EXTENSIONS
        return "one image; name the folder that holds a folder of images for each class" if is_image else ""
    try:
        names = [name for name in os.listdir(path) if not is_ignored(name)]
    except OSError:
        return ""
    if not names:
        return "an empty folder; put a folder of images or clips for each class into it"
    if all(extension(name) in decode.EXTENSIONS for name in names):
        return f"{len(names):,} images in no class folder; move those of each class into a folder of its own"
    return ""


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
