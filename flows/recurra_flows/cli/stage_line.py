"""A stage that has ended, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from recurra.store import Outcome


def stage_line(role: str, width: int, outcome: Outcome, told: str = "") -> Text:
    """The stage's role, whether it was a hit, its seconds, and what is told of it, or why it ran."""
    from rich.text import Text

    from recurra.progress import duration

    return Text.assemble(
        f"{role:<{width}}  ",
        (f"{outcome.cache:<4}", "green" if outcome.hit else "yellow"),
        (f"  {duration(outcome.seconds):>12}", "cyan"),
        f"  {told or outcome.why}",
    )


def measured(outcome: Outcome) -> str:
    """The accuracy that an evaluation measured; nothing of other stages."""
    from recurra.durable import read_json

    if outcome.artifact.stage != "evaluate":
        return ""
    return f"accuracy {read_json(outcome.artifact.file('metrics.json'))['headline']['accuracy']:.4f}"
