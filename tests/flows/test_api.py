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


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".prefect/profiles.toml", 'active = "a"\n[profiles.a]\nPREFECT_API_URL = "http://there/api"\n'),
        ("prefect.toml", '[api]\nurl = "http://there/api"\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://there/api"\n'),
    ],
)
def test_the_users_api_is_found_wherever_prefect_looks(nothing_chosen: Path, file: str, text: str) -> None:
    assert api.chosen_url() is None
    (nothing_chosen / file).parent.mkdir(exist_ok=True)
    (nothing_chosen / file).write_text(text)
    assert api.chosen_url() == "http://there/api"


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
