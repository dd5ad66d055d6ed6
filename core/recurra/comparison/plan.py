"""The plan of a comparison: one experiment with each of several networks, on each of several backends, by each seed.

Trainings of one seed have the same data and the same order of it; those of one network and seed also begin with the
same weights on every backend, for core draws both. Where there are several backends, each of them also answers with
weights that the first one trained (a probe), which tells what is a backend's arithmetic from what is chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from recurra.capabilities import able_backend
from recurra.errors import InputError, nearest
from recurra.experiment import Experiment, Part
from recurra.planned import checked_seeds, distinct, refusal

MODELS = ("cnn", "rnn", "fusion")
Network = Literal["cnn", "rnn", "fusion"]


@dataclass(frozen=True)
class Variant:
    """One network on one backend."""

    backend: str
    model: Network

    @property
    def words(self) -> str:
        """`fusion on torch`."""
        return f"{self.model} on {self.backend}"


class Cell(Part):
    """One training: a network on a backend, by a seed."""

    backend: str
    model: Network
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    def role(self, *what: str) -> str:
        """The name of something of this cell among all of the comparison: `torch-fusion-seed-0-train`."""
        return "-".join([f"{self.backend}-{self.model}-seed-{self.seed}", *what])

    @property
    def variant(self) -> Variant:
        """What it is one training of."""
        return Variant(backend=self.backend, model=self.model)


class Probe(Part):
    """What a backend answers with weights that another one trained."""

    backend: str
    """Which answers."""
    trained: Cell
    """Whose training's weights it answers with."""

    @property
    def role(self) -> str:
        """Its name among all of the comparison: `fusion-seed-0-probe-torch`."""
        return f"{self.trained.model}-seed-{self.trained.seed}-probe-{self.backend}"


class Plan(Part):
    """What a comparison does, decided beforehand."""

    experiment: Experiment
    """As its file says; each cell has its own backend, network and seed."""
    backends: tuple[str, ...]
    """The first is what the others' arithmetic is compared with."""
    models: tuple[Network, ...]
    seeds: tuple[int, ...]

    @field_validator("backends")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return distinct(value, "backend")

    @field_validator("models", mode="before")
    @classmethod
    def _recognisers(cls, value: Sequence[str]) -> tuple[str, ...]:
        for model in value:
            if model == "gan":
                raise ValueError(f"a GAN recognises nothing, so there is nothing to compare; known: {_known()}")
            if model not in MODELS:
                raise ValueError(f"'{model}' is no recogniser; known: {_known()}.{nearest(str(model), MODELS)}")
        return distinct(tuple(value), "model")

    @field_validator("seeds")
    @classmethod
    def _drawn(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return checked_seeds(value)

    @model_validator(mode="after")
    def _of_a_recogniser(self) -> Plan:
        _check(self.experiment)
        return self

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Every network on every backend; those of one network stand together."""
        return tuple(Variant(backend=backend, model=model) for model in self.models for backend in self.backends)

    def cells(self) -> Iterator[Cell]:
        """In the order in which they are run: a comparison that is stopped has its first seeds whole."""
        for seed in self.seeds:
            for each in self.variants:
                yield Cell(backend=each.backend, model=each.model, seed=seed)

    def cells_of(self, variant: Variant) -> tuple[Cell, ...]:
        """Its trainings, one a seed."""
        return tuple(cell for cell in self.cells() if cell.variant == variant)

    def run_of(self, cell: Cell) -> Experiment:
        """A cell's experiment: that of the file but for its backend, network and seed."""
        model = self.experiment.model.model_copy(update={"kind": cell.model})
        return self.experiment.model_copy(update={"backend": cell.backend, "model": model, "seed": cell.seed})

    def probes(self) -> Iterator[Probe]:
        """Every backend with the weights that the first one trained by the first seed; none for a single backend."""
        if len(self.backends) > 1:
            for model in self.models:
                trained = Cell(backend=self.backends[0], model=model, seed=self.seeds[0])
                for backend in self.backends:
                    yield Probe(backend=backend, trained=trained)

    def probing(self, probe: Probe) -> Experiment:
        """The experiment of a probe's stage, `recurra.stages.probe`."""
        return self.run_of(probe.trained).model_copy(update={"backend": probe.backend})

    def roles(self) -> Iterator[str]:
        """Of all that a conclusion is made from."""
        for cell in self.cells():
            yield from (cell.role(stage) for stage in ("preprocess", "train", "evaluate"))
        for probe in self.probes():
            yield probe.role


def planned(experiment: Experiment, backends: Sequence[str], models: Sequence[str], seeds: Sequence[int]) -> Plan:
    """The plan of a comparison of `experiment`, whose own backend, network and seed do not matter.

    InputError: it is no recogniser or has no batch size of its own, a backend that is not installed or cannot do a
    network, networks or seeds that cannot be, anything named twice.
    """
    _check(experiment, InputError)
    settings = {"backends": tuple(backends), "models": tuple(models), "seeds": tuple(seeds)}
    try:
        plan = Plan.model_validate({"experiment": experiment, **settings})
    except ValidationError as error:
        raise refusal(error, "the comparison") from None
    for variant in plan.variants:
        able_backend(plan.run_of(plan.cells_of(variant)[0]))
    return plan


def _check(experiment: Experiment, error: Callable[[str], Exception] = ValueError) -> None:
    if experiment.model.kind == "gan":
        raise error(f"model.kind: a comparison is of recognisers ({_known()}), not of a GAN")
    if experiment.data.augment.gan is not None:
        raise error(
            "data.augment.gan: a comparison trains on real samples alone; leave it out"
            " (`recurra augment` tells what generated samples change)"
        )
    if experiment.train.batch_size == "auto":
        raise error(
            "train.batch_size: auto is found when a training begins, and might be another one on another backend or for"
            " another network; write a number"
        )


def _known() -> str:
    return ", ".join(MODELS)
