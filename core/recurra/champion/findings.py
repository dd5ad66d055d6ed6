"""What a challenge found, challenge.json: which data are the same, who is right how often, how far the data moved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recurra.champion.drift import Measure
from recurra.champion.duel import Duel
from recurra.durable import read_json

FORMAT = 2
FILE = "challenge.json"


@dataclass(frozen=True)
class Data:
    """How the new dataset differs from the champion's, in samples."""

    training_before: int
    training_after: int
    test_before: int
    test_after: int
    before: int
    """Samples of all splits."""
    after: int
    added: int
    """Of a name that the champion's dataset does not have."""
    removed: int
    """Whose name the new dataset does not have."""
    changed: int
    """Of the same name, with other pixels."""
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]
    prepared: bool
    """Whether the champion's recipe is another, so that the source was prepared by it once more."""


@dataclass(frozen=True)
class Tested:
    """Which test samples count in the comparison."""

    samples: int
    """That count."""
    own: int
    """Of those, the very samples of the champion's own test split."""
    learnt: int
    """Left out: the champion was trained or validated on a sample of that name, of those pixels, or of that group."""
    repeated: int
    """Left out: the new network was, on a sample of those pixels or of that group."""
    unreadable: int
    """Left out: the champion's preprocessing refuses them."""


@dataclass(frozen=True)
class Findings:
    """All that a challenge found. It does not depend on the rules."""

    data: Data
    tested: Tested
    duel: Duel | None
    """None where no test sample counts."""
    shared: Duel | None
    """The same on the classes that both know; None where those are all."""
    drift: tuple[Measure, ...]
    fresh: int
    """Samples that were added or changed; `new samples` of `drift`."""
    asked: int
    """Of those, how many the champion was asked about."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Findings:
        """What `to_json` gave."""
        data = value["data"]
        for name in ("classes_added", "classes_removed"):
            data = {**data, name: tuple(data[name])}
        return cls(
            Data(**data),
            Tested(**value["tested"]),
            _duel(value["duel"]),
            _duel(value["shared"]),
            tuple(Measure(**each) for each in value["drift"]),
            value["fresh"],
            value["asked"],
        )

    @classmethod
    def read(cls, folder: Path) -> Findings:
        """Of an artifact of the stage."""
        return cls.from_json(read_json(folder / FILE))


def _duel(value: dict[str, Any] | None) -> Duel | None:
    return None if value is None else Duel.from_json(value)
