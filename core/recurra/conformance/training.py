"""What core's training promises on any backend: checkpoints, resuming to the same bytes, stopping, best and last."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load

from recurra.checkpoint import Checkpoint, read_arrays
from recurra.config import validate
from recurra.conformance.checks import Suite, group, slow
from recurra.durable import read_json
from recurra.errors import RecurraError
from recurra.experiment import Experiment
from recurra.preprocess import preprocess
from recurra.progress import Silent
from recurra.readers import open_source
from recurra.training import CHECKPOINT, train

WEIGHTS = ("best.safetensors", "last.safetensors", "state.safetensors")


class Interrupting(Silent):
    """Stops the training when so many calls of `advance` were made."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def advance(self, done: int, **values: float) -> None:
        """Counts down."""
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


class Noting(Silent):
    """Remembers what was noted."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        """Remembers it."""
        self.lines.append(line)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The bytes of all that must be the same."""
    return {name: (folder / name).read_bytes() for name in WEIGHTS}


def assert_same_files(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> None:
    """Files of safetensors are there under the same names, of the same bytes; the arrays that differ are named."""
    assert found.keys() == expected.keys(), f"expected {', '.join(expected)}; there are {', '.join(found)}"
    for name in (name for name in expected if found[name] != expected[name]):
        here, there = load(found[name]), load(expected[name])
        alike = [array for array in here if array in there and here[array].tobytes() == there[array].tobytes()]
        differing = sorted((here.keys() | there.keys()) - set(alike)) or ["its metadata"]
        raise AssertionError(f"{name}: {', '.join(differing[:4])} differ from those of an undisturbed training")


def interrupt(*_: Any) -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


def killed(experiment: Experiment, dataset: Path, folder: Path, judge: Path | None = None) -> None:
    """Trains in processes of their own, into `folder`/partial, and kills each where it said so many lines (SIGKILL)."""
    code = (
        "import json, sys; from pathlib import Path; from recurra.config import validate;"
        "from recurra.training import train; from recurra.progress import Lines;"
        "e = validate(json.loads(sys.argv[1]), 'test'); p = Path(sys.argv[3]); (p / 'out').mkdir(exist_ok=True);"
        "judge = Path(sys.argv[4]) if len(sys.argv) > 4 else None;"
        "train(e, Path(sys.argv[2]), p / 'partial', p / 'out', Lines(sys.stdout, 0), judge)"
    )
    asked = [experiment.model_dump_json(), str(dataset), str(folder), *([str(judge)] if judge else [])]
    for lines in (3, 9, 5):
        with subprocess.Popen([sys.executable, "-P", "-c", code, *asked], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(lines):
                child.stdout.readline()
            child.kill()


@slow
class TrainingSuite(Suite):
    """Subclass it with `name`, the backend's."""

    @classmethod
    def experiment(cls, **train_settings: Any) -> Experiment:
        """A small fusion on the bundled digits."""
        values: dict[str, Any] = {
            "name": "digits",
            "backend": cls.name,
            "device": "cpu",
            "data": {"source": "digits", "augment": {"shift": 1}},
            "model": {
                "kind": cls.any_kind("fusion", "cnn", "rnn"),
                "cnn": {"channels": [4, 8]},
                "rnn": {"units": 12},
            },
            "train": {"epochs": 3, "batch_size": 16, "dropout": 0.2, "checkpoint_seconds": 0, **train_settings},
        }
        return validate(values, "test")

    @pytest.fixture(scope="class")
    @classmethod
    def digits(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A dataset of the bundled digits."""
        experiment, folder = cls.experiment(), tmp_path_factory.mktemp("digits")
        preprocess(open_source("digits", experiment.data), experiment, folder, Silent())
        return folder

    @pytest.fixture
    def trained(self, digits: Path, tmp_path: Path) -> Callable[..., Path]:
        """A training to its end, into a new folder."""

        def run(experiment: Experiment, partial: str = "partial", progress: Any = None) -> Path:
            folder = tmp_path / f"made-{time.time_ns()}"
            folder.mkdir()
            train(experiment, digits, tmp_path / partial, folder, progress or Silent())
            return folder

        return run

    def test_a_training_learns_and_records_every_epoch(self, trained: Callable[..., Path]) -> None:
        """History, train.json and a loss that falls."""
        folder = trained(self.experiment(epochs=4, dropout=0.0, learning_rate=0.005))
        history = pq.read_table(folder / "history.parquet").to_pylist()
        record = read_json(folder / "train.json")
        assert [row["epoch"] for row in history] == [1, 2, 3, 4]
        assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
        assert history[-1]["val_accuracy"] > 0.5
        assert (record["epochs_done"], record["stopped"], record["device"]) == (4, "finished", "cpu")
        best = max(history, key=lambda row: row["val_accuracy"])
        assert history[record["best_epoch"] - 1]["val_accuracy"] == best["val_accuracy"]

    @group("resume")
    def test_an_interrupted_training_ends_in_the_same_bytes(self, trained: Callable[..., Path]) -> None:
        """Stopped four times between steps, then finished."""
        self.needs("exact-resume")
        experiment = self.experiment()
        undisturbed = bytes_of(trained(experiment, "one"))
        for calls in (0, 2, 1, 4):
            with pytest.raises(KeyboardInterrupt):
                trained(experiment, "other", Interrupting(calls))
        assert_same_files(bytes_of(trained(experiment, "other")), undisturbed)

    @group("resume")
    def test_a_training_stopped_in_its_validation_ends_in_the_same_bytes(
        self, trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The checkpoint then stands after the epoch's last step, and nothing of the epoch is left to train."""
        self.needs("exact-resume")
        experiment = self.experiment(epochs=2)
        undisturbed = bytes_of(trained(experiment, "one"))
        with monkeypatch.context() as patched:
            patched.setattr("recurra.training.recogniser.Validation.measure", interrupt)
            with pytest.raises(KeyboardInterrupt):
                trained(experiment, "other")
        assert_same_files(bytes_of(trained(experiment, "other")), undisturbed)

    @group("resume")
    def test_a_killed_training_ends_in_the_same_bytes(
        self, digits: Path, tmp_path: Path, trained: Callable[..., Path]
    ) -> None:
        """SIGKILL in a process of its own, three times, then finished."""
        self.needs("exact-resume")
        experiment = self.experiment(epochs=6)
        undisturbed = bytes_of(trained(experiment, "one"))
        (tmp_path / "killed").mkdir()
        killed(experiment, digits, tmp_path / "killed")
        assert (tmp_path / "killed" / "partial" / CHECKPOINT).exists()
        assert_same_files(bytes_of(trained(experiment, "killed/partial")), undisturbed)

    @group("resume")
    def test_a_damaged_checkpoint_is_set_aside_and_the_training_starts_again(
        self, trained: Callable[..., Path], tmp_path: Path
    ) -> None:
        """One flipped bit is noticed."""
        experiment = self.experiment()
        undisturbed = bytes_of(trained(experiment, "one"))
        with pytest.raises(KeyboardInterrupt):
            trained(experiment, "other", Interrupting(6))
        path, noting = tmp_path / "other" / CHECKPOINT, Noting()
        data = bytearray(path.read_bytes())
        data[-100] ^= 4
        path.write_bytes(data)
        assert_same_files(bytes_of(trained(experiment, "other", noting)), undisturbed)
        assert "damaged" in noting.lines[0]

    def test_a_loss_that_is_no_number_stops_and_names_the_last_good_checkpoint(
        self, trained: Callable[..., Path], digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is kept is finite and can be gone on from."""
        experiment = self.experiment(epochs=2)
        with pytest.raises(KeyboardInterrupt):
            trained(experiment, "partial", Interrupting(3))
        path = tmp_path / "partial" / CHECKPOINT
        # A learning rate that was sane until now and is not any more: two such steps are beyond float32.
        monkeypatch.setattr("recurra.batches.learning_rates", lambda train, steps, _: np.full(len(steps), 3e38, "f4"))
        with pytest.raises(RecurraError, match=r"last good checkpoint is .*checkpoint.safetensors.*learning_rate"):
            trained(experiment, "partial")
        assert all(np.isfinite(array).all() for array in Checkpoint.read(path).weights.values())

    def test_early_stopping_ends_when_nothing_gets_better(self, trained: Callable[..., Path]) -> None:
        """Patience counts from the best epoch."""
        stopping = {"patience": 2, "min_delta": 2.0}
        record = read_json(trained(self.experiment(epochs=9, early_stopping=stopping)) / "train.json")
        assert (record["stopped"], record["epochs_done"]) == ("early stopping", 3)

    def test_best_and_last_are_canonical_weights_of_their_epochs(self, trained: Callable[..., Path]) -> None:
        """Best equals the last of a training that ends there."""
        folder = trained(self.experiment(early_stopping={"patience": 2, "min_delta": 2.0}, epochs=3))
        assert list(read_arrays(folder / "best.safetensors")[0]) == list(read_arrays(folder / "last.safetensors")[0])
        history = pq.read_table(folder / "history.parquet").to_pylist()
        epoch = max(history, key=lambda row: (row["val_accuracy"], -row["epoch"]))["epoch"]
        assert read_json(folder / "train.json")["best_epoch"] == epoch
        until_then = trained(self.experiment(epochs=epoch), "one")
        best, last = (folder / "best.safetensors").read_bytes(), (until_then / "last.safetensors").read_bytes()
        assert_same_files({"weights": best}, {"weights": last})
