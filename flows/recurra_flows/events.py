"""What happened, as Prefect events, on which users hang automations (mail, chat)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from prefect.events import Event

Happened = Literal["recurra.failure", "recurra.promotion", "recurra.drift", "recurra.score"]


def tell_event(event: Happened, name: str, payload: dict[str, Any], id: UUID | None = None) -> bool:
    """Sends the event about the champion, or the experiment, of that name, with the flow run and its deployment.

    Whether Prefect's server has taken it; of two of one `id` it keeps the first. Where that fails, the run is none the
    worse.
    """
    from prefect.events import Event

    from recurra_flows.telling import tell

    try:
        resource = {"prefect.resource.id": f"recurra.champion.{name}", "prefect.resource.name": name}
        happened = Event.model_validate({"event": event, "resource": resource, "payload": payload, "id": id or uuid4()})
        # Not `emit_event`: that leaves it to a thread, and nobody learns whether it was sent. In a thread of its own,
        # because there may be an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(copy_context().run, asyncio.run, _sent(happened)).result()
    except Exception as error:
        tell(f"warning: the event {event} could not be sent: {error}")
        return False
    return True


async def _sent(event: Event) -> None:
    from prefect import get_client
    from prefect.events.related import related_resources_from_run_context

    async with get_client() as client:
        about = {resource.id for resource in event.involved_resources}
        event.related += await related_resources_from_run_context(client, exclude=about)
        await client.request("POST", "/events", json=[event.model_dump(mode="json")])
