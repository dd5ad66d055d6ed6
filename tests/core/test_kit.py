"""The conformance kit finds what is wrong, says which, and keeps what it measured.

Its subject is the backend `exact`: the template's NumPy in float64, with recurrent networks beside it.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import execnet
import numpy as np
import pytest

from recurra.certificate import certificate, read_certificate
from recurra.conformance.checks import in_words
from recurra.conformance.deviation import PROPERTY, assert_close, noted_in
from recurra.conformance.diagnoses import Diagnoses
from recurra.errors import InputError
from recurra.registry import backend_entry, load_backend

CHECKS = [name for name in vars(Diagnoses) if name.startswith("test_")]
CAUGHT = {
    "transposed kernel": (
        "test_a_convolutions_kernel_is_height_width_input_output_neither_transposed_nor_flipped",
        r"kernel\[0, 2, 0, 0\] acts as if it stood at \[2, 0, 0\]",
    ),
    "swapped lstm gates": (
        "test_an_lstms_gates_are_in_the_order_input_forget_candidate_output",
        "in the order i, g, f, o, not i, f, g, o",
    ),
    "wrong epsilon": (
        "test_adams_epsilon_is_1e_8_outside_the_bias_corrected_root",
        "the step is that of an epsilon of (1e-07|9.99e-08)",
    ),
    "dropout left on": ("test_dropout_is_off_when_a_network_answers", "differ from those of a network without dropout"),
    "seed ignored": ("test_the_seed_says_what_is_dropped", "another seed drops the same: it is ignored"),
    "wrong flatten order": (
        "test_maps_are_flattened_in_the_order_height_width_channel",
        "maps are flattened in the order channel, height, width",
    ),
    "state not restored": (
        "test_a_loaded_training_state_is_what_the_next_step_starts_from",
        r"not restored: adam\.v\.",
    ),
    "label off by one": ("test_labels_count_from_zero", r"label 0 is learnt as \[1\]"),
    "bidirectional order": (
        "test_both_directions_are_joined_forward_first_and_the_reverse_one_ends_at_the_first_step",
        "the reverse direction stands first",
    ),
}
"""Fault -> the one check that fails, and what it says. The tenth is a GAN's: tests/torch/test_planted_faults.py."""


class Subject(Diagnoses):
    name = "exact"


@pytest.fixture(scope="session")
def exact_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install = runpy.run_path(str(Path(__file__).parents[1] / "exact_backend" / "installing.py"))["install"]
    return install(tmp_path_factory.mktemp("exact"))


