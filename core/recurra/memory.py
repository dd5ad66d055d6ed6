"""How much memory this process may still take: what the machine has left, and what its container allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_UNLIMITED = 1 << 60
"""Version 1 writes a number near 2**63 where there is no limit."""


def available_memory(root: Path = Path("/")) -> int:
    """Bytes, the smaller of what the machine has available and what the control groups of the process leave.

    Pages of files that the kernel would give back at once count as left, as they do in what the machine says.
    """
    import psutil

    return min([psutil.virtual_memory().available, *_left(root)])


def _left(root: Path) -> Iterator[int]:
    """Of each control group with a limit that the process is in (Linux; docs of the kernel, cgroup-v1 and -v2)."""
    for folder, names in _groups(root):
        limit, used = (_number(folder / name) for name in names)
        if limit is not None and used is not None and limit < _UNLIMITED:
            yield max(0, limit - used + _cached(folder / "memory.stat"))


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, str]]]:
    """(folder, the names of its files of the limit and of what is used); those above it bind too."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            top, names = root / "sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        own = Path(path.lstrip("/"))
        # In a container the path may be the host's, and the container's own group is what is mounted at the top.
        yield from ((top / above, names) for above in (own, *own.parents))


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max": no limit
        return None


def _cached(file: Path) -> int:
    try:
        pairs = dict(line.split(None, 1) for line in file.read_text().splitlines())
        return int(pairs.get("total_inactive_file", pairs.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0
