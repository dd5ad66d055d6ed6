"""The loop over epochs, around a network that learns nothing: what it ranks, tells and keeps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.checkpoint import read_arrays
from recurra.durable import read_json
from recurra.errors import InputError
from recurra.experiment import Data, Experiment, Train
from recurra.progress import Silent
from recurra.report.words import inexact_resume
from recurra.training.loop import Row, Sums, Training


class Network:
    """Its weight counts the steps."""

    def __init__(self) -> None:
        self.weight = np.zeros(1, np.float32)

    def weights(self) -> dict[str, np.ndarray]:
        return {"w": self.weight.copy()}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weight = weights["w"].copy()

    def training_state(self) -> dict[str, np.ndarray]:
        return {}

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        pass


class Built:
    """It, where it is."""

    name, capabilities = "counting", frozenset({"exact-resume"})

    def __init__(self) -> None:
        self.network, self.device, self.devices, self.parameters = Network(), "cpu", ("cpu",), 1
        self.backend: Any = self

    def describe(self) -> dict[str, str]:
        return {}


class Counting(Training):
    """One step an epoch; what was measured is given."""

    values: tuple[float | None, ...]

    @property
    def monitored(self) -> str:
        return "what was given"

    def batches(self, epoch: int, first: int) -> Iterator[int]:
        yield from range(1 - first)

    def learn(self, batches: Any) -> tuple[int, Sums]:
        self.built.network.weight += 1  # type: ignore[attr-defined]
        return 1, {"loss": np.ones(1)}

    def measured(self, epoch: int, means: Mapping[str, float]) -> Row:
        return {"value": self.values[epoch - 1]}

    def value(self, row: Row) -> float | None:
        return row["value"]

    def words(self, row: Row) -> str:
        return f"value {row['value']}"

    def warnings(self) -> list[str]:
        return ["odd"] if len(self.position.history) == 2 else []


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


class Meter:
    """Uses some joules from each checkpoint to the next; None where it is not known."""

    def __init__(self, *joules: float | None) -> None:
        self.joules = list(joules)

    def used(self) -> float | None:
        return self.joules.pop(0)


def finished(folder: Path, *values: float | None, meter: Meter | None = None) -> tuple[Path, Notes]:
    """The artifact of a training that measured these, and what it said; goes on from a checkpoint that is there."""
    notes = Notes()
    experiment = Experiment(name="x", data=Data(source="x"), train=Train(epochs=len(values)))
    training = Counting(experiment, Built(), folder / "partial", notes, 1, 1)
    training.values = values
    if meter:
        training.meter = meter  # type: ignore[assignment]
    training.restore()
    (folder / "made").mkdir(exist_ok=True)
    training.finish(folder / "made", training.run())
    return folder / "made", notes


@pytest.mark.parametrize(("values", "best"), [
    ((0.1, 0.3, 0.2), 2), ((math.nan, 0.1, math.nan), 2), ((None, -math.inf, 0.0), 3), ((math.inf, 0.5), 2),
])  # fmt: skip
def test_the_best_epoch_is_one_whose_measure_is_a_number(tmp_path: Path, values: Any, best: int) -> None:
    made, _ = finished(tmp_path, *values)
    assert read_json(made / "train.json")["best_epoch"] == best
    assert read_arrays(made / "best.safetensors")[0]["w"].tolist() == [best]


@pytest.mark.parametrize("value", [None, math.nan, -math.inf])
def test_a_training_without_a_best_epoch_is_refused_with_advice(tmp_path: Path, value: float | None) -> None:
    with pytest.raises(InputError, match=r"^what was given was a finite number after no epoch.*train\.learning_rate"):
        finished(tmp_path, value, value)
    assert list((tmp_path / "made").iterdir()) == []


def test_warnings_follow_the_line_of_their_epoch(tmp_path: Path) -> None:
    _, notes = finished(tmp_path, 1.0, 2.0, 3.0)
    assert [line.split(" ")[0] for line in notes.lines] == ["epoch", "epoch", "warning:", "epoch"]
    assert notes.lines[2] == "warning: odd"


def test_the_energy_of_all_parts_of_a_training_is_added_up(tmp_path: Path) -> None:
    finished(tmp_path, 1.0, 2.0, meter=Meter(5.0, 2.5))
    made, _ = finished(tmp_path, 1.0, 2.0, 3.0, meter=Meter(1.0))
    assert read_json(made / "train.json")["energy_joules"] == 8.5


def test_energy_that_is_not_known_of_every_part_is_left_out(tmp_path: Path) -> None:
    finished(tmp_path, 1.0, 2.0, meter=Meter(5.0, None))
    made, _ = finished(tmp_path, 1.0, 2.0, 3.0, meter=Meter(1.0))
    assert "energy_joules" not in read_json(made / "train.json")


def test_going_on_where_that_is_not_exact_is_told_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = finished(tmp_path / "exact", 1.0)
    made, notes = finished(tmp_path / "exact", 1.0, 2.0)
    assert "inexact_resume" not in read_json(made / "train.json")
    monkeypatch.setattr(Built, "capabilities", frozenset())
    made, notes = finished(tmp_path / "other", 1.0)
    assert "inexact_resume" not in read_json(made / "train.json")
    made, notes = finished(tmp_path / "other", 1.0, 2.0)
    assert read_json(made / "train.json")["inexact_resume"] is True
    assert notes.lines[1].startswith("warning: backend 'counting' does not claim exact-resume")
    assert inexact_resume(read_json(made / "train.json"))[0].startswith("The training was interrupted")
