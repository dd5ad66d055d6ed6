"""Tells what a retraining came to: a markdown artifact, and the events on which users hang automations."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from recurra.champion.promotion import tell, untold
from recurra.champion.record import Decision
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.store import canonical
from recurra_flows.challenging import Account
from recurra_flows.events import Happened, tell_event
from recurra_flows.publishing import artifact_key


def announce(experiment: Experiment, home: Home, account: Account) -> None:
    """The account as an artifact of the flow run, and the events of every decision that nobody was told of yet."""
    try:
        key = artifact_key(experiment, "retrain")
        create_markdown_artifact(account.markdown, key, f"What was done for the champion {account.name}, and why")
    except Exception:
        get_run_logger().warning("The account could not be published as an artifact", exc_info=True)
    for decision in untold(home, account.name):
        sent = [
            tell_event(event, account.name, payload, _id(event, home, account.name, decision))
            for event, payload in _events(decision).items()
        ]
        if all(sent):
            tell(home, account.name, decision)


def _events(decision: Decision) -> dict[Happened, dict[str, Any]]:
    """The payload of each event of a decision."""
    payload, events = _payload(decision), dict[Happened, dict[str, Any]]()
    if decision.decision == "promoted":
        events["recurra.promotion"] = payload
    if decision.alarms:
        events["recurra.drift"] = payload | {"alarms": decision.alarms}
    return events


def _payload(decision: Decision) -> dict[str, Any]:
    values = asdict(decision)
    told = {name: values[name] for name in ("at", "decision", "before", "why", "accuracy", "challenge")}
    return {"run": decision.network.run, **told, "metrics": decision.network.metrics}


def _id(event: str, home: Home, name: str, decision: Decision) -> UUID:
    """The same whenever it is sent, so that it is one event however often it is."""
    return uuid5(NAMESPACE_OID, canonical([event, str(home.path), name, asdict(replace(decision, told=False))]))
