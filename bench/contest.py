"""A contest: a backend and its rivals train the same scenario in turns, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from bench.contenders import Contender, Rival
from bench.scenario import Scenario
from bench.turns import Player, Round
from recurra.progress import Progress


@dataclass(frozen=True)
class Entry:
    """What one contender did in the rounds that count."""

    name: str
    rounds: tuple[Round, ...]
    samples: int
    """Of one round."""
    target: float | None = None
    """How many times as fast recurra is to be."""

    @property
    def rates(self) -> list[float]:
        """Samples/s of each round."""
        return [self.samples / each.seconds for each in self.rounds]

    @property
    def rate(self) -> float:
        """Their median."""
        return median(self.rates)


@dataclass(frozen=True)
class Result:
    """One scenario's entries: recurra's, then its rivals'."""

    scenario: Scenario
    ours: Entry
    rivals: tuple[Entry, ...]

    def ratios(self, rival: Entry) -> list[float]:
        """How many times as fast recurra was, in each round: what slows both down for a while cancels."""
        return [theirs.seconds / ours.seconds for ours, theirs in zip(self.ours.rounds, rival.rounds, strict=True)]

    def ratio(self, rival: Entry) -> float:
        """Their median."""
        return median(self.ratios(rival))


@dataclass(frozen=True)
class Contest:
    """All scenarios of one backend."""

    ours: Contender
    results: tuple[Result, ...]
    memory: dict[str, int]
    """Contender -> the largest memory of its process over all scenarios, in bytes."""


def hold(
    ours: Contender, rivals: Sequence[Rival], scenarios: Sequence[Scenario], rounds: int, progress: Progress
) -> Contest:
    """Starts a process for each contender, and lets them train in turns: one round to warm up, then `rounds`."""
    with ExitStack() as stack:
        contenders = [ours, *(rival.contender for rival in rivals)]
        players = [stack.enter_context(Player(each, scenarios[0].device)) for each in contenders]
        results = tuple(_result(players, rivals, scenario, rounds, progress) for scenario in scenarios)
        return Contest(ours, results, {player.contender.name: player.leave() for player in players})


def _result(
    players: Sequence[Player], rivals: Sequence[Rival], scenario: Scenario, rounds: int, progress: Progress
) -> Result:
    total = (rounds + 1) * len(players) * scenario.samples
    progress.begin(f"{players[0].contender.name}: {scenario.name}", total, "samples")
    for player in players:
        player.prepare(scenario, rounds + 1)
    table: list[list[Round]] = []
    for number in range(rounds + 1):
        table.append([])
        for player in players:
            table[-1].append(player.turn(last=number == rounds))
            progress.advance((number * len(players) + len(table[-1])) * scenario.samples)
    progress.end()
    targets = [None, *(rival.targets.get((scenario.network, scenario.sample.kind)) for rival in rivals)]
    entries = [
        Entry(player.contender.name, done, scenario.samples, target)
        for player, done, target in zip(players, zip(*table[1:], strict=True), targets, strict=True)
    ]
    return Result(scenario, entries[0], tuple(entries[1:]))
