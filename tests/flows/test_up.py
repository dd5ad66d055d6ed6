"""`recurra up`: one command brings up everything, and everything ends with it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from tests.flows.upping import Up, adjacent_ports, gone, kill, until

from recurra import stages
from recurra.config import load_experiment
from recurra.devices import Leases
from recurra.home import Home
from recurra.progress import Silent
from recurra.run import Run, run_folders
from recurra.store import Store

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(1200)]
Command = Callable[..., subprocess.CompletedProcess[str]]
PORT = adjacent_ports(2)
PROJECT = f"""
port: {PORT}
schedules:
  nightly:
    flow: run
    experiment: e.yaml
    set: {{train.checkpoint_seconds: 0}}
    cron: "0 2 1 1 *"
    timezone: Europe/Paris
"""


@pytest.fixture
def project(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a project file, and a Prefect that nobody has settings for."""
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv("HOME", str(place))
    (place / "recurra.yaml").write_text(PROJECT)
    return place


@pytest.fixture
def up(project: Path) -> Iterator[Callable[..., Up]]:
    """Starts `recurra up`; nothing is left of it after the test."""
    started: list[Up] = []

    def start(*arguments: str, **env: str) -> Up:
        started.append(Up(*(arguments or ("up",)), **env))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            kill(each.processes())
            each.process.wait()


def _weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def _undisturbed(store: Store) -> dict[str, bytes]:
    experiment = load_experiment(Path("e.yaml"), ("train.checkpoint_seconds=0",))
    dataset = stages.preprocess(experiment, store, Silent()).artifact
    return _weights(stages.train(experiment, store, dataset, Silent()).artifact.path)


def _runs() -> list[Run]:
    home = Home.default()
    return [Run.open(home, str(folder)) for folder in run_folders(home)]


def _status(url: str, **headers: str) -> int:
    try:
        with urlopen(Request(url, headers=headers), timeout=30) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_a_training_that_a_power_cut_ended_goes_on_at_the_next_start_and_ends_in_the_same_bytes(
    up: Callable[..., Up], recurra: Command, project: Path
) -> None:
    first = up(PLAIN_SLOW="600")
    assert first.said("nightly").split()[:7] == ["nightly", "run", "0", "2", "1", "1", "*"]
    assert first.said("nightly").endswith("02:00:00  Europe/Paris")
    old = first.begin("run/nightly")
    everything = first.training()
    refused = recurra("up")
    assert refused.returncode == 2
    assert f"is up already in {project / 'home'} at {first.url} (pid {first.process.pid})" in refused.stderr
    kill(everything)
    until(lambda: gone(everything))
    assert _runs()[0].record["status"] == "running"

    second = up()
    assert f"{_runs()[0].id} was killed; it goes on in the flow run" in second.said("was killed")
    [run] = _runs()
    until(lambda: Run.open(run.home, run.id).finished)
    with second.client() as client:
        [new] = [each for each in client.read_flow_runs() if "resumed" in each.tags]
        limit = client.read_deployment_by_name("run/nightly").global_concurrency_limit
        assert limit is not None
        until(lambda: client.read_flow_run(new.id).state_name == "Completed")
        assert client.read_global_concurrency_limit_by_name(limit.name).active_slots == 0
    assert (second.flow_run(old).state_name, new.parameters["resume"]) == ("Crashed", run.id)
    assert _weights(Run.open(run.home, run.id).artifact("train").path) == _undisturbed(Store(project / "undisturbed"))

    report = Run.open(run.home, run.id).artifact("report")
    page = f"{second.url}/recurra/report/report/{report.key}/report.html"
    assert _status(page) == 200
    assert _status(page, Origin="http://elsewhere") == 403
    assert _status(f"{second.url}/api/health", Host="rebound.example") == 403
    done = json.loads(recurra("run", "e.yaml", "train.checkpoint_seconds=0", "--json").stdout)
    with second.client() as client:  # that run used the server that is up, and found everything
        assert str(client.read_flow_run(Run.open(run.home, done["run"]).record["flow_run"]).id)
    assert {stage["cache"] for stage in done["stages"].values()} == {"hit"}

    everything = second.processes()
    assert second.end(signal.SIGINT) == 130
    until(lambda: gone(everything))
    for log in ("server.log", "runner.log"):
        assert "locked" not in (project / "home" / "prefect" / log).read_text()


