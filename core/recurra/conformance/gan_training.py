"""What core's training of a GAN promises on any backend: what is recorded and kept, and resuming to the same bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recurra.checkpoint import Checkpoint, read_arrays
from recurra.config import validate
from recurra.conformance.checks import Suite, slow
from recurra.conformance.training import Interrupting, assert_same_files, bytes_of, interrupt, killed
from recurra.durable import read_json
from recurra.errors import RecurraError
from recurra.experiment import Experiment
from recurra.gan_weights import AVERAGE
from recurra.judgement.judges import judge_of
from recurra.judgement.referee import Referee, Verdict
from recurra.preprocess import preprocess
from recurra.progress import Silent
from recurra.readers import open_source
from recurra.training import CHECKPOINT, train

LOSSES = ["generator_loss", "discriminator_loss", "penalty", "real_right", "fake_right"]
MEASURES = ["frechet", "kernel", "precision", "recall", "label_accuracy", "diversity"]
Run = Callable[..., Path]


def kept(folder: Path) -> dict[str, bytes]:
    """The bytes of all that must be the same, previews among them."""
    return bytes_of(folder) | {path.name: path.read_bytes() for path in folder.glob("preview-*")}


@slow
class GanTrainingSuite(Suite):
    """Subclass it with `name`, the backend's."""

    group = "gan"
    asks = ("gan",)

    @classmethod
    def experiment(cls, **train_settings: Any) -> Experiment:
        """A small GAN on the bundled digits, and a small recogniser to measure it."""
        gan = {"translation": 0.1, "measured": 60, **train_settings.pop("gan", {})}
        recogniser = {
            "model": {
                "kind": cls.any_kind("cnn", "rnn", "fusion"),
                "cnn": {"channels": [4]},
                "rnn": {"units": 8},
            },
            "train": {"epochs": 2, "learning_rate": 0.01},
        }
        widths = {"content": 8, "noise": 2, "embedding": 4, "channels": [8, 4], "frame_channels": [4, 8]}
        values: dict[str, Any] = {
            "name": "digits",
            "backend": cls.name,
            "device": "cpu",
            "data": {"source": "digits", "train_fraction": 0.25},
            "model": {"kind": "gan", "rnn": {"units": 8}, "gan": widths},
            "train": {"epochs": 3, "batch_size": 16, "checkpoint_seconds": 0, **train_settings, "gan": gan},
            "evaluate": {"gan": {"recogniser": recogniser, "components": 8}},
        }
        return validate(values, "test")

    @pytest.fixture(scope="class")
    @classmethod
    def digits(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A dataset of the bundled digits."""
        cls.needs("gan")
        experiment, folder = cls.experiment(), tmp_path_factory.mktemp("digits")
        preprocess(open_source("digits", experiment.data), experiment, folder, Silent())
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def judge(cls, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The weights of the recogniser."""
        folder = tmp_path_factory.mktemp("judge")
        train(judge_of(cls.experiment(), "image"), digits, folder / "partial", folder, Silent())
        return folder / "best.safetensors"

    @pytest.fixture
    def trained(self, digits: Path, judge: Path, tmp_path: Path) -> Run:
        """A training to its end, into a new folder."""

        def run(experiment: Experiment, partial: str = "partial", progress: Any = None) -> Path:
            folder = tmp_path / f"made-{time.time_ns()}"
            folder.mkdir()
            train(experiment, digits, tmp_path / partial, folder, progress or Silent(), judge)
            return folder

        return run

    def test_a_training_records_every_epoch_and_what_it_measured(self, trained: Run) -> None:
        """Losses of every epoch; measures of every second one and of the last."""
        folder = trained(self.experiment(epochs=3, gan={"measure_every": 2}))
        table, record = pq.read_table(folder / "history.parquet"), read_json(folder / "train.json")
        history = table.to_pylist()
        assert table.column_names == ["epoch", *LOSSES, *MEASURES, "seconds", "samples_per_second"]
        assert [row["epoch"] for row in history] == [1, 2, 3]
        assert all(np.isfinite(row[name]) for row in history for name in LOSSES)
        assert all(0 <= row[name] <= 1 for row in history for name in ("real_right", "fake_right"))
        assert [row["epoch"] for row in history if row["frechet"] is not None] == [2, 3]
        assert all(0 <= row[name] <= 1 for row in history[1:] for name in ("recall", "label_accuracy"))
        assert (record["epochs_done"], record["stopped"], record["measured"]) == (3, "finished", 60)
        assert isinstance(record["symptoms"], list)

    def test_previews_of_epochs_are_kept(self, trained: Run) -> None:
        """Six of each class, as pixels, at most of 16 epochs, of the first and the last among them."""
        experiment = self.experiment(epochs=3)
        folder = trained(experiment)
        found = [read_arrays(path)[0]["pixels"] for path in sorted(folder.glob("preview-*.safetensors"))]
        assert [path.name for path in sorted(folder.glob("preview-*"))] == [
            f"preview-{epoch:06}.safetensors" for epoch in (1, 2, 3)
        ]
        assert {(pixels.shape, pixels.dtype.name) for pixels in found} == {((60, 1, 8, 8, 1), "uint8")}
        assert not np.array_equal(found[0], found[2])

    def test_generated_samples_come_nearer_to_the_real_ones(self, trained: Run) -> None:
        """In six epochs: the Frechet distance halves, and labels are heard of (chance is 0.1)."""
        settings = {"average": 0.9, "translation": 0.0, "measured": 300}
        folder = trained(self.experiment(epochs=6, learning_rate=0.005, gan=settings))
        history = pq.read_table(folder / "history.parquet").to_pylist()
        assert min(row["frechet"] for row in history) < 0.5 * history[0]["frechet"]
        assert max(row["label_accuracy"] for row in history) > 0.3

    def test_an_interrupted_training_ends_in_the_same_bytes(self, trained: Run) -> None:
        """Stopped three times between steps, then finished."""
        self.needs("exact-resume")
        experiment = self.experiment()
        undisturbed = kept(trained(experiment, "one"))
        for calls in (0, 2, 4):
            with pytest.raises(KeyboardInterrupt):
                trained(experiment, "other", Interrupting(calls))
        assert_same_files(kept(trained(experiment, "other")), undisturbed)

    def test_a_training_stopped_in_its_measurement_ends_in_the_same_bytes(
        self, trained: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The checkpoint then stands after the epoch's last step, and nothing of the epoch is left to train."""
        self.needs("exact-resume")
        experiment = self.experiment(epochs=2)
        undisturbed = kept(trained(experiment, "one"))
        with monkeypatch.context() as patched:
            patched.setattr(Referee, "measure", interrupt)
            with pytest.raises(KeyboardInterrupt):
                trained(experiment, "other")
        assert_same_files(kept(trained(experiment, "other")), undisturbed)

    def test_a_killed_training_ends_in_the_same_bytes(
        self, digits: Path, judge: Path, tmp_path: Path, trained: Run
    ) -> None:
        """SIGKILL in a process of its own, three times, then finished."""
        self.needs("exact-resume")
        experiment = self.experiment(epochs=5)
        undisturbed = kept(trained(experiment, "one"))
        (tmp_path / "killed").mkdir()
        killed(experiment, digits, tmp_path / "killed", judge)
        assert (tmp_path / "killed" / "partial" / CHECKPOINT).exists()
        assert_same_files(kept(trained(experiment, "killed/partial")), undisturbed)

    @pytest.mark.parametrize(("monitor", "expected"), [("frechet", 2), ("recall", 1)])
    def test_the_monitor_says_which_epoch_is_the_best(
        self, monitor: str, expected: int, trained: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The least distance, or the highest recall; the weights kept are those at the end of that epoch."""
        values, measure = iter((0.3, 0.1, 0.2)), Referee.measure

        def measured(*args: Any) -> Verdict:
            return replace(measure(*args), **{monitor: next(values)})

        with monkeypatch.context() as patched:
            patched.setattr(Referee, "measure", measured)
            folder = trained(self.experiment(gan={"monitor": monitor}))
        assert read_json(folder / "train.json")["best_epoch"] == expected
        until_then = trained(self.experiment(epochs=expected, gan={"monitor": monitor}), "one")
        best, last = (folder / "best.safetensors").read_bytes(), (until_then / "last.safetensors").read_bytes()
        assert_same_files({"weights": best}, {"weights": last})

    def test_patience_counts_the_epochs_that_are_measured(self, trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of those measured, the second is no better than the first: the training ends there, at epoch 4 of 8."""
        distances, measure = iter((0.1, 0.2)), Referee.measure
        monkeypatch.setattr(Referee, "measure", lambda *args: replace(measure(*args), frechet=next(distances)))
        stopping = self.experiment(epochs=8, gan={"measure_every": 2}, early_stopping={"patience": 1})
        record = read_json(trained(stopping) / "train.json")
        assert (record["stopped"], record["epochs_done"], record["best_epoch"]) == ("early stopping", 4, 2)

    def test_weights_kept_are_whole_gans(self, trained: Run) -> None:
        """Generator, discriminators and averages, in the canonical layout."""
        folder = trained(self.experiment(epochs=1))
        best, last = (read_arrays(folder / f"{kind}.safetensors")[0] for kind in ("best", "last"))
        assert best.keys() == last.keys()
        assert {name.split(".")[0] for name in best} == {"generator", "frame", AVERAGE.rstrip(".")}

    def test_a_loss_that_is_no_number_stops_with_advice_for_a_gan(
        self, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is kept is finite and can be gone on from."""
        experiment = self.experiment(epochs=2)
        with pytest.raises(KeyboardInterrupt):
            trained(experiment, "partial", Interrupting(3))
        path = tmp_path / "partial" / CHECKPOINT
        # A learning rate that was sane until now and is not any more: two such steps are beyond float32.
        monkeypatch.setattr("recurra.batches.learning_rates", lambda train, steps, _: np.full(len(steps), 3e38, "f4"))
        with pytest.raises(RecurraError, match=r"last good checkpoint is .*checkpoint.safetensors.*train.gan.r1"):
            trained(experiment, "partial")
        assert all(np.isfinite(array).all() for array in Checkpoint.read(path).weights.values())

    def test_a_training_without_a_judge_is_refused(self, digits: Path, tmp_path: Path) -> None:
        """There would be nothing to choose an epoch by."""
        with pytest.raises(RecurraError, match="recogniser"):
            train(self.experiment(), digits, tmp_path / "partial", tmp_path, Silent())
