"""What a project's schedules are to Prefect: deployments, with their parameters, their times, and one run at a time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints
from uuid import UUID

from prefect import Flow, get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.schedules import Cron, Interval
from prefect.schedules import Schedule as Times
from prefect.types.entrypoint import EntrypointType
from pydantic import BaseModel, ConfigDict, PrivateAttr, create_model

from recurra.capabilities import able_backend
from recurra.config import validated
from recurra.errors import InputError, RecurraError
from recurra.experiment import Experiment
from recurra_flows import deployed
from recurra_flows.form import filled
from recurra_flows.limits import Limits
from recurra_flows.project import FlowName, Project, Schedule
from recurra_flows.refusals import reason

FLOWS = (*get_args(FlowName), "predict")
BY_HAND = "on-demand"
"""The name of the deployment of a flow that no schedule runs."""
ANCHOR = datetime(2020, 1, 1)
"""Times of `every` are counted from here, so that they stay the same when `recurra up` is started again."""
STRATEGIES = {"queue": ConcurrencyLimitStrategy.ENQUEUE, "refuse": ConcurrencyLimitStrategy.CANCEL_NEW}


class Deployment(RunnerDeployment):
    """A flow with its parameters and its times, as a project's schedule has them."""

    _form: dict[str, Any] = PrivateAttr(default_factory=dict)
    _schedule: Schedule | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, flow: Flow[..., Any], name: str, schedule: Schedule | None, parameters: dict[str, Any]) -> Deployment:
        """The flow as a deployment, of which one run goes on at once; without a schedule it is run by hand alone."""
        about = (flow.description or "").partition("\n\nArgs:")[0].strip()
        made = cls.from_flow(
            flow,
            name,
            schedule=_times(schedule) if schedule else None,
            concurrency_limit=_limit(schedule),
            parameters=parameters,
            description=f"{about}\n\nIts schedule is in the project file." if schedule else about,
            tags=["recurra", *_tags(parameters)],
            version=version("recurra"),
            paused=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        assert isinstance(made, cls)
        made._form, made._schedule = flow.parameters.model_dump(), schedule
        return made

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of the project file that it was made of."""
        return self._schedule

    def same(self, other: Deployment | None) -> bool:
        """Whether the other would be registered as the same."""
        return other is not None and (self.model_dump(), self._form) == (other.model_dump(), other._form)

    async def aapply(self, *_: Any, **__: Any) -> UUID:
        """Registers it with Prefect's API; its id. What was registered under its name before is replaced.

        A RecurraError where the API refuses it.
        """
        async with get_client() as client:
            try:
                return await client.create_deployment(
                    await client.create_flow_from_name(str(self.flow_name)),
                    self.name,
                    version=self.version,
                    schedules=self.schedules,  # pyright: ignore[reportArgumentType] - none of them is an update
                    concurrency_limit=self.concurrency_limit,
                    concurrency_options=self.concurrency_options,
                    parameters=self.parameters,
                    description=self.description,
                    tags=self.tags,
                    entrypoint=self.entrypoint,
                    parameter_openapi_schema=self._form,
                    enforce_parameter_schema=True,
                    paused=self.paused,
                )
            except PrefectHTTPStatusError as error:
                raise RecurraError(f"deployment {self.full_name}: Prefect refused it: {reason(error)}") from None

    async def work_pool(self) -> str | None:
        """The work pool whose workers run what is registered under its name; None where there is none."""
        async with get_client() as client:
            with suppress(ObjectNotFound):
                return (await client.read_deployment_by_name(self.full_name)).work_pool_name
        return None


def deployments(project: Project, folder: Path, origin: str, by_hand: bool = True) -> list[Deployment]:
    """The project's deployments: one for each schedule, and with `by_hand` one for each flow that has none.

    Relative paths are meant from `folder`. An InputError that names `origin`, the schedule and the field.
    """
    made = [_scheduled(name, schedule, folder, origin) for name, schedule in project.schedules.items()]
    if not by_hand:
        return made
    taken = {schedule.flow for schedule in project.schedules.values()}
    return made + [Deployment.of(_flow(name), BY_HAND, None, {}) for name in FLOWS if name not in taken]


def _flow(name: str) -> Flow[..., Any]:
    return getattr(deployed, name)


def _scheduled(name: str, schedule: Schedule, folder: Path, origin: str) -> Deployment:
    place = f"{origin}: schedules.{name}"
    try:
        experiment = schedule.read_experiment(folder)
        if experiment is not None:
            able_backend(experiment)
    except InputError as error:
        raise InputError(f"{place}.experiment: {error}") from None
    given = {"experiment": filled(experiment)} if experiment is not None else {}
    flow = _flow(schedule.flow)
    wanted = _checked(flow, schedule.parameters, f"{place}.with")
    if experiment is not None:
        _planned(schedule.flow, experiment, wanted, place)
    try:
        _times(schedule)
    except ValueError as error:
        raise InputError(f"{place}.cron: {' '.join(str(error).split())}") from None
    # What is stored is what was given: the rest are defaults, which may be others in a later version.
    parameters = {**given, **schedule.parameters, **_limits(schedule)}
    return Deployment.of(flow, name, schedule, parameters)


def _planned(flow: str, experiment: Experiment, wanted: BaseModel, place: str) -> None:
    """An InputError where the flow would refuse the experiment as soon as it runs."""
    given: Any = wanted
    try:
        if flow == "retrain" and experiment.model.kind == "gan":
            raise InputError("a GAN has no accuracy by which a champion is chosen; name a recogniser's experiment")
        if flow == "compare":
            from recurra.comparison.plan import planned

            planned(experiment, given.backends or (experiment.backend,), given.models, given.seeds)
        if flow == "sweep":
            from recurra.sweep.plan import of_space

            of_space(experiment, given.space, given.trials, given.sampler, given.prune)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _checked(flow: Flow[..., Any], given: dict[str, Any], place: str) -> BaseModel:
    """The parameters with their defaults; an InputError for one that the flow does not have, or does not take."""
    hints = get_type_hints(flow.fn, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if of.default is of.empty else of.default)
        for name, of in signature(flow.fn).parameters.items()
        if name not in ("experiment", "limits", "resume")
    }
    return validated(create_model(flow.name, __config__=ConfigDict(extra="forbid"), **fields), given, place)


def _limits(schedule: Schedule) -> dict[str, Any]:
    limits: dict[str, Any] = {"retries": schedule.retries} if schedule.retries else {}
    if schedule.timeout:
        limits["timeout_minutes"] = schedule.timeout.total_seconds() / 60
    return {"limits": Limits.model_validate(limits).model_dump(exclude_unset=True)} if limits else {}


def _times(schedule: Schedule) -> Times | None:
    if schedule.every:
        return Interval(schedule.every, ANCHOR.replace(tzinfo=UTC), schedule.timezone, active=not schedule.paused)
    return Cron(schedule.cron, schedule.timezone, active=not schedule.paused) if schedule.cron else None


def _limit(schedule: Schedule | None) -> ConcurrencyLimitConfig:
    return ConcurrencyLimitConfig(limit=1, collision_strategy=STRATEGIES[schedule.overlap if schedule else "queue"])


def _tags(parameters: dict[str, Any]) -> list[str]:
    experiment = parameters.get("experiment")
    return [experiment["name"], experiment["backend"], experiment["model"]["kind"]] if experiment else []


async def next_time(deployment: Deployment) -> datetime | None:
    """When it runs next; None for never."""
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
    from prefect.server.schemas import schedules

    for each in deployment.schedules or []:
        if not each.active or not isinstance(each.schedule, (CronSchedule, IntervalSchedule)):
            continue
        kind = schedules.CronSchedule if isinstance(each.schedule, CronSchedule) else schedules.IntervalSchedule
        dates = await kind.model_validate(each.schedule.model_dump()).get_dates(1)
        return dates[0] if dates else None
    return None


Column = Literal["name", "flow", "when", "next", "timezone"]


async def table(made: list[Deployment]) -> list[dict[Column, str]]:
    """A row for each scheduled deployment."""
    return [await _row(each, each.schedule) for each in made if each.schedule is not None]


async def _row(deployment: Deployment, schedule: Schedule) -> dict[Column, str]:
    time = await next_time(deployment)
    return {
        "name": deployment.name,
        "flow": schedule.flow,
        "when": schedule.when,
        "next": f"{time:%Y-%m-%d %H:%M:%S}" if time else "paused" if schedule.paused else "",
        "timezone": schedule.timezone,
    }
