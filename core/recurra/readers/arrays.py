"""Arrays of samples with arrays of labels: .npy files in a folder, or the members of one .npz archive."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import labels, members, npy
from recurra.readers.fingerprint import digest_of_files
from recurra.readers.names import escaped, extension, is_ignored, split_of
from recurra.readers.reader import Refused, Source
from recurra.readers.rows import Part, RowSource, part, samples_of, told_kind
from recurra.readers.tree import foreign
from recurra.readers.unreadable import refusing

_DATA = ("data", "x", "images", "clips")
_LABELS = ("labels", "y", "label", "targets")
_SPLIT_WORDS = ("train", "test", "val", "valid", "validation")


@dataclass(frozen=True)
class Pair:
    """The names of an array of samples and of the array of their labels."""

    data: str
    labels: str
    split: str


def pairs(names: Sequence[str]) -> list[Pair]:
    """The pairs among names of arrays: data and labels, x and y, x_train and y_train, train_images and train_labels."""
    folded = {name.casefold(): name for name in names}

    def found(words: Sequence[str], split: str) -> str | None:
        spelt = (f"{word}_{split}" if split else word for word in words)
        turned = (f"{split}_{word}" for word in words if split)
        return next((folded[name] for name in (*spelt, *turned) if name in folded), None)

    result = []
    for split in ("", *_SPLIT_WORDS):
        data, its_labels = found(_DATA, split), found(_LABELS, split)
        if data is not None and its_labels is not None:
            result.append(Pair(data, its_labels, split_of(split) or ""))
    return result


def _is_archive(source: str) -> bool:
    return extension(source) == ".npz"


def _names(source: str) -> list[str]:
    if _is_archive(source):
        return list(members.names(source))
    return [name[:-4] for name in sorted(os.listdir(source)) if name.endswith(".npy") and not is_ignored(name)]


def _array(source: str, name: str) -> np.ndarray:
    shown = f"{escaped(source)}, array {escaped(name)}" if _is_archive(source) else _file(source, name)
    with refusing(shown):
        if _is_archive(source):
            return members.member(source, name)
        return npy.mapped(os.path.join(source, f"{name}.npy"))


def _file(source: str, name: str) -> str:
    return f"{escaped(source).rstrip('/')}/{escaped(name)}.npy"


def _where(source: str, name: str) -> str:
    return f"{escaped(source)}, array {escaped(name)}" if _is_archive(source) else _file(source, name)


def _class_names(source: str, names: Sequence[str]) -> list[str] | None:
    if "classes" not in names:
        return None
    values = _array(source, "classes")
    if values.ndim != 1 or values.dtype.kind not in "SU":
        where = _where(source, "classes")
        raise InputError(f"{where}: {values.dtype} of shape {list(values.shape)}, expected text, one a class")
    text = np.char.decode(values, "utf-8", "backslashreplace") if values.dtype.kind == "S" else values
    return [str(name) for name in text]


def _same_length(source: str, pair: Pair, array: np.ndarray, values: np.ndarray) -> None:
    rows, given = (len(each) if each.ndim else 0 for each in (array, values))
    if rows != given:
        where = _where(source, pair.data)
        raise InputError(
            f"{where}: {rows:,} samples, but {given:,} labels in {escaped(pair.labels)}; "
            "expected one label a sample, in the same order"
        )


def _joined(arrays: Sequence[np.ndarray], source: str, found: Sequence[Pair]) -> np.ndarray:
    kinds = {("text" if array.dtype.kind in "SU" else "number", array.shape[1:]) for array in arrays}
    if len(kinds) > 1:
        shown = " and ".join(_where(source, pair.labels) for pair in found)
        raise InputError(f"{shown}: labels of different types or shapes; expected one for all splits")
    return np.concatenate(arrays)


@dataclass
class ArrayReader:
    """Reads .npy and .npz arrays."""

    home: Path | None = None
    """The home folder; left out: the default one."""
    name = "arrays"
    description = "data.npy and labels.npy (or x_train.npy, y_train.npy, ...) in a folder, or the same in one .npz"

    def recognises(self, source: str) -> bool:
        """Whether it is an .npz archive, or a folder with a pair of arrays that belong together."""
        try:
            return (_is_archive(source) and os.path.isfile(source)) or bool(pairs(_names(source)))
        except (OSError, ValueError):
            return False

    def open(self, source: str, data: Data) -> Source:
        """The rows of the arrays, memory-mapped; compressed members of an archive from temporary files."""
        with refusing(escaped(source)):
            names = _names(source)
        found = pairs(names)
        if not found:
            shown = f"the arrays {', '.join(escaped(name) for name in names)}" if names else "no arrays"
            wanted = "data and labels, x and y, or x_train, y_train, x_test, y_test"
            raise InputError(f"{escaped(source)}: holds {shown}; expected {wanted}")
        parts, its_labels = _parts(source, found, data)
        where = _where(source, found[0].labels)
        indices, classes = labels.indexed(_joined(its_labels, source, found), where, _class_names(source, names))
        samples = samples_of(parts, indices)
        labels.check(samples.labels, classes, escaped(source))
        kind = told_kind(parts[0].array.shape, data, where)
        fingerprint = partial(digest_of_files, *_files(source, found, names), self.home)
        return RowSource(kind, classes, samples, parts, fingerprint, _beside(source, found))


def _parts(source: str, found: Sequence[Pair], data: Data) -> tuple[list[Part], list[np.ndarray]]:
    parts, its_labels = [], []
    for pair in found:
        array, values = _array(source, pair.data), _array(source, pair.labels)
        _same_length(source, pair, array, values)
        where = _where(source, pair.data)
        kind = told_kind(array.shape, data, where)
        name = f"{escaped(os.path.basename(source))}/{escaped(pair.data)}" if _is_archive(source) else None
        parts.append(part(name or f"{escaped(pair.data)}.npy", pair.split, array, kind, data, where))
        its_labels.append(values)
        if told_kind(parts[0].array.shape, data, where) != kind:
            raise InputError(f"{where}: {kind}s, but {parts[0].name} holds the other kind; expected one kind in all")
    return parts, its_labels


def _beside(source: str, found: Sequence[Pair]) -> list[Refused]:
    if _is_archive(source):
        return []
    used = {f"{name}.npy" for pair in found for name in (pair.data, pair.labels)} | {"classes.npy"}
    names = [name for name in sorted(os.listdir(source)) if name not in used and not is_ignored(name)]
    return [foreign(name, "beside the arrays, not one of them") for name in names]


def _files(source: str, found: Sequence[Pair], names: Sequence[str]) -> tuple[str, list[str]]:
    """The folder of the files that are used, and their names."""
    if _is_archive(source):
        return os.path.dirname(source), [os.path.basename(source)]
    used = [f"{name}.npy" for pair in found for name in (pair.data, pair.labels)]
    return source, used + ["classes.npy"] * ("classes" in names)
