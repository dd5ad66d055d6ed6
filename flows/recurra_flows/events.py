"""What happened, as Prefect events, on which users hang automations (mail, chat)."""

from __future__ import annotations

from typing import Any, Literal

Happened = Literal["recurra.failure", "recurra.promotion", "recurra.drift", "recurra.score"]


def tell_event(event: Happened, name: str, payload: dict[str, Any]) -> None:
    """Emits the event about the champion, or the experiment, of that name; Prefect adds the flow run and deployment.

    Where that fails, the run is none the worse.
    """
    from prefect.events import emit_event

    from recurra_flows.telling import tell

    try:
        resource = {"prefect.resource.id": f"recurra.champion.{name}", "prefect.resource.name": name}
        emit_event(event, resource, payload=payload)
    except Exception as error:
        tell(f"warning: the event {event} could not be sent: {error}")
