"""Weights and checkpoints as safetensors files, written whole or not at all, and checked when read.

A checkpoint holds all that the next step depends on: weights, optimiser, random generators, position in the data, the
best epoch so far, early stopping, and the history up to here. Its bytes depend on nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recurra.contract import Weights
from recurra.durable import write_bytes
from recurra.errors import RecurraError

_META = "recurra"  # one key: several are written in an order that changes from process to process


def _payload_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        sha.update(f"{name} {array.dtype} {array.shape}\n".encode())
        sha.update(array.data)
    return sha.hexdigest()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any] | None = None) -> None:
    """Writes named arrays, and JSON about them, as one safetensors file with a checksum."""
    from safetensors.numpy import save

    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # keeps a scalar a scalar
    meta = json.dumps({"sha256": _payload_sha256(whole), "about": about or {}}, sort_keys=True)
    write_bytes(path, save(whole, {_META: meta}))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and what was said about them; a RecurraError where the file is not as it was written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            meta = json.loads((file.metadata() or {})[_META])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        intact = _payload_sha256(arrays) == meta["sha256"]
    except FileNotFoundError:
        raise RecurraError(f"{path} does not exist") from None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RecurraError(f"{path} is not a checkpoint of recurra, or is damaged ({error})") from None
    if not intact:
        raise RecurraError(f"{path} is damaged: its arrays are not the ones that were written")
    return arrays, meta["about"]


@dataclass(frozen=True)
class Position:
    """How far a training is, and what it remembers."""

    epoch: int = 1
    """The epoch under way (from 1)."""
    step: int = 0
    """Steps of it that are done."""
    sums: dict[str, float] = field(default_factory=dict)
    """Of what is recorded in every step, over the samples of it that are done."""
    samples: int = 0
    seconds: float = 0.0
    """Of training, within this epoch."""
    best_epoch: int = 0
    best_value: float | None = None
    """Of what is monitored, its sign such that higher is better."""
    bar_epoch: int = 0
    """The last epoch that was better by early stopping's min_delta, and its value: patience counts from there."""
    bar_value: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    """One row for each epoch that is done."""
    joules: float | None = 0.0
    """That the training's GPUs have used; None where that is not known of every part of it."""


@dataclass(frozen=True)
class Checkpoint:
    """All that the next step depends on."""

    position: Position
    weights: Weights
    state: dict[str, np.ndarray]
    best: Weights
    """The weights of the best epoch so far; empty before the first."""

    def write(self, path: Path) -> None:
        """Writes it to one file, so that its parts cannot disagree."""
        arrays = {f"weights/{name}": array for name, array in self.weights.items()}
        arrays |= {f"state/{name}": array for name, array in self.state.items()}
        arrays |= {f"best/{name}": array for name, array in self.best.items()}
        write_arrays(path, arrays, asdict(self.position))

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """The checkpoint in a file; a RecurraError where it is damaged or missing."""
        arrays, about = read_arrays(path)

        def part(prefix: str) -> dict[str, np.ndarray]:
            return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

        try:
            return cls(Position(**about), part("weights/"), part("state/"), part("best/"))
        except TypeError:
            raise RecurraError(f"{path} was written by another version of recurra") from None
