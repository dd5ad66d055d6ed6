"""The bundled moving digits: clips in which no single frame tells the class.

A digit moves over a canvas whose edges meet (what leaves at the left comes back at the right). The class is the
motion: left, right, up, down, clockwise, counterclockwise. The frame at time t shows digit d at place p + s(t), where
the path s is the motion's, and the first place p is uniform over the canvas, drawn without regard to motion, digit,
speed and phase. On a canvas without edges p + s(t) is then uniform and independent of s(t): each frame by itself has
the same distribution in every class, and a network that sees one frame can only guess. A network that sees all frames
in no order cannot tell a motion from its reverse either: reversed in time, the clips of one are distributed as those
of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers.digits import digits
from recurra.readers.fingerprint import digest_of_values
from recurra.readers.reader import Block, Form, Kind, Refused, Samples, Source
from recurra.readers.rows import RowNames

NAME = "moving-digits"
MOTIONS = ("left", "right", "up", "down", "clockwise", "counterclockwise")
FRAMES, SIDE, GLYPH = 12, 16, 8
TRAIN, TEST = 3000, 600
TRAIN_DIGITS = 1440
"""The images before this one move in the training clips, the others, by other writers, in the test clips."""
_SEED = 20_170_209


@dataclass(frozen=True)
class Clips:
    """What each of n clips shows. All that is random is in here; the pixels follow by integer arithmetic."""

    digit: np.ndarray
    """[n] int64, which image moves."""
    motion: np.ndarray
    """[n] int32, an index into MOTIONS."""
    start: np.ndarray
    """[n, 2] int64, row and column where the digit's corner would be without a motion, each uniform in 0..SIDE-1."""
    speed: np.ndarray
    """[n] int64, pixels a frame (1 or 2); for the circles, steps of 1/16 turn a frame."""
    phase: np.ndarray
    """[n] int64, sixteenths of a turn at which a circle begins."""

    def paths(self) -> np.ndarray:
        """[n, FRAMES, 2] int64: row and column of the digit's corner, modulo SIDE."""
        travelled = self.speed[:, None] * np.arange(FRAMES)
        still = np.zeros_like(travelled)
        around = _CIRCLE[(self.phase[:, None] + travelled) % 16]
        back = _CIRCLE[(self.phase[:, None] - travelled) % 16]
        steps = [(still, -travelled), (still, travelled), (-travelled, still), (travelled, still)]
        straight = [np.stack(step, -1) for step in steps]
        chosen = np.choose(self.motion[:, None, None], [*straight, around, back])
        return (self.start[:, None] + chosen) % SIDE

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """[len(rows), FRAMES, SIDE, SIDE, 1] uint8."""
        some = Clips(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))
        corner = some.paths()
        offsets = np.arange(GLYPH)
        down = (corner[..., 0, None] + offsets) % SIDE
        right = (corner[..., 1, None] + offsets) % SIDE
        canvas = np.zeros((len(rows), FRAMES, SIDE, SIDE, 1), np.uint8)
        clip, frame = np.ogrid[: len(rows), :FRAMES]
        at = (clip[..., None, None], frame[..., None, None], down[..., :, None], right[..., None, :], 0)
        canvas[at] = digits()[0][some.digit][:, None]
        return canvas


def _circle() -> np.ndarray:
    """[16, 2] row and column at each sixteenth of a clockwise turn (rows grow downwards), radius 4, whole pixels."""
    turn = np.arange(16) * (2 * np.pi / 16)
    return np.rint(4 * np.stack([np.sin(turn), np.cos(turn)], -1)).astype(np.int64)


_CIRCLE = _circle()


@lru_cache(maxsize=1)
def clips() -> Clips:
    """The training clips, then the test clips: as many of each motion, always the same ones."""
    draw = np.random.Generator(np.random.PCG64(_SEED))
    count, images = TRAIN + TEST, len(digits()[0])
    digit = np.concatenate([draw.integers(0, TRAIN_DIGITS, TRAIN), draw.integers(TRAIN_DIGITS, images, TEST)])
    motion = (np.arange(count) % len(MOTIONS)).astype(np.int32)
    start = draw.integers(0, SIDE, (count, 2))
    return Clips(digit, motion, start, draw.integers(1, 3, count), draw.integers(0, 16, count))


class MovingDigits:
    """The clips as a source; their pixels are made when asked for."""

    def __init__(self) -> None:
        self.kind: Kind = "clip"
        self.classes: tuple[str, ...] = MOTIONS
        self.refused: Sequence[Refused] = ()
        self.clips = clips()
        splits = np.repeat(np.asarray(["train", "test"], "<U10"), (TRAIN, TEST))
        names = RowNames([(f"{NAME}/train", TRAIN), (f"{NAME}/test", TEST)])
        self.samples = Samples(names, self.clips.motion, splits, {})

    def digest(self) -> str:
        """sha256 (hex) of what the pixels follow from."""
        fields = [getattr(self.clips, name) for name in self.clips.__dataclass_fields__]
        return digest_of_values(f"{NAME} {FRAMES} {SIDE} 1".encode(), digits()[0], _CIRCLE, *fields)

    def forms(self, rows: np.ndarray) -> Sequence[Form | Refused]:
        """All have one form."""
        return [Form(FRAMES, SIDE, SIDE, 1, "uint8")] * len(rows)

    def read(self, rows: np.ndarray) -> Block:
        """The clips of the rows, drawn all at once."""
        rows = np.asarray(rows, np.int64)
        return Block(rows, self.clips.pixels(rows))


def open_moving_digits(data: Data) -> Source:
    """The moving digits; an InputError where `data.kind` asks for images."""
    if data.kind == "images":
        raise InputError(f"data.kind: {NAME} are clips; set clips, or leave it out")
    return MovingDigits()
