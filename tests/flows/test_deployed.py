"""The flows as deployments have them: their forms, their limits, and what they leave in Prefect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from prefect.utilities.callables import parameter_schema
from prefect.utilities.importtools import import_object
from prefect.utilities.schema_tools import validate
from sklearn.datasets import load_digits

from recurra.errors import InputError, RecurraError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.run import Run, run_folders
from recurra_flows import deployed, limits
from recurra_flows.deploying import FLOWS
from recurra_flows.form import FOLDED, filled
from recurra_flows.limits import Limits, TimedOutError, in_time, tried
from recurra_flows.maintaining import verified
from recurra_flows.publishing import stages_table
from recurra_flows.telling import worth_telling

pytestmark = pytest.mark.timeout(600)
Flow = Callable[..., subprocess.CompletedProcess[str]]


def _schema(name: str) -> dict[str, Any]:
    return parameter_schema(getattr(deployed, name)).model_dump_for_openapi()


@pytest.mark.parametrize("name", FLOWS)
def test_every_parameter_of_every_deployed_flow_has_help(name: str) -> None:
    for field, of in _schema(name)["properties"].items():
        assert of.get("description"), field


def test_the_form_offers_backends_and_networks_to_choose_from(place: Path) -> None:
    # What is installed is looked at when a flow's module is read.
    shown = subprocess.run([sys.executable, "-c", FORM], capture_output=True, text=True, check=True, timeout=120)
    form = json.loads(shown.stdout)
    assert "plain" in form["run"]["definitions"]["Experiment"]["properties"]["backend"]["enum"]
    assert "plain" in form["compare"]["properties"]["backends"]["items"]["enum"]
    assert form["run"]["definitions"]["Model"]["properties"]["kind"]["enum"] == ["cnn", "rnn", "fusion", "gan"]
    epochs = form["run"]["definitions"]["Train"]["properties"]["epochs"]
    assert (epochs["default"], epochs["minimum"], bool(epochs["description"])) == (10, 1, True)


FORM = """
import json
from prefect.utilities.callables import parameter_schema
from recurra_flows import deployed, limits
shown = {name: parameter_schema(getattr(deployed, name)).model_dump_for_openapi() for name in ("run", "compare")}
print(json.dumps(shown))
"""


GAN: dict[str, Any] = {"model": {"kind": "gan"}, "train": {"gan": {"r1": 5}}}


def test_a_gans_settings_are_one_field_of_json_and_stay_where_they_were_changed() -> None:
    definitions = _schema("run")["definitions"]
    for part, name in FOLDED.items():
        assert definitions[part.capitalize()]["properties"][name].keys() == {"type", "title", "description"}
    plain = Experiment.model_validate({"name": "e", "data": {"source": "digits"}})
    gan = Experiment.model_validate({"name": "e", "data": {"source": "digits"}, **GAN})
    assert "gan" not in filled(plain)["train"]
    assert filled(gan)["train"]["gan"]["r1"] == 5
    assert [Experiment.model_validate(filled(each)) for each in (plain, gan)] == [plain, gan]


def test_a_failure_is_tried_again_after_waits_that_double_and_wrong_input_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits, tries, told = list[float](), list[int](), list[str]()
    monkeypatch.setattr(time, "sleep", waits.append)

    def attempt(error: Exception) -> None:
        tries.append(1)
        raise error

    with pytest.raises(OSError, match="full"):
        tried(Limits(retries=3, wait_minutes=0.5), lambda: attempt(OSError("full")), told.append)
    assert (waits, len(tries)) == ([30.0, 60.0, 120.0], 4)
    assert told[0] == "failed: full; retry 1 of 3 in 30 s"
    with pytest.raises(InputError):
        tried(Limits(retries=3), lambda: attempt(InputError("wrong")), told.append)
    assert len(tries) == 5


def test_time_is_up_also_where_every_exception_is_caught() -> None:
    def stubborn() -> None:
        while True:
            try:
                time.sleep(0.01)
            except (Exception, RecurraError):
                continue

    with pytest.raises(TimedOutError, match="took longer"):
        in_time(0.002, stubborn)
    assert in_time(None, lambda: 7) == 7


def test_what_ends_because_time_is_up_is_left_to_tidy_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AGAIN", 0.02)  # seconds
    tidied = list[int]()

    def work() -> None:
        try:
            time.sleep(60)
        finally:
            for step in range(10):
                with suppress(OSError):
                    raise OSError(time.sleep(0.02))
                tidied.append(step)

    with pytest.raises(TimedOutError):
        in_time(0.002, work)
    assert tidied == list(range(10))


def test_a_long_training_has_about_a_hundred_lines_with_the_first_and_the_last() -> None:
    told = [epoch for epoch in range(1, 10_001) if worth_telling(epoch, 10_000, 100)]
    assert (told[0], told[-1], len(told)) == (1, 10_000, 101)
    assert all(worth_telling(epoch, 15, 100) for epoch in range(1, 16))


def test_stages_stand_in_the_order_in_which_they_are_done() -> None:
    done = {"cache": "hit", "why": "unchanged", "seconds": 0.04}
    rows = stages_table({"evaluate": done, "train": done, "preprocess": done}, ("preprocess", "train", "evaluate"))
    assert [row["stage"] for row in rows] == ["preprocess", "train", "evaluate"]
    assert rows[0] == {"stage": "preprocess", "cache": "hit", "why": "unchanged", "seconds": 0.0}


RUN = """
import json, sys
from recurra.config import load_experiment
from recurra_flows import deployed, limits
from pathlib import Path
name, parameters = sys.argv[1], json.loads(sys.argv[2])
if "set" in parameters:
    parameters["experiment"] = load_experiment(Path("e.yaml"), parameters.pop("set", []))
