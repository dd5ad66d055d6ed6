"""recurra: samples as they are stored, through core's batches, into a backend's steps."""

from __future__ import annotations

import os

from bench.scenario import BATCH, CLASSES, LEARNING_RATE, Scenario
from bench.turns import Turns
from recurra.batches import TrainingData
from recurra.classifiers import build, spec_for
from recurra.experiment import Data, Experiment, Model, Train
from recurra.weights import initial_weights


def run(scenario: Scenario, turns: Turns) -> None:
    """Trains as `recurra.training` does within an epoch. The pixels are normalised batch by batch, on the clock."""
    experiment = Experiment(
        name="bench",
        backend=os.environ["BENCH_BACKEND"],
        device=scenario.device,
        data=Data(source="bench"),
        model=Model(kind=scenario.network),
        train=Train(epochs=turns.epochs, batch_size=BATCH, learning_rate=LEARNING_RATE),
    )
    first_weights = initial_weights(spec_for(experiment, scenario.sample, CLASSES), experiment.seed)
    classifier = build(experiment, scenario.sample, CLASSES, first_weights, "the first weights").classifier
    data = TrainingData(scenario.pixels, scenario.labels, scenario.normalisation, experiment)
    for epoch in range(1, turns.epochs + 1):
        turns.begin()
        total = 0.0
        for batches in data.epoch(epoch):
            records = classifier.train_steps(batches)
            total += float(records.loss.sum()) * batches.y.shape[1]
        turns.end(total / scenario.samples)
