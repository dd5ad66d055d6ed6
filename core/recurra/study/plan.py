"""The plan of a study: the same recogniser on parts of the training data, with and without generated samples.

For each fraction of the training data and each seed, the arms
    real        the real samples alone
    generated   the real samples, and samples of a GAN that was trained on them and on no others
    classical   the real samples, randomly changed while training (`data.augment`)
    both        real and generated samples, randomly changed alike
The arms of one fraction and seed have the same test split, the same validation split, the same first weights and the
same number of optimiser steps: `equal_steps` gives those with more samples fewer epochs, so that none of them merely
trained longer. (Equal epochs would give twice the steps to twice the samples, and the real arm would lose by that
alone.) What differs, and is against the generated samples if anything: fewer epochs are fewer validations to choose the
best of, and every real sample is seen less often. The GAN's own training is not counted.

On a fraction f of the samples an epoch is shorter, and as many epochs would be too few steps to learn from what there
is: recognisers take 1 / sqrt(f) times the epochs, which lies midway between equal epochs and equal steps. The GAN takes
as many steps on every fraction, to the whole epoch (`as_on_all`): it learns more slowly, and its best epoch is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from recurra.errors import InputError
from recurra.experiment import Augment, Experiment, Part, Train
from recurra.gan_source import FIELD, FILES, gan_of
from recurra.home import Home
from recurra.planned import checked_seeds, distinct, refusal

ARMS = ("real", "generated", "classical", "both")
WITH_GENERATED = ("generated", "both")
WITH_CLASSICAL = ("classical", "both")
COMPARISONS = (("generated", "real"), ("classical", "real"), ("both", "real"), ("both", "classical"))
"""(arm, the arm that it is compared with); the last says whether generation adds to classical augmentation."""


class Cell(Part):
    """One fraction and seed: one dataset, one GAN, and a training for each arm."""

    fraction: Annotated[float, Field(gt=0, le=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    def role(self, *what: str) -> str:
        """The name of something of this cell among all of the study: `0.05-seed-0-real-train`."""
        return "-".join([f"{self.fraction:.12g}-seed-{self.seed}", *what])


class Plan(Part):
    """What a study does, decided beforehand."""

    experiment: Experiment
    """The recogniser's, as its file says."""
    gan: Experiment
    """The GAN's, of the recogniser's data."""
    fractions: tuple[float, ...]
    """Parts of the training data, rising."""
    seeds: tuple[int, ...]

    @field_validator("fractions")
    @classmethod
    def _parts(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for fraction in value:
            if not 0 < fraction <= 1:
                raise ValueError(f"a fraction of the training data lies above 0 and is 1 at most, found {fraction:g}")
        return tuple(sorted(distinct(value, "fraction")))

    @field_validator("seeds")
    @classmethod
    def _drawn(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return checked_seeds(value)

    @model_validator(mode="after")
    def _of_a_recogniser(self) -> Plan:
        _check(self.experiment)
        return self

    @property
    def arms(self) -> tuple[str, ...]:
        """Those that the experiment has: without classical augmentation there are two."""
        return ARMS if self.experiment.data.augment.active else ARMS[:2]

    @property
    def comparisons(self) -> tuple[tuple[str, str], ...]:
        """(arm, the arm that it is compared with)."""
        return tuple((arm, against) for arm, against in COMPARISONS if {arm, against} <= set(self.arms))

    def cells(self) -> Iterator[Cell]:
        """In the order in which they are run: the smallest fractions, which cost least, come first."""
        for fraction in self.fractions:
            for seed in self.seeds:
                yield Cell(fraction=fraction, seed=seed)

    @property
    def trainings(self) -> int:
        """How many networks are trained: in each cell the GAN, the recogniser that measures it, and one in each arm."""
        return len(self.fractions) * len(self.seeds) * (2 + len(self.arms))

    def data(self, cell: Cell) -> Experiment:
        """The experiment whose dataset all arms of a cell share: the one of the arm `real`."""
        return self._in(self.experiment, cell, Augment())

    def generator(self, cell: Cell, real: int) -> Experiment:
        """The GAN's experiment, on the cell's `real` samples and on no others, for as many steps as on all of them."""
        judged = self.gan.evaluate.gan
        recogniser = judged.recogniser.model_copy(
            update={"train": more_epochs(judged.recogniser.train, cell.fraction**0.5)}
        )
        evaluate = self.gan.evaluate.model_copy(
            update={"gan": judged.model_copy(update={"recogniser": recogniser})},
        )
        changed = {"train": as_on_all(self.gan.train, real, cell.fraction), "evaluate": evaluate}
        return self._in(self.gan, cell, self.gan.data.augment).model_copy(update=changed)

    def training(self, fraction: float) -> Train:
        """How the arm `real` is trained on a fraction of the samples."""
        return more_epochs(self.experiment.train, fraction**0.5)

    def recogniser(self, cell: Cell, arm: str, real: int, trained_on: int) -> Experiment:
        """An arm's experiment, given its training samples: the real ones among them, and all."""
        augment = self.experiment.data.augment
        chosen = augment.classical() if arm in WITH_CLASSICAL else Augment()
        if arm in WITH_GENERATED:
            chosen = chosen.model_copy(update={"gan": augment.gan, "generated": augment.generated})
        train = equal_steps(self.training(cell.fraction), real, trained_on)
        return self._in(self.experiment, cell, chosen).model_copy(update={"train": train})

    @staticmethod
    def _in(experiment: Experiment, cell: Cell, augment: Augment) -> Experiment:
        data = experiment.data.model_copy(update={"train_fraction": cell.fraction, "augment": augment})
        return experiment.model_copy(update={"seed": cell.seed, "data": data})


def planned(experiment: Experiment, home: Home, fractions: Sequence[float], seeds: Sequence[int]) -> Plan:
    """The plan of a study of `experiment`, whose `data.augment.gan` names a GAN's experiment file.

    InputError: it is no recogniser, no such file, another dataset, fractions or seeds that cannot be.
    """
    from pydantic import ValidationError

    wanted = experiment.data.augment.gan
    if experiment.model.kind != "gan" and wanted and not wanted.lower().endswith(FILES):
        raise InputError(
            f"{FIELD}: '{wanted}' is a run, which saw the data that it saw; a study trains the GAN on each fraction"
            " anew, so name its experiment file (.yaml)"
        )
    _check(experiment)
    gan = gan_of(experiment, home)
    assert gan is not None  # _check saw that one is named
    _check_steps(experiment.train, "train.batch_size")
    _check_steps(gan.train, f"train.batch_size of the GAN {gan.name}")
    try:
        return Plan(experiment=experiment, gan=gan, fractions=tuple(fractions), seeds=tuple(seeds))
    except ValidationError as error:
        raise refusal(error, "the study") from None


def more_epochs(train: Train, share: float) -> Train:
    """How to train for 1 / share times as many epochs; the warm-up keeps its part of them."""
    if share == 1:
        return train
    return train.model_copy(
        update={"epochs": max(1, round(train.epochs / share)), "warmup_epochs": train.warmup_epochs / share}
    )


def as_on_all(train: Train, real: int, fraction: float) -> Train:
    """How to train a GAN on `real` samples with as many steps as on all, which are about real / fraction; rounded to
    the epoch. Its warm-up and the time between its measurements keep their steps.
    """
    share = steps_of(train, real, 1) / steps_of(train, round(real / fraction), 1)
    every = max(1, round(train.gan.measure_every / share))
    gan = train.gan.model_copy(update={"measure_every": every})
    return more_epochs(train, share).model_copy(update={"gan": gan})


def equal_steps(train: Train, real: int, trained_on: int) -> Train:
    """How to train on `trained_on` samples with as many optimiser steps as `train` takes on `real`, and never more.

    Epochs are whole, so there may be fewer steps, by less than one epoch. The warm-up keeps its steps, early stopping
    its patience in steps (rounded). An InputError where not even one epoch fits.
    """
    if trained_on == real:
        return train
    steps, more = (-(-samples // train.samples_per_step) for samples in (real, trained_on))
    epochs = train.epochs * steps // more
    if not epochs:
        raise InputError(
            f"train.epochs: {train.epochs} over {real:,} real samples are {train.epochs * steps:,} steps, and one epoch"
            f" with the generated samples has {more:,}; raise train.epochs or lower data.augment.generated"
        )
    changed: dict[str, Any] = {"epochs": epochs, "warmup_epochs": train.warmup_epochs * steps / more}
    if train.early_stopping:
        patience = max(1, round(train.early_stopping.patience * steps / more))
        changed["early_stopping"] = train.early_stopping.model_copy(update={"patience": patience})
    return train.model_copy(update=changed)


def steps_of(train: Train, samples: int, epochs: int | None = None) -> int:
    """Optimiser steps of so many epochs (left out: all of them) over so many samples."""
    return (train.epochs if epochs is None else epochs) * -(-samples // train.samples_per_step)


def _check(experiment: Experiment) -> None:
    if experiment.model.kind == "gan":
        raise InputError("model.kind: a study is of a recogniser (cnn, rnn, fusion); name the GAN's file with --gan")
    if experiment.data.augment.gan is None:
        raise InputError(f"{FIELD}: a study needs a GAN; name its experiment file there or with --gan")
    if experiment.data.train_fraction != 1:
        raise InputError(
            f"data.train_fraction: {experiment.data.train_fraction:g} is set, and a study sets it; leave it out, and"
            " say with --fractions which parts of the training data to study"
        )


def _check_steps(train: Train, field: str) -> None:
    if train.batch_size == "auto":
        raise InputError(
            f"{field}: auto is found when a training begins, and a study gives all arms the same number of optimiser"
            " steps beforehand; write a number"
        )