print(getattr(deployed, name)(**parameters))
"""


@pytest.fixture
def flow(place: Path, prefect_api: str) -> Flow:
    """Runs a deployed flow in a process of its own, on the tests' server; `set`: fields of e.yaml, its experiment."""

    def run(name: str, env: dict[str, str] | None = None, **parameters: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", RUN, name, json.dumps(parameters)],
            capture_output=True,
            text=True,
            timeout=400,
            env={**os.environ, "PREFECT_API_URL": prefect_api, **(env or {})},
        )

    return run


def _asked(api: str, path: str, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"{api}{path}", json.dumps(body).encode(), headers), timeout=60) as answer:
        return json.load(answer)


def _failures(api: str, name: str) -> list[dict[str, Any]]:
    found = _asked(api, "/events/filter", {"filter": {"event": {"name": ["recurra.failure"]}}, "limit": 50})
    return [each for each in found["events"] if each["resource"]["prefect.resource.name"] == name]


def _runs() -> list[Run]:
    home = Home.default()
    return [Run.open(home, str(folder)) for folder in run_folders(home)]


@pytest.mark.prefect
def test_a_run_leaves_a_log_that_reads_like_the_command_line_and_all_artifacts(
    flow: Flow, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = flow("run", {"RECURRA_REPORTS": "/recurra/report"}, set=["name=left"])
    assert done.returncode == 0, done.stderr
    (run,) = _runs()
    (flow_run,) = _asked(prefect_api, "/flow_runs/filter", {"flow_runs": {"name": {"any_": ["left/plain"]}}})
    assert {"left", "plain", "fusion"} <= set(flow_run["tags"])
    logs = _asked(prefect_api, "/logs/filter", {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}, "limit": 200})
    told = [" ".join(line["message"].split()) for line in logs]
    for part in (f"run {run.id}", "preprocess miss", "epoch 1/2 loss", "epoch 2/2 loss", "report miss"):
        assert any(line.startswith(part) for line in told), (part, told)
    of = {"artifacts": {"flow_run_id": {"any_": [flow_run["id"]]}}, "limit": 50}
    made = {each["key"]: each for each in _asked(prefect_api, "/artifacts/filter", of)}
    assert {key.removeprefix("left-plain-"): each["type"] for key, each in made.items()} == {
        "progress": "progress",
        "training": "progress",
        "metrics": "table",
        "stages": "table",
        "report": "markdown",
        "report-link": "markdown",
    }
    assert [row["cache"] for row in json.loads(made["left-plain-stages"]["data"])] == ["miss"] * 4
    assert made["left-plain-progress"]["data"] == 100.0
    report = made["left-plain-report"]["data"]
    assert report.count("data:image/png;base64,") == 2
    assert len(report) < 200_000
    assert f"(/recurra/report/report/{run.place('report')[1]}/report.html" in report


@pytest.mark.prefect
def test_a_run_that_fails_goes_on_with_itself_when_it_is_tried_again_and_then_says_so_as_an_event(
    flow: Flow, prefect_api: str
) -> None:
    retries = {"retries": 1, "wait_minutes": 0}
    done = flow("run", {"PLAIN_DIES": "always"}, set=["name=dies"], limits=retries)
    assert done.returncode != 0
    (run,) = _runs()
    assert (run.record["status"], run.record["flow_run"] is not None) == ("failed", True)
    assert "SIGKILL" in run.record["error"]
    end = time.monotonic() + 60
    while not (events := _failures(prefect_api, "dies")) and time.monotonic() < end:
        time.sleep(0.5)
    assert [each["payload"]["kind"] for each in events] == ["WorkerLostError"]
    resumed = flow("run", set=["name=dies"], resume=run.id)
    assert resumed.returncode == 0, resumed.stderr
    assert [each.record["status"] for each in _runs()] == ["done"]


