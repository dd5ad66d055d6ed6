"""The project file: what it may say, and that what is wrong in it is said in one line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import InputError
from recurra_flows.project import Project, load_project


def _written(place: Path, text: str) -> Path:
    (place / "recurra.yaml").write_text(text)
    return place / "recurra.yaml"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("prot: 4200", "prot: unknown field. Did you mean 'port'?"),
        ("port: 70000", "port: input should be less than or equal to 65535, found 70000"),
        ("schedules: {a: {flwo: run}}", "schedules.a.flwo: unknown field. Did you mean 'flow'?"),
        ("schedules: {a: {flow: maintain, wiht: {}}}", "schedules.a.wiht: unknown field. Did you mean 'with'?"),
        ("schedules: {a: {flow: runn}}", "schedules.a.flow: input should be 'run', 'retrain'"),
        ("schedules: {a: {flow: run}}", "schedules.a: experiment is missing: run needs an experiment file"),
        ("schedules: {a: {flow: maintain, set: {seed: 1}}}", "schedules.a: experiment and set have no meaning for"),
        ("schedules: {a: {flow: maintain, every: often}}", "schedules.a.every: expected a time such as 30s, 15m, 6h"),
        ("schedules: {a: {flow: maintain, every: 1d, cron: 0 2 * * *}}", "schedules.a: cron and every are both given"),
        ("schedules: {a: {flow: maintain, timezone: Europe/Pariss}}", "Did you mean 'Europe/Paris'?"),
        ("schedules: {a b: {flow: maintain}}", "schedules: 'a b' is no name"),
        ("schedules: [a", "not valid YAML"),
        ("- a", "expected fields such as `schedules:`, found a list"),
        ("schedules: 5", "schedules: input should be a valid dictionary, found 5"),
        ('host: ""', "host: expected the address that the dashboard is reached at"),
        ("schedules: {a: {flow: maintain, every: 9999999999d}}", "schedules.a.every: expected 365d at most"),
        ("schedules: {a: {flow: maintain, timeout: 400d}}", "schedules.a.timeout: expected 365d at most"),
    ],
)
def test_what_is_wrong_with_it_is_said_in_one_line(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(InputError) as error:
        load_project(_written(tmp_path, text))
    assert str(error.value).startswith(f"{tmp_path / 'recurra.yaml'}: ")
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_is_no_project_file_and_an_empty_file_is_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a project file"):
        load_project(tmp_path)
    assert load_project(_written(tmp_path, " \n")) == Project()


def test_what_is_set_arrives_as_it_was_written(place: Path) -> None:
    text = "schedules: {a: {flow: run, experiment: e.yaml, set: {data.source: /d/😀, evaluate.bootstrap: 20}}}"
    experiment = load_project(_written(place, text)).schedules["a"].read_experiment(place)
    assert experiment is not None
    assert (experiment.data.source, experiment.evaluate.bootstrap) == ("/d/😀", 20)


@pytest.mark.parametrize(
    ("text", "seconds", "words"),
    [("20s", 20, "every 20s"), ("15m", 900, "every 15m"), ("1h 30m", 5400, "every 90m"), ("2d", 172_800, "every 2d")],
)
def test_times_are_said_as_people_say_them(tmp_path: Path, text: str, seconds: float, words: str) -> None:
    project = load_project(_written(tmp_path, f"schedules: {{a: {{flow: maintain, every: {text}}}}}"))
    schedule = project.schedules["a"]
    assert schedule.every is not None
    assert (schedule.every.total_seconds(), schedule.when) == (seconds, words)
    assert Project.model_validate(project.model_dump(mode="json", by_alias=True)) == project


def _deployments(place: Path, text: str) -> dict[str, Any]:
    from recurra_flows.deploying import deployments

    project = load_project(_written(place, text))
    return {each.full_name: each for each in deployments(project, place, "recurra.yaml")}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{flow: run, experiment: no.yaml}", "experiment: {place}/no.yaml: no such experiment file."),
        ("{flow: run, experiment: e.yaml, set: {train.epohcs: 5}}", "train.epohcs: unknown field. Did you mean"),
        ("{flow: run, experiment: e.yaml, set: {backend: nowhere}}", "backend 'nowhere' is not installed"),
        ("{flow: retrain, experiment: e.yaml, with: {ruls: {}}}", "with: ruls: unknown field. Did you mean 'rules'?"),
        ("{flow: maintain, with: {days: -1}}", "with: days: input should be greater than or equal to 0, found -1"),
        ("{flow: sweep, experiment: e.yaml}", "with: space: missing, and needed"),
        ("{flow: maintain, cron: 61 * * * *}", "cron: "),
        ("{flow: run, experiment: e.yaml, set: {name: 2026-01-01}}", "name: input should be a valid string"),
        ("{flow: compare, experiment: e.yaml, with: {backends: [nowhere]}}", "backend 'nowhere' is not installed"),
        ("{flow: sweep, experiment: e.yaml, with: {space: ['train.epohcs=1,2']}}", "Did you mean"),
        ("{flow: retrain, experiment: g.yaml}", "a GAN has no accuracy by which a champion is chosen"),
    ],
)
def test_what_a_flow_does_not_take_is_refused_before_anything_is_registered(place: Path, text: str, fault: str) -> None:
    with pytest.raises(InputError) as error:
        _deployments(place, f"schedules: {{nightly: {text}}}")
    assert str(error.value).startswith("recurra.yaml: schedules.nightly")
    assert fault.format(place=place) in str(error.value)
    assert "\n" not in str(error.value)


def test_every_flow_is_deployed_and_a_schedule_gives_its_name_its_parameters_and_one_run_at_a_time(place: Path) -> None:
    made = _deployments(
        place,
        "schedules:\n  nightly:\n    {flow: run, experiment: e.yaml, set: {train.epochs: 7}, cron: 0 2 * * *,"
        " timezone: Europe/Paris, overlap: refuse, timeout: 6h, retries: 2}\n",
    )
    nightly = made.pop("run/nightly")
    assert nightly.parameters["experiment"]["train"]["epochs"] == 7
    assert nightly.parameters["limits"] == {"retries": 2, "timeout_minutes": 360.0}
    assert (nightly.concurrency_limit, nightly.concurrency_options.collision_strategy) == (1, "CANCEL_NEW")
    assert nightly.entrypoint == "recurra_flows.deployed.run"
    assert set(made) == {
        f"{flow}/on-demand" for flow in ("retrain", "compare", "sweep", "augment", "predict", "score", "maintain")
    }


def test_the_next_time_is_that_of_the_schedules_own_clock(place: Path) -> None:
    import asyncio

    from recurra_flows.deploying import table

    made = _deployments(
        place,
        "schedules:\n  a: {flow: maintain, cron: 0 2 1 1 *, timezone: Europe/Paris}\n"
        "  b: {flow: maintain, every: 1d, timezone: Europe/Paris}\n  c: {flow: maintain, every: 1h, paused: true}\n"
        "  d: {flow: maintain}\n",
    )
    rows = {row["name"]: row for row in asyncio.run(table(list(made.values())))}
    assert rows["a"]["next"].endswith("-01-01 02:00:00")
    assert rows["b"]["next"].endswith(" 01:00:00")  # `every` counts from midnight in UTC, told on Paris's clock
    assert datetime.fromisoformat(rows["b"]["next"]) > datetime.now()
    assert (rows["c"]["next"], rows["d"]["next"], rows["d"]["when"]) == ("paused", "", "by hand")
