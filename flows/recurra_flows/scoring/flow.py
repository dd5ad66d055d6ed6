"""The flow of scoring: one pass over an inbox, with a table of what it did and the event `recurra.score`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import Task, flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from recurra.experiment import Experiment
from recurra.home import Home
from recurra.scoring.settings import Scoring
from recurra.scoring.tally import Tally
from recurra_flows.events import tell_event
from recurra_flows.gpu_task_runner import gpu_task_runner, heed_cancellation
from recurra_flows.leased import asked, starts_its_worker
from recurra_flows.scoring.scorer import Scorer
from recurra_flows.watching import watch

LISTED = 50
"""Refused files in the dashboard's table."""


@flow(name="score", flow_run_name="{source}/score", task_runner=gpu_task_runner(), persist_result=False)
def score(source: str, inbox: Path, home: Path, settings: Scoring | None = None) -> dict[str, Any]:
    """Scores the files of an inbox that no pass has scored. What it did: `Tally.to_json`.

    source: a run's id, its beginning, its folder, `latest`, or `champion:NAME`.
    """
    heed_cancellation()
    scorer = Scorer(Home(home), source, inbox, settings or Scoring())
    with scorer.held():
        done = scorer.once(watch().progress, _as_task)
    for line in (*done.notes, done.line()):
        get_run_logger().info(line)
    publish(done)
    tell_event("recurra.score", done.name, _payload(done))
    return done.to_json()


def _as_task(experiment: Experiment, what: str, work: Callable[[], None]) -> None:
    """Runs the work as a task that asks for the experiment's devices."""
    del what
    body = starts_its_worker(lambda: work())
    stage = Task(body, name="score", tags=asked(experiment, 1), cache_policy=NO_CACHE, persist_result=False)
    stage.submit().result()


def publish(done: Tally) -> None:
    """What the pass did as a markdown artifact of the flow run. Where that fails, the pass is none the worse."""
    try:
        create_markdown_artifact(summary(done), _key(done.name), f"Scores of {done.name}")
    except Exception:
        get_run_logger().warning("What was scored could not be published as an artifact", exc_info=True)


def _key(name: str) -> str:
    """The artifact's key: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{name} score".lower()).strip("-")


def summary(done: Tally) -> str:
    """The pass in Markdown."""
    lines = [
        f"**{done.scored:,} scored**, {done.refused:,} refused, {done.waiting:,} waiting",
        "",
        "| | |",
        "| --- | --- |",
        f"| network | {done.run} on {done.backend} |",
        f"| time | {done.seconds:,.1f} s, {done.rate:,.0f} files/s |",
        f"| predictions | `{done.folder}/predictions` |",
    ]
    if done.reasons:
        lines += ["", "| refused | reason |", "| --- | --- |"]
        lines += [f"| {_cell(each['file'])} | {_cell(each['reason'])} |" for each in done.reasons[:LISTED]]
        if done.refused > LISTED:
            lines += ["", f"and {done.refused - LISTED:,} more; the ledger has all"]
    return "\n".join([*lines, *(f"\n{note}" for note in done.notes), ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")


def _payload(done: Tally) -> dict[str, Any]:
    names = ("run", "backend", "scored", "refused", "waiting", "folder")
    return {name: getattr(done, name) for name in names} | {"seconds": round(done.seconds, 3)}
