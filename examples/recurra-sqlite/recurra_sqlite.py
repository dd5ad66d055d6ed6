"""Reads images from a SQLite database: a table `images (label TEXT, png BLOB)`, with a column `split` if there is one.

recurra run experiment.yaml data.source=photographs.sqlite
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from recurra import InputError, hookimpl
from recurra.experiment import Data
from recurra.readers import Block, Form, Kind, Reader, Refused, Samples, Source

if TYPE_CHECKING:
    from PIL.Image import Image


Of = TypeVar("Of")


class SqliteReader:
    """Reads `.sqlite` and `.db` files."""

    name = "sqlite"
    description = "a SQLite database with a table images (label TEXT, png BLOB)"

    def recognises(self, source: str) -> bool:
        """By its ending and its first bytes; never raises."""
        try:
            with Path(source).open("rb") as file:
                return source.endswith((".sqlite", ".db")) and file.read(16) == b"SQLite format 3\0"
        except (OSError, ValueError):
            return False

    def open(self, source: str, data: Data) -> Source:
        """Lists the samples; no picture is decoded."""
        if data.kind == "clips":
            raise InputError(f"{source}: holds images; leave data.kind out")
        return SqliteSource(Path(source), data.max_pixels)


class SqliteSource:
    """The rows of the table that have a label, in the order of their numbers."""

    kind: Kind = "image"
    refused: Sequence[Refused] = ()

    def __init__(self, path: Path, max_pixels: int) -> None:
        self.path, self.max_pixels = path, max_pixels
        try:
            with self._open() as database:
                columns = {row[1] for row in database.execute("PRAGMA table_info(images)")}
                of = f"rowid, CAST(label AS TEXT), {'split' if 'split' in columns else 'NULL'}"
                query = f"SELECT {of} FROM images WHERE label IS NOT NULL ORDER BY rowid"
                rows = database.execute(query).fetchall()
        except sqlite3.Error as error:
            raise InputError(f"{path}: {error}; expected {SqliteReader.description}") from None
        self.ids = [row[0] for row in rows]
        self.classes = tuple(sorted({row[1] for row in rows}))
        if len(self.classes) < 2:
            raise InputError(f"{path}: {len(self.classes)} labels, expected two classes or more")
        labels = np.array([self.classes.index(row[1]) for row in rows], np.int32)
        splits = np.array([row[2] or "" for row in rows], "<U10")  # train, validation, test, or not said
        self.samples = Samples([f"images#{identity}" for identity in self.ids], labels, splits, {})

    def digest(self) -> str:
        """The sha256 of the whole file: it changes when anything in it does."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def forms(self, rows: np.ndarray) -> Sequence[Form | Refused]:
        """From the pictures' headers: Pillow decodes no pixel until one is asked for."""
        return [form for _, form in self._each(rows, form_of)]

    def read(self, rows: np.ndarray) -> Block:
        """The pixels. Called from several threads at once, so each call has a connection of its own."""
        found = list(self._each(rows, pixels_of))
        good = {row: pixels for row, pixels in found if not isinstance(pixels, Refused)}
        refused = [each for _, each in found if isinstance(each, Refused)]
        return Block(np.array(list(good), np.int64), list(good.values()), refused)

    def _each(self, rows: np.ndarray, of: Callable[[Image], Of]) -> Iterator[tuple[int, Of | Refused]]:
        """What `of` makes of each picture; why it cannot be used, where that is so."""
        from PIL.Image import open as opened  # here: `recurra plugins` imports this module, and needs no Pillow for it

        with self._open() as database:
            for row in map(int, rows):
                png = database.execute("SELECT png FROM images WHERE rowid = ?", [self.ids[row]]).fetchone()[0]
                try:
                    with opened(io.BytesIO(png), formats=("PNG",)) as picture:
                        if picture.width * picture.height > self.max_pixels:
                            raise ValueError(f"{picture.width}x{picture.height} is more than data.max_pixels")
                        yield row, of(picture)
                except Exception as error:  # what a damaged picture makes Pillow raise is not documented
                    yield row, Refused(row, self.samples.sources[row], f"not a PNG that can be read: {error}")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            yield database
        finally:
            database.close()


def form_of(picture: Image) -> Form:
    """Grey pictures stay grey; all others become red, green, blue."""
    return Form(1, picture.height, picture.width, 1 if picture.mode in ("1", "L") else 3, "uint8")


def pixels_of(picture: Image) -> np.ndarray:
    """[1, H, W, C] uint8: an image is a clip of one frame."""
    form = form_of(picture)
    pixels = np.asarray(picture.convert("L" if form.channels == 1 else "RGB"))
    return pixels.reshape(1, form.height, form.width, form.channels)


@hookimpl
def recurra_readers() -> Iterable[Reader]:
    """Asked after recurra's own readers; `data.reader: sqlite` asks for it alone."""
    return [SqliteReader()]
