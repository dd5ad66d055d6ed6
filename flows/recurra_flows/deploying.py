"""What a project's schedules are to Prefect: deployments, with their parameters, their times, and one run at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any, Literal, get_type_hints
from uuid import UUID

from prefect import Flow, get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import PrefectHTTPStatusError
from prefect.schedules import Cron, Interval
from prefect.schedules import Schedule as Times
from prefect.types.entrypoint import EntrypointType
from pydantic import ConfigDict, PrivateAttr, create_model

from recurra.capabilities import able_backend
from recurra.config import validated
from recurra.errors import InputError, RecurraError
from recurra_flows import deployed
from recurra_flows.form import filled
from recurra_flows.project import Project, Schedule

FLOWS = ("run", "retrain", "compare", "sweep", "augment", "predict", "score", "maintain")
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
        """The flow as a deployment; without a schedule it is run by hand alone, and as often at once as one likes."""
        about = (flow.description or "").partition("\n\nArgs:")[0].strip()
        made = cls.from_flow(
            flow,
            name,
            schedule=_times(schedule) if schedule else None,
            concurrency_limit=_limit(schedule) if schedule else None,
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
                raise RecurraError(f"deployment {self.full_name}: Prefect refused it: {_reason(error)}") from None


def _reason(error: PrefectHTTPStatusError) -> str:
    """What the API says is wrong, without the request, which can be long."""
    try:
        said = error.response.json()
        return "; ".join(fault["msg"] for fault in said["exception_detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {error.response.status_code}"


def deployments(project: Project, folder: Path, origin: str) -> list[Deployment]:
    """The project's deployments: one for each schedule, and one for each flow that has none.

    Relative paths are meant from `folder`. An InputError that names `origin`, the schedule and the field.
    """
    made = [_scheduled(name, schedule, folder, origin) for name, schedule in project.schedules.items()]
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
    parameters = {**given, **_checked(flow, schedule.parameters, f"{place}.with"), **_limits(schedule)}
    try:
        return Deployment.of(flow, name, schedule, parameters)
    except ValueError as error:
        raise InputError(f"{place}.cron: {error}") from None


def _checked(flow: Flow[..., Any], given: dict[str, Any], place: str) -> dict[str, Any]:
    """The parameters, as they were given; an InputError for one that the flow does not have, or does not take."""
    hints = get_type_hints(flow.fn, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if of.default is of.empty else of.default)
        for name, of in signature(flow.fn).parameters.items()
        if name not in ("experiment", "limits", "resume")
    }
    # What is stored is what was given: the rest are defaults, which may be others in a later version.
    validated(create_model(flow.name, __config__=ConfigDict(extra="forbid"), **fields), given, place)
    return given


def _limits(schedule: Schedule) -> dict[str, Any]:
    limits: dict[str, Any] = {"retries": schedule.retries} if schedule.retries else {}
    if schedule.timeout:
        limits["timeout_minutes"] = schedule.timeout.total_seconds() / 60
    return {"limits": limits} if limits else {}


def _times(schedule: Schedule) -> Times | None:
    if schedule.every:
        return Interval(schedule.every, ANCHOR.replace(tzinfo=UTC), schedule.timezone, active=not schedule.paused)
    return Cron(schedule.cron, schedule.timezone, active=not schedule.paused) if schedule.cron else None


def _limit(schedule: Schedule) -> ConcurrencyLimitConfig:
    return ConcurrencyLimitConfig(limit=1, collision_strategy=STRATEGIES[schedule.overlap])


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