@pytest.mark.parametrize("killed", [0, 1, 3])
def test_all_that_it_started_ends_with_it_and_the_training_can_be_resumed(
    up: Callable[..., Up], recurra: Command, project: Path, killed: int
) -> None:
    running = up(PLAIN_SLOW="600")
    running.begin("run/nightly")
    everything = running.training()  # itself, its server and what runs the flows come first
    if killed:
        kill(everything[:killed])
    assert running.end(signal.SIGTERM) == (-signal.SIGKILL if killed else 130)
    until(lambda: gone(everything), 30)
    until(lambda: not [each for each in Leases.of_this_machine().holdings() if each.holder], 30)
    [run] = _runs()
    assert run.record["status"] in (("stopped", "running") if killed else ("stopped",))
    done = recurra("resume", run.id, "--json")
    assert "train: going on from the checkpoint at epoch 1, step" in done.stderr
    assert done.returncode == 0


def test_what_changes_in_the_project_file_counts_and_what_is_wrong_in_it_does_not_end_it(
    up: Callable[..., Up], project: Path
) -> None:
    with socket.create_server(("127.0.0.1", PORT)):
        running = up()
        assert running.url == f"http://127.0.0.1:{PORT + 1}"
    running.said(f"port {PORT} is taken; {PORT + 1} is used")
    (project / "recurra.yaml").write_text(PROJECT.replace("cron:", "corn:"))
    said = running.said("corn")
    assert "unknown field. Did you mean 'cron'?; what was read before holds" in said
    more = "  hourly: {flow: maintain, every: 1h}\n"
    (project / "recurra.yaml").write_text(PROJECT.replace(str(PORT), str(PORT + 10)) + more)
    running.said("port has changed; it counts when `recurra up` is started again")
    assert running.said("every 1h").split()[:2] == ["hourly", "maintain"]
    with running.client() as client:
        assert client.read_deployment_by_name("maintain/hourly").schedules
    (project / "e.yaml").write_text((project / "e.yaml").read_text().replace("epochs: 2", "epochs: 3"))
    running.said("has changed: run/nightly")
    with running.client() as client:
        assert client.read_deployment_by_name("run/nightly").parameters["experiment"]["train"]["epochs"] == 3

        # A person removes one, which is then taken out of the file as well; a new one has a fault in its experiment.
        client.delete_deployment(client.read_deployment_by_name("maintain/hourly").id)
    (project / "new.yaml").write_text("backend: plain\ndata: {source: digits}\ntrain: {epohcs: 2}\n")
    (project / "recurra.yaml").write_text(PROJECT + "  newer: {flow: run, experiment: new.yaml}\n")
    running.said("epohcs: unknown field")
    (project / "new.yaml").write_text("backend: plain\ndata: {source: digits}\n")
    running.said("has changed: maintain/hourly, maintain/on-demand, run/newer")
    assert running.end(signal.SIGINT) == 130

    (project / "recurra.yaml").write_text(PROJECT)
    later = up("up", "--port", str(PORT + 1))
    with SyncPrefectClient(f"{later.url}/api") as client:
        names = {each.name for each in client.read_deployments()}
    assert names == {"nightly", "on-demand"}
    (project / "recurra.yaml").write_text(PROJECT + "  more: {flow: maintain}\n")
    later.said("has changed: maintain/more")
    assert not [line for line in later.lines if "port has changed" in line], "nobody changed it in the file"