@pytest.mark.prefect
def test_a_run_that_goes_on_elsewhere_is_refused_and_its_record_stays_as_it_is(flow: Flow, prefect_api: str) -> None:
    experiment = Experiment.model_validate({"name": "held", "backend": "plain", "data": {"source": "digits"}})
    run = Run.create(Home.default().made(), experiment)
    record = (run.folder / "run.json").read_bytes()
    with run.held():
        done = flow("run", set=["name=form", "model.kind=cnn"], resume=run.id)
    assert f"run {run.id} is still running (pid {os.getpid()})" in done.stderr
    assert (run.folder / "run.json").read_bytes() == record
    # It is about the run, and not about what the form was filled in with.
    (flow_run,) = _asked(prefect_api, "/flow_runs/filter", {"flow_runs": {"name": {"any_": ["held/plain"]}}})
    assert set(flow_run["tags"]) == {"held", "plain", "fusion"}
    assert not _failures(prefect_api, "form")


@pytest.mark.prefect
def test_a_run_that_takes_too_long_is_ended_with_its_worker(flow: Flow) -> None:
    done = flow("run", {"PLAIN_SLOW": "600"}, set=["train.epochs=50"], limits={"timeout_minutes": 0.3, "retries": 2})
    assert "the run took longer than 18 s (limits.timeout_minutes) and was ended" in done.stderr
    (run,) = _runs()
    assert run.record["status"] == "failed"
    assert not run.running


@pytest.mark.prefect
def test_maintenance_sets_damaged_artifacts_aside_and_says_what_it_removed(flow: Flow, prefect_api: str) -> None:
    assert flow("run", set=["name=kept"]).returncode == 0
    (run,) = _runs()
    weights = run.artifact("train").file("best.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    left = Home.default().store.root / "tmp" / "train-0-1"
    left.mkdir(parents=True)
    assert verified(Home.default().store, dry_run=True)[1][0]["stage"] == "train"
    assert weights.exists()
    done = flow("maintain", days=0.0)
    assert done.returncode == 0, done.stderr
    assert "4 artifacts checked, 1 damaged" in done.stdout
    assert not left.exists()
    assert not weights.exists()
    (page,) = _asked(prefect_api, "/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["maintenance"]}}})
    assert "left by a process that died" in page["data"].replace("\\", "")


def test_prefect_yaml_has_every_flow_with_parameters_that_it_takes() -> None:
    told = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]
    flows = {import_object(each["entrypoint"]): each.get("parameters", {}) for each in told}
    assert sorted(flow.name for flow in flows) == sorted(FLOWS)
    for flow, parameters in flows.items():
        schema = flow.parameters.model_dump()
        assert parameters.keys() <= schema["properties"].keys()
        validate(parameters, schema, raise_on_error=True, ignore_required=True)  # as the server does


def _keys(api: str, flow_run: str) -> set[str]:
    """Of the artifacts of the flow runs of that name."""
    of = {"flow_runs": {"name": {"any_": [flow_run]}}, "limit": 200}
    return {each["key"] for each in _asked(api, "/artifacts/filter", of)}


@pytest.mark.prefect
def test_what_a_retraining_promotes_scores_an_inbox_and_predicts(flow: Flow, place: Path, prefect_api: str) -> None:
    (place / "inbox").mkdir()
    bunch: Any = load_digits()
    for number, image in enumerate(bunch.images[:3]):
        Image.fromarray((image * 15).astype("uint8")).save(place / "inbox" / f"{number}.png")
    asked: dict[str, dict[str, Any]] = {
        "retrain": {"set": ["name=kept"], "rules": {"champion": "best"}},
        "predict": {"run": "champion:best", "paths": ["inbox"], "out": "p.parquet"},
        "score": {"source": "champion:best", "inbox": "inbox", "settings": {"settle": 0}},
    }
    for name, parameters in asked.items():
        done = flow(name, **parameters)
        assert done.returncode == 0, done.stderr
    assert {"kept-plain-retrain", "kept-plain-stages", "kept-plain-report"} <= _keys(prefect_api, "kept/plain")
    assert _keys(prefect_api, "champion:best/predict") == {"kept-plain-predictions"}
    assert _keys(prefect_api, "champion:best/score") == {"best-score"}
    assert pq.read_table("p.parquet").num_rows == 3
    assert pq.read_table(place / "home" / "scores" / "best" / "predictions").num_rows == 3


@pytest.mark.prefect
def test_a_study_shows_its_stages_and_what_it_came_to(flow: Flow, prefect_api: str) -> None:
    done = flow("augment", set=["name=helped"], gan="g.yaml", fractions=[0.25], seeds=[0])
    assert done.returncode == 0, done.stderr
    shown = {"study", "study-accuracy", "study-stages", "study-progress"}
    assert {f"helped-plain-{what}" for what in shown} <= _keys(prefect_api, "helped/augment")
