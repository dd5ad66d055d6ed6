"""Whether a new network takes the champion's place, and why; and how that is recorded, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from recurra.champion.duel import Duel
from recurra.champion.findings import Findings
from recurra.champion.record import Decision, Made, Network, Record, changing, now, read
from recurra.champion.rules import Rules
from recurra.durable import read_json
from recurra.home import Home
from recurra.intervals import Interval
from recurra.run import Run
from recurra.store import Artifact
from recurra.wording import points


class OvertakenError(Exception):
    """Another network became the champion while this one was compared with the one before."""


@dataclass(frozen=True)
class Verdict:
    """What is to be done, and why, in a sentence."""

    decision: Made
    why: str


def network_of(run: Run) -> Network:
    """A run whose network has been evaluated, as a champion's record has it."""
    roles = ("preprocess", "train", "evaluate")
    stages = {role: run.place(role) for role in roles}
    digests = {role: run.record["stages"][role]["digest"] for role in roles}
    experiment, dataset = run.experiment, run.home.store.place(*stages["preprocess"])
    training = run.artifact("train")
    measured = _measured(run)
    return Network(
        run=run.id,
        weights=training.sha256(f"{experiment.train.keep}.safetensors"),
        artifacts={r: {"stage": stages[r][0], "key": stages[r][1], "digest": digests[r]} for r in roles},
        metrics=measured["headline"],
        test={"dataset": dataset.name, "digest": digests["preprocess"], "samples": measured["samples"]},
    )


def _measured(run: Run) -> dict[str, Any]:
    return read_json(run.home.store.place(*run.place("evaluate")) / "metrics.json")


def first() -> Verdict:
    """Where there is no champion."""
    return Verdict("promoted", "there was no champion yet")


def dismissed() -> Verdict:
    """Where somebody went back from this very network."""
    return Verdict("kept", "this very network was the champion, and somebody went back from it")


def unchanged() -> Verdict:
    """Where other data for the test or validation have led to the very network that is the champion."""
    return Verdict("kept", "what was trained is the same network, though the data are others")


def verdict(findings: Findings, rules: Rules) -> Verdict:
    """What the findings come to by the rules."""
    duel = findings.duel
    if duel is None:
        return Verdict("kept", "no test sample is left that both networks can read and neither learnt from")
    low, shown = duel.interval.low, _interval(duel.interval)
    lead = f"{points(duel.difference)} points of accuracy against the champion's, 95% interval {shown}"
    if low <= rules.margin:
        return Verdict("kept", f"{lead}: not above the margin of {points(rules.margin)}")
    if _worse(findings.shared):
        return Verdict("kept", f"{lead}, but it is worse on the classes that the champion knows")
    return Verdict("promoted", f"{lead}: above the margin of {points(rules.margin)}")


def _worse(shared: Duel | None) -> bool:
    return shared is not None and shared.interval.high < 0


def _interval(interval: Interval) -> str:
    return f"{points(interval.low)} to {points(interval.high)}"


def enter(
    home: Home,
    name: str,
    network: Network,
    verdict: Verdict,
    against: Network | None,
    challenge: Artifact | None = None,
    findings: Findings | None = None,
    alarms: Sequence[str] = (),
) -> Decision | None:
    """Records a verdict; None where the very same was recorded before, by whoever was stopped after it.

    `against` is the champion that the network was compared with. OvertakenError where that is the champion no more.
    """
    with changing(home, name) as history:
        current = Record(name, history).current
        if (current and current.weights) != (against and against.weights):
            raise OvertakenError
        decision = Decision(
            at=now(),
            decision=verdict.decision,
            network=network,
            before=current.run if current else None,
            why=verdict.why,
            challenge={"key": challenge.key, "digest": challenge.digest} if challenge else None,
            accuracy=_accuracy(findings.duel) if findings and findings.duel else None,
            alarms=list(alarms),
        )
        if _known(history, decision):
            return None
        history.append(decision)
        return decision


def _known(history: Sequence[Decision], decision: Decision) -> bool:
    """Whether the newest decision about this network on this data was this one, in whatever words; of those since the
    champion became it: what was decided under another, or before somebody went back to it, is to be decided again.
    """
    for each in reversed(history):
        if each.decision != "kept":
            return False
        if each.network.weights == decision.network.weights and each.challenge == decision.challenge:
            return decision.decision == "kept" and bool(each.alarms) == bool(decision.alarms)
    return False


def _accuracy(duel: Duel) -> dict[str, Any]:
    values = asdict(duel)
    interval = values.pop("interval")
    return {**values, "difference": duel.difference, "low": interval["low"], "high": interval["high"]}


def untold(home: Home, name: str) -> list[Decision]:
    """The decisions whose events were not sent, the first one first."""
    return [each for each in read(home, name).history if not each.told]


def tell(home: Home, name: str, decision: Decision) -> None:
    """Records that the events of a decision were sent."""
    with changing(home, name) as history:
        history[:] = [replace(each, told=True) if each == decision else each for each in history]
