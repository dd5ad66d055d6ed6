"""The judgement stage: what a GAN's samples are worth, in numbers and in pictures.

Two recognisers of one experiment (`judge_of`) say it: the judge was trained on real samples, the student on generated
ones. All distances are in the space of the judge's features (`recurra.judgement.space`); they are not the published
FID and KID, which need a network trained on ImageNet. Beside each measure of generated against real test samples stands
its floor: the same of real training samples, of as many in each class. The judge was trained on these: where it has
learnt them by heart (trtr: train_accuracy far above accuracy) it sees them farther from test samples than new real ones
would be, and floors are too generous.

metrics.json (no NaN: what could not be measured is null)
    format      2
    kind        "gan"
    sample      "image" or "clip"
    classes     [K] names
    headline    for run.json, each a number (left out where it could not be measured): tstr, tstr_low, tstr_high, trtr,
                trts, trts_floor, frechet, frechet_floor, kernel, kernel_floor, precision, precision_floor, recall,
                recall_floor, nearer, memorised
    samples     {train, test, generated: how many there are; compared: of each kind, in the distances;
                components: of the space}
    measures    {frechet, kernel, precision, recall, diversity: {value, floor}}; diversity is that of the least class;
                of the kernel distance, which may be negative, also {value_error, floor_error: standard errors}
    tstr        {accuracy, low, high, confusion [K][K]: test samples of class [row] that were taken for [column]}: the
                student on real test samples ("train on synthetic, test on real", Esteban et al., 2017)
    trtr        the same of the judge, and train_accuracy: its own on the training split
    trts        {accuracy, floor, confusion [K][K]: generated samples intended as class [row] that were taken for
                [column]}: the judge on generated samples. accuracy is the mean of the classes, and floor the same of
                real test samples: each class counts alike in both
    per_class   [K] of {name, train, test, generated, compared: samples; tstr, trtr: recall on the real test; trts: the
                part of the generated ones that the judge labels as intended; diversity, diversity_floor}
    memorisation {generated: median distance of a generated sample to its nearest training sample; test: of a test
                sample; ratio: of the two; share: of generated samples that are nearer to a training sample than 99% of
                the test samples are; expected: 0.01, or what a small test split comes to; threshold: that distance;
                pairs: [{generated, train: rows of the training splits, distance}] the nearest ones, as `neighbours`;
                nearer: {share: of generated samples that are nearer to one of `compared` training samples than to any
                of as many test samples, 0.5 of new ones; low, high: its 99% interval; copies: the share if all were
                copies; compared}}
    motion      null for images; for clips {change, jitter}, null where clips are too short, of
                {overall: M, per_class: [K] of M}, M = {generated, test, train: means; ratio: generated / test;
                ratio_floor: train / test; distance: Wasserstein-1 of generated and test; distance_floor: of train and
                test}. change is in normalised units a frame, jitter has no unit (`recurra.judgement.motion`).
    seconds     it took

pictures.safetensors, all pixels in the dataset's dtype and scale; read with `recurra.checkpoint.read_arrays`
    samples             [R, n, T, H, W, C]  generated, a row for each class; n = 10 for images, 4 for clips; of many
                        classes 30, spread evenly
    samples_seen        [R, n] int64        the class that the judge took each for; -1: there is no such sample; -2: its
                        answer was no finite number
    real                [R, n, T, H, W, C]  real test samples
    real_seen           [R, n] int64        likewise
    samples_labels      [R] int64           the class of each row of both
    content             [rows, steps, T, H, W, C]  between two content codes on a great circle, label and noise fixed;
                        at most 6 rows, a class each; 8 steps for images, 5 for clips
    motion              [rows, steps, T, H, W, C]  the reverse: content fixed, between two draws of noise
    walk_labels         [rows] int64        the class of each row of both
    neighbours          [pairs, 2, T, H, W, C]  the generated samples that are nearest to a training sample, the nearest
                        first, each with that training sample; at most 10 pairs for images, 4 for clips
    neighbours_labels   [pairs, 2] int64    the intended class, and the training sample's
    neighbours_distance [pairs] float64
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.checkpoint import write_arrays
from recurra.contract import Classifier
from recurra.dataset import Dataset, Split
from recurra.durable import write_json
from recurra.evaluation import trained
from recurra.experiment import Experiment
from recurra.generators import BuiltGan, trained_gan
from recurra.judgement.drawing import among, at_most
from recurra.judgement.findings import Findings
from recurra.judgement.judges import judge_of
from recurra.judgement.memorisation import Nearest, memorisation
from recurra.judgement.observing import COMPARED, observe
from recurra.judgement.pictures import CLASSES, PAIRS, neighbours, table, walked
from recurra.judgement.sight import Blocks, in_blocks, space_of
from recurra.metrics import Metrics, measure
from recurra.progress import Progress
from recurra.store import Artifact


def judge(experiment: Experiment, artifacts: Mapping[str, Artifact], folder: Path, progress: Progress) -> None:
    """Fills `folder` with metrics.json and pictures.safetensors.

    artifacts: preprocess; recogniser, trained on it (the judge); train, the GAN; generate; student, a recogniser that
    was trained on what was generated.
    """
    began = time.monotonic()
    real, made = Dataset.open(artifacts["preprocess"].path), Dataset.open(artifacts["generate"].path)
    recogniser = judge_of(experiment, real.sample.kind)
    of_recogniser, of_gan = (f"{train.keep}.safetensors" for train in (recogniser.train, experiment.train))
    judges, student = (
        trained(recogniser, real, artifacts[role].file(of_recogniser), progress.note).classifier
        for role in ("recogniser", "student")
    )
    bench = Bench(experiment, recogniser, real, made.splits["train"], judges, student, progress)
    findings = bench.findings()
    write_json(folder / "metrics.json", findings.to_json() | {"seconds": time.monotonic() - began})
    gan = trained_gan(experiment, real, artifacts["train"].file(of_gan), progress.note)
    write_arrays(folder / "pictures.safetensors", pictures(findings, gan, real, experiment.seed))


def pictures(findings: Findings, gan: BuiltGan, real: Dataset, seed: int) -> dict[str, np.ndarray]:
    """The arrays of pictures.safetensors."""
    shown = among(len(real.classes), CLASSES)
    samples, seen = table(findings.generated.split, findings.generated.seen, shown, first=True)
    of_test, seen_of_test = table(findings.test.split, findings.test.seen, shown, first=False)
    return {
        "samples": samples,
        "samples_seen": seen,
        "real": of_test,
        "real_seen": seen_of_test,
        "samples_labels": shown,
        **walked(gan, real, seed),
        **neighbours(findings.generated.split, findings.train.split, findings.memorisation.pairs),
    }


@dataclass
class Bench:
    """All that sits in judgement over the samples of one GAN."""

    experiment: Experiment
    recogniser: Experiment
    """The judge's and the student's."""
    dataset: Dataset
    generated: Split
    judge: Classifier
    student: Classifier
    progress: Progress
    done: int = 0
    """Samples that were looked at."""

    def findings(self) -> Findings:
        """What they find: the test split three times, everything else once."""
        settings, classes = self.experiment.evaluate.gan, len(self.dataset.classes)
        train, test = self.dataset.splits["train"], self.dataset.splits["test"]
        self.progress.begin("judge", 3 * len(test) + len(train) + len(self.generated), "samples")
        splits = (test, self.generated, train)
        counts = np.min([np.bincount(split.labels(), minlength=classes) for split in splits], axis=0)
        counts = at_most(counts, COMPARED)
        space = space_of(self.judge, train, self.dataset.normalisation, settings.components)
        seen, made = (observe(self.judge, space, split, self._blocks(split), counts) for split in splits[:2])
        near = Nearest(made.points), Nearest(seen.points)
        known = observe(self.judge, space, train, self._blocks(train), counts, near)
        metrics = self._recognised(self.judge, test), self._recognised(self.student, test)
        self.progress.end()
        kind = self.dataset.sample.kind
        pairs = memorisation(near[0], near[1], made.rows, PAIRS[kind])
        return Findings(kind, self.dataset.classes, settings.neighbours, known, seen, made, *metrics, pairs)

    def _recognised(self, classifier: Classifier, test: Split) -> Metrics:
        logits = np.concatenate([classifier.logits(x) for _, x in self._blocks(test)])
        return measure(test.labels(), logits, self.dataset.classes, self.recogniser.evaluate, self.experiment.seed)

    def _blocks(self, split: Split) -> Iterator[tuple[int, np.ndarray]]:
        blocks: Blocks = in_blocks(split, self.dataset.normalisation)
        for start, x in blocks:
            yield start, x
            self.done += len(x)
            self.progress.advance(self.done)
