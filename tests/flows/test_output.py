"""What reaches standard output: one object with `--json` whatever plugins print, and nothing is lost unsaid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recurra_flows.cli import main

Command = Callable[..., subprocess.CompletedProcess[str]]
NOISY = "print('noise', flush=True)\n"


@pytest.fixture
def buffered(place: Path) -> dict[str, str]:
    """An environment in which Python keeps what it prints until the end, as it does for users."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def _recurra(arguments: list[str], output: int, env: dict[str, str]) -> tuple[int, str]:
    code = "import sys; from recurra_flows.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], stdout=output, stderr=subprocess.PIPE, text=True, env=env
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line_and_status_1(buffered: dict[str, str]) -> None:
    with Path("/dev/full").open("w") as full:
        said = _recurra(["config", "show", "e.yaml", "--json"], full.fileno(), buffered)
    assert said == (1, "error: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", [["config", "show", "e.yaml"], ["plugins"], ["config", "schema"]])
@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_reader_that_has_gone_ends_a_command_in_silence(
    arguments: list[str], unbuffered: bool, buffered: dict[str, str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        env = buffered | ({"PYTHONUNBUFFERED": "1"} if unbuffered else {})
        assert _recurra(arguments, writing, env) == (130, "")
    finally:
        os.close(writing)


def test_a_pipe_that_breaks_elsewhere_is_an_error(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise BrokenPipeError(32, "Broken pipe", "out.csv")

    monkeypatch.setattr("recurra.config.load_experiment", broken)
    assert main(["config", "show", "e.yaml"]) == 1
    assert capfd.readouterr().err == "error: out.csv: Broken pipe\n"


@pytest.mark.parametrize("arguments", [["plugins"], ["data", "inspect", "digits"]])
def test_what_a_plugin_prints_is_not_in_the_json(
    arguments: list[str], installed: Callable[[str, str, str], None], recurra: Command
) -> None:
    installed("noisy", NOISY, "recurra.plugins")
    installed("loud", NOISY, "recurra.backends")
    done = recurra(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert "noise" in done.stderr
