"""The recogniser that a GAN is judged with: an ordinary experiment on the same data."""

from __future__ import annotations

from typing import Literal

from recurra.experiment import Evaluate, Experiment, Model


def judge_of(experiment: Experiment, kind: Literal["image", "clip"]) -> Experiment:
    """The recogniser's experiment: the GAN's data, seed, backend and device; `evaluate.gan.recogniser`'s network.

    Where a user trained that recogniser already, its training is found in the cache.
    """
    recogniser = experiment.evaluate.gan.recogniser
    return experiment.model_copy(
        update={
            "model": recogniser.model or Model(kind="cnn" if kind == "image" else "fusion"),
            "train": recogniser.train,
            "evaluate": Evaluate(),
        }
    )