@pytest.fixture
def _exact(exact_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend `exact` is installed, here and in what is started from here."""
    monkeypatch.syspath_prepend(str(exact_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(exact_path), os.environ["PYTHONPATH"]]))


@pytest.mark.usefixtures("_exact")
def test_a_sound_backend_passes_every_diagnosis() -> None:
    for check in CHECKS:
        getattr(Subject(), check)()


@pytest.mark.usefixtures("_exact")
@pytest.mark.parametrize("fault", CAUGHT)
def test_a_planted_fault_is_caught_by_the_check_that_names_it_and_by_no_other_diagnosis(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_PLANTED", fault)
    named, said = CAUGHT[fault]
    with pytest.raises(AssertionError, match=said):
        getattr(Subject(), named)()
    for check in CHECKS:
        if check != named:
            getattr(Subject(), check)()


def events_of(*arguments: str, **environment: str) -> list[dict[str, Any]]:
    """What `python -m recurra.certifying exact ARGUMENTS` tells."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "recurra.certifying", "exact", str(writer), *arguments]
    surroundings = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    with subprocess.Popen(command, pass_fds=(writer,), env=surroundings, stdout=subprocess.DEVNULL) as _:
        os.close(writer)
        with os.fdopen(reader) as told:
            return [json.loads(line) for line in told]


@pytest.mark.usefixtures("_exact")
def test_every_check_tells_its_outcome_its_group_and_its_largest_deviation() -> None:
    collected, *checks, end = events_of("-k", "labels or (logits_and_features and cnn) or bf16", "--quick")
    assert (collected["checks"], end["status"], end["versions"]) == (len(checks), 0, {"exact": "1"})
    labels = next(check for check in checks if check["words"] == "labels count from zero")
    assert (labels["group"], labels["outcome"], labels["comparisons"]) == ("gradients", "passed", 4)
    assert 0 < labels["largest"]["share"] < 1
    skipped = {check["reason"] for check in checks if check["outcome"] == "skipped"}
    assert "backend 'exact' does not claim bf16" in skipped


@pytest.mark.usefixtures("_exact")
def test_a_declared_failure_is_expected_with_its_reason_and_a_pass_of_it_is_a_failure(exact_path: Path) -> None:
    entry = exact_path / "exact_backend" / "plugin.py"
    code = entry.read_text()
    declared = "{'test_labels_count_from_zero': 'they begin at one', 'test_dropout_is_off_when_a_network_answers': 'x'}"
    try:
        entry.write_text(code.replace("dict[str, str] = {}", f"dict[str, str] = {declared}"))
        found = events_of("-k", "labels or answers or expected_failures", RECURRA_PLANTED="label off by one")
    finally:
        entry.write_text(code)
    outcomes = {check["check"]: (check["outcome"], check["reason"]) for check in found[1:-1]}
    assert outcomes["test_labels_count_from_zero"] == ("expected", "they begin at one")
    assert outcomes["test_dropout_is_off_when_a_network_answers"] == (
        "failed",
        "it passes, and is declared to fail: x",
    )
    assert outcomes["test_expected_failures_name_checks_of_the_kit"][0] == "passed"


def test_a_deviation_says_how_much_of_its_tolerance_was_taken() -> None:
    noted: list[tuple[str, object]] = []
    with noted_in(noted):
        assert_close("a", np.array([1.0, 2.0]), np.array([1.0, 2.1]), 0.0, 0.2)
        with pytest.raises(AssertionError, match=r"b: differs by up to 0.1, 2 times what is allowed"):
            assert_close("b", [1.0], [1.1], 0.0, 0.05)
        with pytest.raises(AssertionError, match="c: differs by up to inf"):
            assert_close("c", [np.nan], [1.0], 0.0, 0.05)
    shares = [value["share"] for name, value in noted if name == PROPERTY and isinstance(value, dict)]
    assert shares[:2] == [pytest.approx(0.5), pytest.approx(2.0)]
    assert shares[2] == np.finfo(float).max or shares[2] == np.inf


def test_a_deviation_is_made_of_what_pytest_can_send_between_processes() -> None:
    noted: list[tuple[str, object]] = []
    with noted_in(noted):
        assert_close("a", np.ones(2, np.float32), np.ones(2, np.float32), np.float32(0.1), np.float32(0.2))
    execnet.loads(execnet.dumps(noted))


def test_a_name_of_a_check_can_be_read() -> None:
    assert in_words("test_weights_come_back[cnn-clip]") == "weights come back [cnn-clip]"


@pytest.mark.usefixtures("_exact")
def test_a_certificate_is_read_back_and_one_that_was_changed_is_refused(tmp_path: Path) -> None:
    checks = [
        {"check": "test_x", "suite": "S", "outcome": "passed"},
        {"check": "test_y", "suite": "S", "outcome": "skipped"},
    ]
    found = certificate(backend_entry("exact"), load_backend("exact"), checks, {"exact": "1"}, "")
    assert (found["verdict"], found["contract"], found["counts"]["skipped"]) == ("passed", [1, 1], 1)
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(found, indent=2))
    assert read_certificate(path) == found
    path.write_text(json.dumps({**found, "verdict": "passed with honours"}))
    with pytest.raises(InputError, match="changed after it was made"):
        read_certificate(path)


@pytest.mark.usefixtures("_exact")
@pytest.mark.parametrize(
    ("outcomes", "selection", "verdict"),
    [(["passed", "failed"], "", "failed"), (["passed"], "--quick", "partial"), (["skipped"], "", "failed")],
)
def test_a_verdict_is_no_better_than_what_was_run(outcomes: list[str], selection: str, verdict: str) -> None:
    checks = [{"check": f"test_{n}", "suite": "S", "outcome": outcome} for n, outcome in enumerate(outcomes)]
    assert certificate(backend_entry("exact"), load_backend("exact"), checks, {}, selection)["verdict"] == verdict
