"""Going back to an earlier champion."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.champion.record import Decision, Network, Record, changing, existing, now, run_of
from recurra.errors import InputError, nearest
from recurra.home import Home


def roll_back(home: Home, name: str, to: str | None = None) -> Decision:
    """Makes an earlier champion the champion again: that of the run `to`, or the one before the current.

    The network that is given up is not promoted again by itself; a new training is. An InputError where there is none
    to go back to, or where its artifacts are damaged or gone.
    """
    existing(home, name)
    with changing(home, name) as history:
        record = Record(name, history)
        current = record.current
        assert current is not None  # it exists
        target = _named(record, to) if to else _before(record, current)
        if target.run == current.run:
            raise InputError(f"champion {name}: run {target.run} is the champion already")
        _check(home, name, target)
        decision = Decision(
            at=now(),
            decision="rolled back",
            network=target,
            before=current.run,
            why=f"somebody went back from run {current.run}",
            dismissed=current.weights,
            told=True,
        )
        history.append(decision)
    return decision


def _before(record: Record, current: Network) -> Network:
    """The champion before the current one was promoted: going back twice leads further back, not forth."""
    for each in reversed(record.history):
        if each.decision == "promoted" and each.network.run == current.run:
            if each.before not in record.former:
                break
            return record.former[each.before]
    raise InputError(f"champion {record.name}: run {current.run} was the first; there is none before it to go back to")


def _named(record: Record, to: str) -> Network:
    former = record.former
    matches: Sequence[str] = [to] if to in former else [run for run in former if run.startswith(to)]
    if len(matches) == 1:
        return former[matches[0]]
    if matches:
        raise InputError(f"--to {to}: the beginning of several: {', '.join(matches[-5:])}")
    raise InputError(
        f"--to {to}: no run that was a champion of {record.name}.{nearest(to, list(former))}"
        f" `recurra champion show {record.name}` lists them"
    )


def _check(home: Home, name: str, target: Network) -> None:
    """An InputError unless the run is there, and every byte of the artifacts that the record names."""
    run = run_of(home, name, target)
    for role in target.artifacts:
        run.artifact(role)
