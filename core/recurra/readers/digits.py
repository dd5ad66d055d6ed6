"""The bundled digits: 1,797 handwritten digits of 8 x 8 pixels, by 43 people (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from pyarrow import csv

from recurra.experiment import Data
from recurra.readers.fingerprint import digest_of_values
from recurra.readers.reader import Source
from recurra.readers.rows import RowSource, part, samples_of, told_kind

NAME = "digits"


@lru_cache(maxsize=1)
def digits() -> tuple[np.ndarray, np.ndarray]:
    """([1797, 8, 8] uint8 images, [1797] int32 labels): the 17 levels of ink, spread evenly over 0..255."""
    table = csv.read_csv(_file(), csv.ReadOptions(autogenerate_column_names=True))
    rows = np.column_stack([column.to_numpy() for column in table.columns])
    spread = np.rint(rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    spread.setflags(write=False)
    return spread, rows[:, -1].astype(np.int32)


def _file() -> Path:
    """Of scikit-learn, which brings it; found without importing scikit-learn, which takes longer than all else here."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("datasets") / "data" / "digits.csv.gz"


def open_digits(data: Data) -> Source:
    """The digits as a source of images, classes 0 to 9, without a split of its own."""
    images, labels = digits()
    kind = told_kind(images.shape, data, NAME)
    parts = [part(NAME, "", images, kind, data, NAME)]
    classes = tuple(str(digit) for digit in range(10))
    return RowSource(kind, classes, samples_of(parts, labels), parts, partial(digest_of_values, images, labels))
