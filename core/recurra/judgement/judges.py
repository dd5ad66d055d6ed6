"""The recogniser that a GAN is judged with: an ordinary experiment on the same data."""

from __future__ import annotations

from typing import Literal

from recurra.experiment import Experiment, Generated, Model

DEFAULTS: dict[Literal["image", "clip"], Literal["cnn", "fusion"]] = {"image": "cnn", "clip": "fusion"}
"""The network of a recogniser that `evaluate.gan.recogniser.model` does not name, by what samples are."""


def judge_of(experiment: Experiment, kind: Literal["image", "clip"]) -> Experiment:
    """The recogniser's experiment: the GAN's data, seed, backend, device and `evaluate.bootstrap`; the network and the
    training of its `evaluate.gan.recogniser`.

    Where a user trained that recogniser already, its training is found in the cache.
    """
    recogniser = experiment.evaluate.gan.recogniser
    return experiment.model_copy(
        update={
            "model": recogniser.model or Model(kind=DEFAULTS[kind]),
            "train": recogniser.train,
            "evaluate": experiment.evaluate.model_copy(update={"gan": Generated()}),
        }
    )
