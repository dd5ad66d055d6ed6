"""Keeps a run's record true while it runs, so that a run that dies has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recurra.durable import read_json
from recurra.experiment import Experiment
from recurra.extensions import extensions
from recurra.gan_source import gan_of, settled
from recurra.home import Home
from recurra.run import Run
from recurra_flows.lifeline import follow_parent
from recurra_flows.limits import TimeIsUp
from recurra_flows.references import ArtifactRef
from recurra_flows.watching import Watch, watch, watched


def begun(experiment: Experiment, home: Path, run: str | None) -> Run:
    """The run of that id; without one a new run of the experiment. Its record names the flow run that has it."""
    if run:
        of = Run.open(Home(home), run)
    else:
        experiment = settled(experiment, Home(home))
        of = Run.create(Home(home), experiment, gan=gan_of(experiment, Home(home)))
    of.record["flow_run"] = _flow_run()
    return of


def _flow_run() -> str | None:
    """The id of the Prefect flow run that is here."""
    from prefect.context import FlowRunContext  # here, because whoever imports this module has settings to make first

    context = FlowRunContext.get()
    return str(context.flow_run.id) if context is not None and context.flow_run is not None else None


class Recorder:
    """Is handed each stage's reference as the stage ends, and tells all who want to know."""

    def __init__(self, run: Run) -> None:
        self.run, self.observers = run, extensions()
        self._made: dict[str, ArtifactRef] = {}

    def __call__(self, role: str, ref: ArtifactRef) -> ArtifactRef:
        """The reference, recorded as what the run's stage of that role made or found."""
        if any((ref.stage, ref.key) == (made.stage, made.key) for made in self._made.values()):
            # Another role of this run made it; Prefect answers with what it was then.
            ref = ref.model_copy(update={"hit": True, "why": "unchanged", "seconds": 0.0})
        outcome = ref.outcome()
        self._made[role] = ref
        self.run.stage_done(outcome, role)
        self.observers.tell("recurra_stage_end", run=self.run, stage=role, artifact=outcome.artifact)
        # Of observers that fail, and of plugins that could not be loaded.
        self.observers.tell_problems(watch().progress.note)
        watch().stage_done(role, outcome)
        return ref

    @property
    def made(self) -> dict[str, ArtifactRef]:
        """The reference of each stage that has ended, by role."""
        return dict(self._made)


@contextmanager
def recorded(run: Run) -> Iterator[Recorder]:
    """A recorder for each stage's reference, of one experiment; its record has the results after the block."""
    with kept(run) as record:
        yield record
        run.record |= _results(run)


@contextmanager
def kept(run: Run) -> Iterator[Recorder]:
    """A recorder for each stage's reference. The run is `done` after the block, or `failed` or `stopped`.

    An InputError where another process has the run.
    """
    with run.held():
        run.save()
        try:
            yield Recorder(run)
        except BaseException as error:
            failed(run, error)
            raise
        run.finish("done", error=None)


@contextmanager
def underway(run: Run, watch: Watch) -> Iterator[Path]:
    """Within the block a flow runs for this record, watched; the folder is for what Prefect keeps of its results."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    follow_parent()
    with (
        ended(run),
        # The heartbeat's thread makes every flow end with an idle second.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        watched(watch),
    ):
        results = run.home.path / "prefect" / "results"
        results.mkdir(parents=True, exist_ok=True)
        yield results


@contextmanager
def ended(run: Run) -> Iterator[None]:
    """Holds the run; after the block its record does not say `running`, whatever failed outside its flow."""
    with run.held():
        try:
            yield
        except BaseException as error:
            with suppress(OSError, ValueError, KeyError):  # the failure that is raised matters more
                left = read_json(run.folder / run.FILE)  # the flow has a record of its own
                if left["status"] == "running":
                    failed(type(run)(run.home, run.folder, left), error)
            raise


def failed(run: Run, error: BaseException) -> None:
    """Records how it ended: `failed`, or `stopped` by Ctrl-C and its like."""
    if isinstance(error, (Exception, TimeIsUp)):
        run.finish("failed", error=str(error))
    else:
        run.finish("stopped", error="stopped by the user or the system")


def concluded(conclusion: ArtifactRef) -> dict[str, str]:
    """What the record of several experiments says of them when they are done."""
    made = conclusion.artifact()
    return {
        "answer": read_json(made.file(f"{made.stage}.json"))["answer"],
        "report": str(made.file("report.html")),
        "table": str(made.file(f"{made.stage}.parquet")),
    }


def _results(run: Run) -> dict[str, Any]:
    evaluation, report = (run.home.store.place(*run.place(role)) for role in ("evaluate", "report"))
    measured = read_json(evaluation / "metrics.json")
    return {"metrics": {**measured["headline"], **_counts(measured["samples"])}, "report": str(report / "report.html")}


def _counts(samples: int | dict[str, int]) -> dict[str, int]:
    """How many samples the metrics are of: real ones of the test split, and a GAN's."""
    return {"samples": samples} if isinstance(samples, int) else {name: samples[name] for name in ("test", "generated")}
