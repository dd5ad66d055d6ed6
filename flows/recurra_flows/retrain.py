"""The flow that keeps a champion up to date: train anew where something changed, and promote only what is better.

    preprocess -> train -> evaluate -> report, as in `recognition`, and then -> challenge -> the decision

Where nothing changed, all of it is found in the store, and the decision in the champion's record.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow, tags

from recurra.champion.rules import Rules
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra_flows.announcing import announce
from recurra_flows.caching import verified_once
from recurra_flows.challenging import challenged, ready
from recurra_flows.framing import tagged
from recurra_flows.gpu_task_runner import gpu_task_runner, heed_cancellation
from recurra_flows.publishing import publish
from recurra_flows.recognition import recognised
from recurra_flows.recording import begun, recorded


@flow(
    name="retrain",
    flow_run_name="{experiment.name}/{experiment.backend}",
    task_runner=gpu_task_runner(),
    persist_result=False,
)
def retrain(experiment: Experiment, home: Path, rules: Rules, run: str | None = None) -> str:
    """Retrains, or goes on with the run of that id. Returns the run's folder, which has retrain.md, the account.

    An InputError for a GAN, which has no accuracy on a test split; and, before anything is trained, where the
    champion's artifacts are gone.
    """
    heed_cancellation()
    name = rules.champion or experiment.name
    if experiment.model.kind == "gan":
        raise InputError("retrain: a GAN has no accuracy by which a champion is chosen; name a recogniser's experiment")
    ready(Home(home), name)
    tagged((name,))
    of = begun(experiment, home, run)
    of.record["rules"] = rules.model_dump(mode="json")  # by which `recurra resume` goes on with it
    with recorded(of) as record, verified_once(), tags(experiment.backend, experiment.model.kind, name):
        evaluation, document = recognised(experiment, of, record)
        account = challenged(experiment, of, record, rules)
    announce(experiment, of.home, account)
    publish(experiment, evaluation, document)
    return str(of.folder)
