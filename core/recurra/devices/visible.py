"""CUDA_VISIBLE_DEVICES, read as CUDA reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from recurra.devices.gpu import Gpu
from recurra.devices.nvml import Board


def chosen(boards: Sequence[Board], setting: str | None) -> tuple[Gpu, ...]:
    """The GPUs that `setting` names, in its order; all of them where it is None.

    An entry is an index (as `nvidia-smi` counts), a UUID or an unambiguous beginning of one, an instance's UUID, or
    `INDEX:INSTANCE`. A GPU that is divided stands for all its instances. The first entry that names nothing ends the
    list, and an entry given twice empties it.
    """
    if setting is None:
        return tuple(part for board in boards for part in board.parts)
    found: list[Gpu] = []
    for entry in setting.split(","):
        parts = _named(boards, entry.strip())
        if parts is None:
            break
        if set(parts) & set(found):
            return ()
        found += parts
    return tuple(found)


def _named(boards: Sequence[Board], entry: str) -> tuple[Gpu, ...] | None:
    """What one entry stands for; None where it names nothing, or more than one thing."""
    if entry.startswith("MIG-"):
        return _instance(boards, entry)
    if entry.startswith("GPU-"):
        matches = [board.parts for board in boards if board.uuid.startswith(entry)]
        return matches[0] if len(matches) == 1 else None
    number = re.match(r"(\d+)(?::(\d+))?", entry)  # CUDA ignores what follows a number
    if number is None or int(number[1]) >= len(boards):
        return None
    parts = boards[int(number[1])].parts
    if number[2] is None:
        return parts
    return parts[int(number[2]) :][:1] or None


def _instance(boards: Sequence[Board], entry: str) -> tuple[Gpu, ...] | None:
    for board in boards:
        if entry in board.old_names:
            return (board.old_names[entry],)
    matches = [part for board in boards for part in board.parts if part.is_part and part.id.startswith(entry)]
    return (matches[0],) if len(matches) == 1 else None
