"""Which Prefect API a run talks to, and that it tells nobody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recurra.errors import RecurraError
from recurra.home import Home
from recurra_flows import api


@pytest.fixture
def nothing_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a Prefect home without settings."""
    for name in [name for name in os.environ if name.startswith("PREFECT")] + ["DO_NOT_TRACK"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


URL = "http://there/api"
PROFILES = f'active = "a"\n[profiles.a]\nPREFECT_API_URL = "{URL}"\n[profiles.b]\nPREFECT_API_URL = "http://b/api"\n'


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({".prefect/profiles.toml": PROFILES}, {}),
        ({".prefect/profiles.toml": PROFILES}, {"PREFECT_PROFILE": "b"}),
        ({".prefect/profiles.toml": PROFILES}, {"PREFECT_PROFILE": "not-there"}),
        ({".prefect/profiles.toml": PROFILES}, {"PREFECT_API_URL": ""}),
        ({"mine.toml": PROFILES}, {"PREFECT_PROFILES_PATH": "mine.toml"}),
        ({"mine.toml": PROFILES, ".env": "PREFECT_PROFILES_PATH=mine.toml\n"}, {}),
        ({"mine.toml": PROFILES, "prefect.toml": 'profiles_path = "mine.toml"\n'}, {}),
        ({"h/profiles.toml": PROFILES}, {"PREFECT_HOME": "h"}),
        ({}, {"PREFECT_PROFILE": "local"}),
        ({}, {"PREFECT_PROFILE": "local", "PREFECT_HOME": "h"}),
        ({".env": f"prefect_api_url={URL}\n", "prefect.toml": '[api]\nurl = "http://no/api"\n'}, {}),
        ({"prefect.toml": f'[api]\nurl = "{URL}"\n', ".prefect/profiles.toml": PROFILES}, {"PREFECT_PROFILE": "b"}),
        ({"pyproject.toml": f'[tool.prefect.api]\nurl = "{URL}"\n'}, {}),
        ({".env": "OTHER=1\n"}, {}),
    ],
)
def test_the_users_api_is_the_one_that_prefect_finds(
    nothing_chosen: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], variables: dict[str, str]
) -> None:
    from prefect.settings import Settings, sources

    # Prefect looks these up once, when it is imported.
    monkeypatch.setattr(sources, "DEFAULT_PREFECT_HOME", nothing_chosen / ".prefect")
    sources._file_cache.clear()
    for name, text in files.items():
        (nothing_chosen / name).parent.mkdir(exist_ok=True)
        (nothing_chosen / name).write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert api.chosen_url() == (Settings().api.url or None)


def test_telemetry_is_off_unless_the_user_chose_otherwise(
    nothing_chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    api.settle(Home(nothing_chosen))
    assert (os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"], os.environ["DO_NOT_TRACK"]) == ("false", "1")
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "true"
    api.settle(Home(nothing_chosen))
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "true"


def test_without_a_home_that_can_be_written_prefect_lives_in_recurras(
    nothing_chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy() | {"HOME": str(nothing_chosen / "not" / "there")})
    api.settle(Home(nothing_chosen / "home"))
    assert os.environ["PREFECT_HOME"] == str(nothing_chosen / "home" / "prefect")


def test_an_api_that_does_not_answer_is_said_in_one_line(nothing_chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(RecurraError, match="does not answer"):
        api.serve(print)()


def test_a_server_of_the_runs_own_is_called_past_the_users_proxy(
    nothing_chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib.request import getproxies_environment, proxy_bypass_environment

    monkeypatch.setattr(os, "environ", os.environ.copy() | {"HTTP_PROXY": "http://proxy", "NO_PROXY": "intern"})
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(api.subprocess, "Popen", lambda *arguments, **options: None)
    monkeypatch.setattr(api.atexit, "register", lambda *arguments: None)
    api.serve(print)
    proxies = getproxies_environment()
    assert [bool(proxy_bypass_environment(host, proxies)) for host in ("127.0.0.1:4200", "intern", "there")] == [
        True,
        True,
        False,
    ]
    assert (nothing_chosen / ".prefect").is_dir()
