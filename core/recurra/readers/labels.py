"""Labels as they are stored (integers, text, one-hot rows) become class indices and class names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recurra.errors import InputError


def _text(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "backslashreplace")
    return values


def _flat(values: np.ndarray, where: str) -> np.ndarray:
    """[N] of integers or text."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        return _from_one_hot(values, where)
    if values.ndim != 1:
        raise InputError(f"{where}: labels of shape {list(values.shape)}, expected [N] or one-hot [N, classes]")
    if values.dtype.kind in "SU":
        return _text(values)
    if values.dtype.kind == "f":
        wrong = np.flatnonzero(~(values == np.rint(values)) | ~np.isfinite(values))
        if wrong.size:
            raise InputError(f"{where}: label {values[wrong[0]]} in row {wrong[0]}, expected whole numbers or text")
        return values.astype(np.int64)
    if values.dtype.kind not in "iub":
        raise InputError(f"{where}: labels of type {values.dtype}, expected whole numbers or text")
    return values.astype(np.uint64 if values.dtype.kind == "u" else np.int64)


def _from_one_hot(values: np.ndarray, where: str) -> np.ndarray:
    if values.dtype.kind not in "iubf":
        raise InputError(
            f"{where}: labels of shape {list(values.shape)} and type {values.dtype}, expected one a sample"
        )
    wrong = np.flatnonzero(((values != 0) & (values != 1)).any(1) | ((values != 0).sum(1) != 1))
    if wrong.size:
        row = values[wrong[0]]
        raise InputError(f"{where}: row {wrong[0]} is {np.array2string(row, threshold=6)}, expected one 1 and zeros")
    return values.argmax(1).astype(np.int64)


def _with_names(flat: np.ndarray, names: Sequence[str], where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if len(set(names)) != len(names):
        raise InputError(f"{where}: the class names are not all different")
    if flat.dtype.kind == "U":
        unknown = np.flatnonzero(~np.isin(flat, np.asarray(names)))
        if unknown.size:
            raise InputError(f"{where}: label {str(flat[unknown[0]])!r} in row {unknown[0]} is none of the class names")
        order = np.argsort(np.asarray(names))
        return order[np.searchsorted(np.asarray(names), flat, sorter=order)].astype(np.int32), tuple(names)
    outside = np.flatnonzero((flat < 0) | (flat >= len(names)))
    if outside.size:
        expected = f"0 to {len(names) - 1}, one for each class name"
        raise InputError(f"{where}: label {flat[outside[0]]} in row {outside[0]}, expected {expected}")
    return flat.astype(np.int32), tuple(names)


def indexed(values: np.ndarray, where: str, names: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """([N] int32 class indices, class names) of labels.

    `values` are integers, whole floats, text, or one-hot rows [N, K]. Without `names` the classes are the sorted
    distinct values as text (the K columns for one-hot rows). `where` names the file in errors.
    """
    flat = _flat(values, where)
    if names is not None:
        return _with_names(flat, names, where)
    if values.ndim == 2 and values.shape[1] > 1:
        return flat.astype(np.int32), tuple(str(column) for column in range(values.shape[1]))
    distinct, indices = np.unique(flat, return_inverse=True)
    if flat.dtype.kind == "U" and distinct.size and not str(distinct[0]).strip():
        raise InputError(f"{where}: row {np.flatnonzero(indices == 0)[0]} has an empty label")
    return indices.astype(np.int32), tuple(str(value) for value in distinct.tolist())


def check(labels: np.ndarray, classes: Sequence[str], where: str) -> None:
    """InputError unless samples of two classes or more are there."""
    if len(labels) == 0:
        raise InputError(f"{where}: no samples, expected some of each class")
    if labels.min() == labels.max():
        raise InputError(f"{where}: every sample is of class {classes[labels[0]]!r}, expected two classes or more")
