"""What of a spec is compiled in: two specs that differ in nothing else share what is compiled.

A setting that is not named here counts as compiled in, so that a new one at worst compiles once more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from recurra.contract import ClassifierSpec, GanSpec
from recurra.experiment import Adversarial, Train

AnySpec = TypeVar("AnySpec", ClassifierSpec, GanSpec)
# What core does itself, and what comes with the batches.
_OF_CORE = (
    "epochs",
    "batch_size",
    "devices",
    "learning_rate",
    "schedule",
    "warmup_epochs",
    "early_stopping",
    "monitor",
    "keep",
    "checkpoint_seconds",
)
_OF_CORE_IN_A_GAN = (
    "discriminator_learning_rate",
    "penalty_every",
    "frames",
    "average",
    "measure_every",
    "measured",
    "monitor",
)


def of_training(spec: AnySpec) -> AnySpec:
    """The spec with the settings that no step reads at their defaults."""
    gan = spec.train.gan.model_copy(update={name: getattr(Adversarial(), name) for name in _OF_CORE_IN_A_GAN})
    plain = {name: getattr(Train(), name) for name in _OF_CORE}
    return replace(spec, train=spec.train.model_copy(update={**plain, "gan": gan}))


def of_answers(spec: AnySpec) -> AnySpec:
    """The spec with all settings of the training but its precision at their defaults."""
    return replace(spec, train=Train(precision=spec.train.precision))
