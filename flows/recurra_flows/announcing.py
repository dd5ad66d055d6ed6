"""Tells what a retraining came to: a markdown artifact, and the events on which users hang automations."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from recurra.champion.promotion import tell, untold
from recurra.champion.record import Decision
from recurra.experiment import Experiment
from recurra.home import Home
from recurra_flows.challenging import Account
from recurra_flows.events import tell_event
from recurra_flows.publishing import artifact_key


def announce(experiment: Experiment, home: Home, account: Account) -> None:
    """The account as an artifact of the flow run, and the events of every decision that nobody was told of yet."""
    try:
        key = artifact_key(experiment, "retrain")
        create_markdown_artifact(account.markdown, key, f"What was done for the champion {account.name}, and why")
    except Exception:
        get_run_logger().warning("The account could not be published as an artifact", exc_info=True)
    for decision in untold(home, account.name):
        if decision.decision == "promoted":
            tell_event("recurra.promotion", account.name, _payload(decision))
        if decision.alarms:
            tell_event("recurra.drift", account.name, _payload(decision) | {"alarms": decision.alarms})
        tell(home, account.name, decision)


def _payload(decision: Decision) -> dict[str, Any]:
    values = asdict(decision)
    told = {name: values[name] for name in ("at", "decision", "before", "why", "accuracy", "challenge")}
    return {"run": decision.network.run, **told, "metrics": decision.network.metrics}