def test_a_server_that_the_user_chose_is_used_and_what_is_others_there_is_let_be(
    up: Callable[..., Up], recurra: Command, prefect_api: str, project: Path
) -> None:
    with SyncPrefectClient(prefect_api) as client:
        client.create_work_pool(WorkPoolCreate(name="theirs", type="process"))
        theirs = client.create_deployment(client.create_flow_from_name("run"), "nightly", work_pool_name="theirs")
        refused = recurra("up", PREFECT_API_URL=prefect_api)
        assert refused.returncode == 2
        assert "run/nightly is a deployment of the work pool theirs; choose another name" in refused.stderr
        assert client.read_deployment(theirs).work_pool_name == "theirs"
    (project / "recurra.yaml").write_text(PROJECT.replace("nightly", "mine"))
    running = up(PREFECT_API_URL=prefect_api)
    running.said(f"uses the Prefect API {prefect_api}, and starts no server of its own")
    running.said("Ctrl-C ends it")
    assert not [each for each in running.processes() if "recurra_flows.up.dashboard" in each.cmdline()]
    with SyncPrefectClient(prefect_api) as client:
        assert {each.name for each in client.read_deployments() if each.name != "on-demand"} >= {"nightly", "mine"}
        assert not [each for each in client.read_deployments() if each.name == "on-demand"]


def test_where_overlap_is_refused_a_run_whose_time_comes_while_another_goes_on_is_cancelled(
    up: Callable[..., Up], project: Path
) -> None:
    often = "schedules: {often: {flow: run, experiment: e.yaml, every: 2s, overlap: refuse}}\n"
    (project / "recurra.yaml").write_text(f"port: {PORT}\n{often}")
    running = up(PLAIN_SLOW="600")
    assert running.url
    with running.client() as client:
        until(lambda: [each for each in client.read_flow_runs() if each.state_name == "Cancelled"])
        begun = [each.state for each in client.read_flow_runs() if each.state and not each.state.is_scheduled()]
        assert len([state for state in begun if not state.is_cancelled()]) == 1


def test_other_machines_are_let_in_only_with_a_login_of_the_projects_own(recurra: Command, project: Path) -> None:
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "recurra.yaml").write_text("host: 0.0.0.0\n")
    # A login of this folder is none of the one where the server will be.
    (project / ".env").write_text("PREFECT_SERVER_API_AUTH_STRING=me:pw\n")
    refused = recurra("up", "elsewhere/recurra.yaml")
    assert refused.returncode == 2
    assert "set PREFECT_SERVER_API_AUTH_STRING to user:password first" in refused.stderr


def test_a_login_is_asked_of_every_address_and_known_to_the_commands_of_its_shell(
    up: Callable[..., Up], recurra: Command, project: Path
) -> None:
    known = {"PREFECT_SERVER_API_AUTH_STRING": "me:pw"}
    alone = recurra("run", "e.yaml", **known)  # with a server of its own, which asks for it too
    assert alone.returncode == 0, alone.stderr
    running = up("up", "--host", "::", **known)
    running.said("Ctrl-C ends it")
    api = json.loads((project / "home" / "up.json").read_text())["api"]
    assert api.startswith("http://[::1]:")
    port = urlsplit(api).port
    assert _status(f"http://127.0.0.1:{port}/api/admin/version") == 401
    assert (project / "home" / "prefect").stat().st_mode & 0o777 == 0o700
    stranger = recurra("run", "e.yaml")
    assert (stranger.returncode, stranger.stderr.count("\n")) == (1, 1)
    assert f"the Prefect API {api} asks for a login; set PREFECT_API_AUTH_STRING" in stranger.stderr
    done = recurra("run", "e.yaml", "--json", PREFECT_API_AUTH_STRING="me:pw")
    assert done.returncode == 0, done.stderr


def test_what_is_wrong_with_a_schedule_is_said_before_it_is_up(recurra: Command, project: Path) -> None:
    (project / "recurra.yaml").write_text(PROJECT + "    with: {reusme: latest}\n")
    refused = recurra("up")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "recurra.yaml: schedules.nightly.with: reusme: unknown field" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("up", "--port", "70000"), "--port: port: input should be less than or equal to 65535"),
        (("up", "none.yaml"), "none.yaml: no such project file"),
        (("serve", "e.yaml"), "give one of --cron and --every"),
        (("serve", "e.yaml", "--every", "soon"), "every: expected a time such as 30s, 15m, 6h or 1d"),
        (("serve", "e.yaml", "--every", "1h", "train.epohcs=3"), "Did you mean 'epochs'?"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    recurra: Command, project: Path, arguments: tuple[str, ...], fault: str
) -> None:
    refused = recurra(*arguments)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert fault in refused.stderr
