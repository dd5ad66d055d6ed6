"""recurra's GAN: samples as they are stored, through core's batches, into a backend's steps."""

from __future__ import annotations

import os

from bench.scenario import BATCH, CLASSES, GAN_LEARNING_RATE, Scenario
from bench.turns import Turns
from recurra.batches import TrainingData
from recurra.capabilities import able_backend
from recurra.classifiers import resolve_device
from recurra.contract import GanBackend, GanSpec, RecurrentGan
from recurra.experiment import Data, Experiment, Model, Train
from recurra.gan_batches import GanData
from recurra.weights import initial_weights


def network(experiment: Experiment, spec: GanSpec) -> RecurrentGan:
    """The experiment's GAN with its first weights."""
    backend = able_backend(experiment)
    assert isinstance(backend, GanBackend)
    gan = backend.build_gan(spec, resolve_device(backend, experiment.device))
    gan.load_weights(initial_weights(spec, experiment.seed))
    return gan


def run(scenario: Scenario, turns: Turns) -> None:
    """Trains as `recurra.training` does within an epoch. The pixels are normalised and all that is random is drawn
    batch by batch, on the clock.
    """
    experiment = Experiment(
        name="bench",
        backend=os.environ["BENCH_BACKEND"],
        device=scenario.device,
        data=Data(source="bench"),
        model=Model(kind="gan"),
        train=Train(epochs=turns.epochs, batch_size=BATCH, learning_rate=GAN_LEARNING_RATE),
    )
    bounds = ((0.0, 1.0),) if scenario.sample.kind == "image" else None
    spec = GanSpec(experiment.model, experiment.train, scenario.sample, CLASSES, bounds)
    gan = network(experiment, spec)
    samples = TrainingData(scenario.pixels, scenario.labels, scenario.normalisation, experiment)
    data = GanData(samples, spec, experiment.seed)
    for epoch in range(1, turns.epochs + 1):
        turns.begin()
        total = 0.0
        for batches in data.epoch(epoch):
            records = gan.train_steps(batches)
            total += float(records.discriminator_loss.sum()) * batches.y.shape[1]
        turns.end(total / scenario.samples)
