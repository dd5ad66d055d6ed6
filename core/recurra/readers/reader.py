"""What a reader is: it recognises a source, lists its samples cheaply, and decodes any of them on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from recurra.experiment import Data

Kind = Literal["image", "clip"]


@dataclass(frozen=True)
class Samples:
    """What is known of every sample before any pixel is decoded: one entry a sample, in a fixed order."""

    sources: Sequence[str]
    """Where each came from: a path below the source with forward slashes (bytes that are not UTF-8 escaped reversibly),
    or FILE#ROW for a row of an array file. Unique."""
    labels: np.ndarray
    """[N] int32, an index into the source's classes; -1 where there is no label."""
    splits: np.ndarray
    """[N] of 'train', 'validation', 'test', or '' where the source does not say."""
    groups: dict[str, Sequence[str]]
    """Columns of the source that a Group may name (`data.validation_group.column`); empty for most readers."""

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True)
class Form:
    """What a sample looks like before preprocessing, told from headers alone."""

    frames: int
    height: int
    width: int
    channels: Literal[1, 3]
    dtype: Literal["uint8", "float32"]
    scaled: bool = False
    """Whether float32 values are known to be on the scale of 8-bit ones, 0 to 255, as those of 16-bit greys are."""


@dataclass(frozen=True)
class Refused:
    """A sample that cannot be used, and why, in words for the person who has to mend it."""

    row: int
    source: str
    reason: str


@dataclass(frozen=True)
class Block:
    """Some decoded samples, in the order asked for, without those refused."""

    rows: np.ndarray
    """[n] int64, the rows of `Samples` that were read."""
    arrays: np.ndarray | Sequence[np.ndarray]
    """[n, T, H, W, C] where all have one shape, else n arrays [T, H, W, C]; uint8 or float32; C is 1 or 3."""
    refused: Sequence[Refused] = ()


@runtime_checkable
class Source(Protocol):
    """An opened source."""

    kind: Kind
    classes: tuple[str, ...]
    samples: Samples
    refused: Sequence[Refused]
    """What was seen while listing and cannot be a sample (a text file between the images)."""

    def digest(self) -> str:
        """sha256 (hex) of everything that the samples depend on: names and contents."""
        ...

    def forms(self, rows: np.ndarray) -> Sequence[Form | Refused]:
        """The form of each row from its header, without decoding pixels."""
        ...

    def read(self, rows: np.ndarray) -> Block:
        """Decodes the rows. Called from several threads at once; blocks of some hundred rows."""
        ...


@runtime_checkable
class Reader(Protocol):
    """Reads one kind of source. Plugins add theirs with the `recurra_readers` hook."""

    name: str
    """What `data.reader` calls it."""
    description: str
    """One line: what it recognises."""

    def recognises(self, source: str) -> bool:
        """Whether the source (a path or a name) is of this reader's kind; cheap, and never raises."""
        ...

    def open(self, source: str, data: Data) -> Source:
        """The opened source; an InputError in one line where it cannot be used."""
        ...
