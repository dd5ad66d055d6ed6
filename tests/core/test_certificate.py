"""A certificate says no more than what was shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recurra.certificate import certificate, code_of, own_digest, read_certificate, unproven
from recurra.contract import Backend
from recurra.errors import InputError
from recurra.registry import Entry

CODE = {"sha256": "0", "editable": False}


class Small:
    name, contract, capabilities = "small", (1, 1), frozenset({"cnn"})


def entry(module: str = "small", distribution: str = "small-backend") -> Entry:
    return Entry("small", module, "recurra.backends", distribution, "1", (), ())


def checks(*outcomes: str, asks: tuple[str, ...] = ("cnn",), group: str = "forward") -> list[dict[str, Any]]:
    about = {"suite": "S", "group": group, "asks": [*asks]}
    return [{"check": f"test_{n}", "outcome": outcome, **about} for n, outcome in enumerate(outcomes)]


def made(found: list[dict[str, Any]], selection: str = "") -> dict[str, Any]:
    backend: Backend = Small()  # pyright: ignore[reportAssignmentType]
    return certificate(entry(), backend, found, {"small": "1"}, selection, CODE)


def test_a_certificate_is_read_back_and_one_that_was_changed_is_refused(tmp_path: Path) -> None:
    found = made(checks("passed", "skipped"))
    assert (found["verdict"], found["contract"], found["counts"]["skipped"]) == ("passed", [1, 1], 1)
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(found, indent=2))
    assert read_certificate(path) == found
    path.write_text(json.dumps({**found, "verdict": "passed with honours"}))
    with pytest.raises(InputError, match="changed after it was made"):
        read_certificate(path)


@pytest.mark.parametrize(
    ("outcomes", "selection", "verdict"),
    [
        (["passed", "skipped"], "", "passed"),
        (["passed", "failed"], "", "failed"),
        (["passed"], "--quick", "partial"),
        (["skipped"], "", "failed"),
        (["skipped", "skipped"], "-k gates", "unchecked"),
        (["passed", "expected"], "", "excepted"),
        (["passed", "expected"], "--quick", "partial"),
        (["expected"], "-k labels", "partial"),
        (["passed", "expected", "expected"], "", "failed"),
    ],
)
def test_a_verdict_is_no_better_than_what_was_run(outcomes: list[str], selection: str, verdict: str) -> None:
    assert made(checks(*outcomes), selection)["verdict"] == verdict


def test_a_claim_that_no_check_shows_is_unproven_and_so_is_a_group_that_is_declared_away() -> None:
    shown = checks("passed", "passed", "expected") + checks("skipped", asks=("rnn",))
    assert unproven(shown, {"cnn"}) == []
    assert unproven(shown, {"cnn", "rnn", "teleport"}) == ["rnn", "teleport"]
    assert unproven([*shown, *checks("expected", "expected", "passed", group="dropout", asks=())], {"cnn"}) == [
        "dropout"
    ]


def test_the_plugins_files_are_in_its_digest_but_for_compiled_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package, info = tmp_path / "small", tmp_path / "small_backend-1.dist-info"
    (package / "__pycache__").mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small-backend\nVersion: 1\n")
    (package / "__init__.py").write_text("raise RuntimeError('it is not imported')")
    first = code_of(entry("small.plugin"))
    (package / "__pycache__" / "x.pyc").touch()
    assert code_of(entry("small.plugin")) == first
    (info / "direct_url.json").write_text('{"dir_info": {"editable": true}}')
    (package / "table.json").write_text("{}")
    second = code_of(entry("small.plugin"))
    assert (first["editable"], second["editable"]) == (False, True)
    assert first["sha256"] != second["sha256"]
    assert len(own_digest()) == 64
