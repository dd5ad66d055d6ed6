"""What the commands that run several experiments have in common: `recurra augment`, `compare` and `sweep`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from recurra.errors import InputError
from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.planned import Planned

P = TypeVar("P", bound="Planned")


class Display(Protocol[P]):
    """Shows it."""

    record: P | None
    """None until it has begun."""

    def close(self) -> None:
        """Takes bars away."""
        ...

    def finished(self, record: P, /) -> None:
        """Its answer and its report."""
        ...


D = TypeVar("D", bound=Display)


def perform(json: bool, begin: Callable[[], D], execute: Callable[[D], P], rest: str = "what it has made") -> P:
    """Executes it and shows it. Where it does not end, says that the same command goes on with the `rest`."""
    with output.reserved(json):
        display = begin()
        try:
            done = execute(display)
        except BaseException as error:
            display.close()
            if display.record:
                mended = "once that is mended " if isinstance(error, InputError) else ""
                did = f"{display.record.NOUN} {display.record.id} did not end"
                output.say(f"{did}; {mended}the same command goes on with {rest}")
            raise
        display.finished(done)
    return done
