"""A trial: one training with settings that were chosen, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from recurra.sweep.plan import Plan

State = Literal["waiting", "done", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One training of a sweep. `waiting`: it was chosen, and has not ended."""

    number: int
    """From 0, in the order in which they were chosen."""
    settings: dict[str, Any]
    """Dotted name -> value."""
    state: State = "waiting"
    value: float | None = None
    """Of what is monitored; None unless the trial is done."""
    curve: tuple[tuple[int, float], ...] = ()
    """(epoch, what is monitored) of every epoch that was measured."""
    best_epoch: int | None = None
    epochs: int | None = None
    """That were done."""
    seconds: float | None = None
    """Of the training."""
    training: str | None = None
    """Key of the artifact (stage train)."""
    reason: str = ""
    """Why it failed or was pruned, in a line."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Trial:
        """What `to_json` gave, read from JSON."""
        return cls(**{**value, "curve": tuple((int(epoch), float(found)) for epoch, found in value["curve"])})


def best_of(plan: Plan, trials: Sequence[Trial]) -> Trial | None:
    """The best of those that are done; of equal ones the first."""
    done = [(trial.value, trial) for trial in trials if trial.value is not None]
    if not done:
        return None
    # Equal values: the first, as min and max have it.
    return (max if plan.rising else min)(done, key=lambda each: each[0])[1]


def write_trials(path: Path, plan: Plan, trials: Sequence[Trial]) -> None:
    """The trials as Parquet: a column for each field of `Trial` but the curve, and for each that varies."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"number": pa.int32(), "best_epoch": pa.int32(), "epochs": pa.int32()}
    kinds |= {"value": pa.float64(), "seconds": pa.float64()}
    plain = [field.name for field in fields(Trial) if field.name not in ("settings", "curve")]
    columns = {
        name: pa.array([getattr(trial, name) for trial in trials], kinds.get(name, pa.string())) for name in plain
    }
    columns |= {each.field: _column([trial.settings.get(each.field) for trial in trials]) for each in plan.space}
    pq.write_table(pa.table(columns), path, write_page_checksum=True)


def _column(values: list[Any]) -> Any:
    """The values of one field; of no one type, as text."""
    import pyarrow as pa

    from recurra.sweep.space import shown

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([shown(value) for value in values], pa.string())
