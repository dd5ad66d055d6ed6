"""The training of a GAN: discriminators and generator in turn, its samples measured by a recogniser of real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recurra import augmentation
from recurra.batches import TrainingData
from recurra.checkpoint import write_arrays
from recurra.contract import GanBatches
from recurra.dataset import Dataset
from recurra.errors import RecurraError
from recurra.evaluation import trained
from recurra.experiment import Experiment
from recurra.gan_batches import GanData
from recurra.generators import BuiltGan, build_gan, gan_spec_for, generated
from recurra.judgement.drawing import among
from recurra.judgement.judges import judge_of
from recurra.judgement.referee import Referee
from recurra.judgement.symptoms import Watch, symptoms
from recurra.progress import Progress
from recurra.training.loop import Row, Sums, Training
from recurra.weights import initial_weights

PREVIEWS = 16
"""Epochs at most whose samples are kept to look at."""
PREVIEW_SAMPLES = {"image": 60, "clip": 24}
"""Samples of each, at most; of more classes than that, one each of so many, spread evenly."""
MEASURES = ("frechet", "kernel", "precision", "recall", "label_accuracy", "diversity")
"""What `Referee.measure` finds out and the history keeps. NaN is kept as null."""


class GanTraining(Training):
    """A GAN's training."""

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        built: BuiltGan,
        referee: Referee,
        partial: Path,
        progress: Progress,
    ) -> None:
        split = dataset.splits["train"]
        data = TrainingData(split.pixels(partial), split.labels(), dataset.normalisation, experiment)
        self.dataset, self.gan, self.referee = dataset, built, referee
        self.data = GanData(data, built.spec, experiment.seed)
        self.previewed = preview_epochs(experiment)
        self.watch = Watch(experiment, built.spec.classes)
        super().__init__(experiment, built, partial, progress, len(data.labels), data.steps)

    def batches(self, epoch: int, first: int) -> Iterator[GanBatches]:
        """With all that is drawn for each step."""
        return self.data.epoch(epoch, first)

    def learn(self, batches: GanBatches) -> tuple[int, Sums]:
        """Sums of the losses, and of how often the discriminators were right."""
        records, batch = self.gan.network.train_steps(batches), batches.y.shape[1]
        sums = {name: values.astype(np.float64) * batch for name, values in vars(records).items()}
        return batches.y.size, {**sums, "penalised": (batches.penalty > 0) * float(batch)}

    def measured(self, epoch: int, means: Mapping[str, float]) -> Row:
        """The losses' means, and what the referee says of samples that are generated now."""
        found: dict[str, float | None] = dict.fromkeys(MEASURES)
        if measures_in(self.experiment, epoch):
            # As many of each class as the referee compares with; not the samples that are judged in the end.
            labels = self.referee.labels
            samples = generated(self.gan, labels, self.experiment.seed, purpose="measuring ")
            verdict = self.referee.measure(samples, labels)
            found |= {name: verdict.row()[name] for name in MEASURES}
        if epoch in self.previewed:
            self._preview(epoch)
        share = means["penalised"]
        losses = {name: means[name] for name in ("generator_loss", "discriminator_loss")}
        right = {name: means[name] for name in ("real_right", "fake_right")}
        return {**losses, "penalty": means["penalty"] / share if share else None, **right, **found}

    def _preview(self, epoch: int) -> None:
        most = PREVIEW_SAMPLES[self.gan.spec.sample.kind]
        shown = among(self.gan.spec.classes, most)
        labels = np.tile(shown, most // len(shown))
        blocks = [x for _, x in generated(self.gan, labels, self.experiment.seed)]
        pixels = self.dataset.normalisation.restore(np.concatenate(blocks), self.dataset.dtype)
        write_arrays(self.partial / f"preview-{epoch:06}.safetensors", {"pixels": pixels, "labels": labels})

    def value(self, row: Row) -> float | None:
        """What `train.gan.monitor` names."""
        name = self.experiment.train.gan.monitor
        if row[name] is None:
            return None
        return -row[name] if name in ("frechet", "kernel") else row[name]

    @property
    def monitored(self) -> str:
        """With its field, as it may be the monitor that has to be another."""
        return f"{self.experiment.train.gan.monitor} (train.gan.monitor)"

    def warnings(self) -> list[str]:
        """Of its symptoms."""
        *earlier, now = self.position.history[self.watch.rows :]
        for each in earlier:  # of before the training was interrupted
            self.watch.after(each)
        return self.watch.after(now)

    def words(self, row: Row) -> str:
        """The losses, and the measures where there are some."""
        shown = f"loss G {row['generator_loss']:.3f} D {row['discriminator_loss']:.3f}"
        shown += f"  D right {row['real_right']:.0%}/{row['fake_right']:.0%}"
        if row["frechet"] is not None:
            shown += f"  frechet {row['frechet']:.2f}  recall {row['recall']:.2f}  label {row['label_accuracy']:.3f}"
        return shown

    def shown(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """The losses of both sides."""
        return {"G": means["generator_loss"], "D": means["discriminator_loss"]}

    @property
    def advice(self) -> str:
        """For two networks that fight."""
        rate = self.experiment.train.learning_rate
        return f"Lower train.learning_rate ({rate:g}), raise train.gan.r1 or set train.clip_norm: 1."

    def finish(self, folder: Path, stopped: str) -> None:
        """With the previews."""
        super().finish(folder, stopped)
        for path in sorted(self.partial.glob("preview-*.safetensors")):
            (folder / path.name).write_bytes(path.read_bytes())

    def further(self) -> dict[str, Any]:
        """What was wrong in the course of the training."""
        found = symptoms(self.position.history, self.experiment, self.gan.spec.classes)
        return {"symptoms": found, "measured": self.referee.count}


def measures_in(experiment: Experiment, epoch: int) -> bool:
    """Whether samples are measured after the epoch."""
    return epoch % experiment.train.gan.measure_every == 0 or epoch == experiment.train.epochs


def preview_epochs(experiment: Experiment) -> set[int]:
    """The epochs whose samples are kept, spread evenly, the first and the last among them."""
    epochs = experiment.train.epochs
    return set(np.linspace(1, epochs, min(epochs, PREVIEWS)).round().astype(int).tolist())


def gan_training(
    experiment: Experiment, dataset: Dataset, partial: Path, progress: Progress, judge: Path | None
) -> Training:
    """The training that an experiment with a GAN asks for, built with the first weights.

    `judge`: the weights of the recogniser of `judge_of(experiment, ...)`.
    """
    if judge is None:
        raise RecurraError("a GAN's training needs the weights of a recogniser that measures its samples")
    augmentation.check(experiment.data.augment, dataset.sample.height, dataset.sample.width)
    recogniser = trained(judge_of(experiment, dataset.sample.kind), dataset, judge, progress.note)
    settings = experiment.evaluate.gan
    referee = Referee(recogniser.classifier, dataset, settings, experiment.train.gan.measured)
    weights = initial_weights(gan_spec_for(experiment, dataset), experiment.seed)
    built = build_gan(experiment, dataset, weights, "the first weights", progress.note)
    return GanTraining(experiment, dataset, built, referee, partial, progress)
