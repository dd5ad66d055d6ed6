"""Whether the backends compute the same: what they answer with equal weights, and how their trainings part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recurra.comparison.plan import Cell, Network, Plan
from recurra.comparison.probing import GRADIENT, LOGITS, LOSS
from recurra.comparison.results import Results

LOGITS_WITHIN, GRADIENT_WITHIN = 1e-4, 1e-3
"""Relative differences that the rounding of float32 explains, as the conformance suite allows them."""


@dataclass(frozen=True)
class Parity:
    """How one backend's arithmetic differs from another's, for one network."""

    model: str
    backend: str
    reference: str
    """The backend that it is compared with."""
    samples: int
    """Test samples with logits."""
    logits: float
    """The largest absolute difference of any logit."""
    largest: float
    """The largest absolute logit."""
    alike: float
    """Part of those samples that both take for the same class."""
    loss: float
    """The absolute difference of the training samples' loss."""
    gradient: float
    """The largest difference of any element of the gradient, as a part of the largest of its array."""
    weight: str
    """The array in which that is."""
    epochs: tuple[tuple[float, ...], ...]
    """For each seed each epoch's training loss less the reference's, while both trained."""
    float32: bool
    """Whether both computed in float32 throughout."""

    @property
    def relative(self) -> float:
        """The largest difference of the logits, as a part of the largest of them."""
        return self.logits / max(self.largest, 1e-30)

    @property
    def close(self) -> bool:
        """Whether the rounding of float32 explains it."""
        return self.relative <= LOGITS_WITHIN and self.gradient <= GRADIENT_WITHIN

    @property
    def words(self) -> str:
        """What explains it, in few words."""
        if self.close:
            return "rounding"
        return "more than rounding" if self.float32 else "not known in bfloat16"


def parities(results: Results) -> Iterator[Parity]:
    """Every further backend beside the first, network by network."""
    plan = results.plan
    probes = {(probe.trained.model, probe.backend): results.probe(probe) for probe in plan.probes()}
    for model in plan.models:
        for backend in plan.backends[1:]:
            reference = plan.backends[0]
            ours, theirs = probes[model, backend], probes[model, reference]
            weight, gradient = largest_part(ours, theirs)
            yield Parity(
                model=model,
                backend=backend,
                reference=reference,
                samples=len(ours[LOGITS]),
                logits=float(np.abs(ours[LOGITS] - theirs[LOGITS]).max()),
                largest=float(np.abs(theirs[LOGITS]).max()),
                alike=float((ours[LOGITS].argmax(1) == theirs[LOGITS].argmax(1)).mean()),
                loss=float(np.abs(ours[LOSS] - theirs[LOSS]).max()),
                gradient=gradient,
                weight=weight,
                epochs=tuple(_parting(results, plan, model, backend, seed) for seed in plan.seeds),
                float32=plan.experiment.train.precision == "fp32",
            )


def largest_part(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> tuple[str, float]:
    """(weight, difference) where two gradients differ most, as a part of the largest element of the weight's own."""
    found = {}
    for name in (name for name in theirs if name.startswith(GRADIENT)):
        scale = max(float(np.abs(each[name]).max()) for each in (ours, theirs))
        difference = float(np.abs(ours[name] - theirs[name]).max())
        found[name.removeprefix(GRADIENT)] = difference / scale if scale else 0.0
    worst = max(found, key=lambda name: found[name])
    return worst, found[worst]


def _parting(results: Results, plan: Plan, model: Network, backend: str, seed: int) -> tuple[float, ...]:
    """Of each epoch that both did."""
    cells = (Cell(backend=each, model=model, seed=seed) for each in (backend, plan.backends[0]))
    ours, theirs = (results.history(cell)["train_loss"] for cell in cells)
    epochs = min(len(ours), len(theirs))
    return tuple((ours[:epochs] - theirs[:epochs]).tolist())
