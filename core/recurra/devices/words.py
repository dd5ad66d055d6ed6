"""What is said of a request that waits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from recurra.devices.holder import Holding
from recurra.devices.requests import Request
from recurra.progress import duration


def waiting_line(request: Request, holdings: Sequence[Holding], ahead: int) -> str:
    """`waiting for 1 GPU: train of happy-cat (process 12) has 4 GPUs for 5 min; 1 request comes before this one`."""
    kinds = {kind for kind, count in (("gpu", request.gpus), ("core", request.cores)) if count}
    held = Counter((one.holder, one.kind) for one in holdings if one.holder and one.kind in kinds)
    parts = [
        f"{holder} has {Request(**{f'{kind}s': count})} for {held_for(holder.since)}"
        for (holder, kind), count in held.items()
        if holder
    ]
    if ahead:
        parts.append(f"{ahead} request{'s come' if ahead > 1 else ' comes'} before this one")
    return f"waiting for {request}: {'; '.join(parts) or 'they are being given out'}"


def held_for(since: float) -> str:
    """How long ago that was; `unknown time` for what is not known."""
    return duration(max(0.0, time.time() - since)) if since else "an unknown time"
