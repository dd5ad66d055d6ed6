"""The conformance kit finds what is wrong, says which, and keeps what it measured.

Its subject is the backend `exact`: the template's NumPy in float64, with recurrent networks beside it.
"""

from __future__ import annotations

import contextlib
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

from recurra.conformance.checks import in_words
from recurra.conformance.deviation import PROPERTY, assert_close, noted_in
from recurra.conformance.diagnoses import Diagnoses
from recurra.conformance.promises import Promises

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
    "decay forgotten": (
        "test_weight_decay_is_of_kernels_alone_and_apart_from_the_gradient",
        "there is no weight decay",
    ),
    "decay on biases": (
        "test_weight_decay_is_of_kernels_alone_and_apart_from_the_gradient",
        r"weight decay moves .*bias.*, and is of kernels alone",
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
"""Fault -> the one diagnosis that fails, and what it says. One more is a GAN's: tests/torch/test_planted_faults.py."""


TEMPLATE_LIKE = """
{first}
from recurra.hookspecs import hookimpl

class Backend:
    name, contract, capabilities = "hasty", (1, 1), frozenset({{"cnn"}})

@hookimpl
def recurra_backend():
    return Backend()
"""


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


FRAMEWORK = {"My_Framework": ("my_framework", []), "my.core": ("my_core", ["My-Framework"])}


@pytest.mark.parametrize("hasty", [False, True])
def test_a_framework_that_the_entry_module_imports_is_found_however_it_is_written_and_whoever_requires_it(
    hasty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def distribution(name: str, module: str, code: str, requires: list[str], points: str = "") -> None:
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.dist-info"
        info.mkdir()
        required = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{required}")
        (info / "top_level.txt").write_text(module)
        (info / "entry_points.txt").write_text(points)

    for name, (module, requires) in FRAMEWORK.items():
        distribution(name, module, "", requires)
    code = TEMPLATE_LIKE.format(first="import my_framework" if hasty else "import numpy")
    requires = ["numpy", "my-core; extra == 'engine'"]
    distribution("Hasty", "hasty", code, requires, "[recurra.backends]\nhasty = hasty [engine]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))

    class Hasty(Promises):
        name = "hasty"

    refused = pytest.raises(AssertionError, match="my_framework") if hasty else contextlib.nullcontext()
    with refused:
        Hasty().test_listing_and_loading_import_no_framework()


def events_of(*arguments: str, **environment: str) -> list[dict[str, Any]]:
    """What `python -m recurra.certifying exact ARGUMENTS` tells, but for what is begun."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "recurra.certifying", "exact", str(writer), *arguments]
    surroundings = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    with subprocess.Popen(command, pass_fds=(writer,), env=surroundings, stdout=subprocess.DEVNULL) as _:
        os.close(writer)
        with os.fdopen(reader) as told:
            return [event for event in map(json.loads, told) if event["event"] != "started"]


@pytest.mark.usefixtures("_exact")
def test_every_check_tells_its_outcome_its_group_and_its_largest_deviation() -> None:
    code, collected, *checks, end = events_of("-k", "labels or (logits_and_features and cnn) or bf16", "--quick")
    assert (collected["checks"], end["status"], end["versions"]) == (len(checks), 0, {"exact": "1"})
    labels = next(check for check in checks if check["words"] == "labels count from zero")
    assert (labels["group"], labels["outcome"], labels["comparisons"]) == ("gradients", "passed", 4)
    assert (labels["asks"], code["editable"], len(code["sha256"])) == (["float64"], False, 64)
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
    outcomes = {check["check"]: (check["outcome"], check["reason"]) for check in found[2:-1]}
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
        with pytest.raises(AssertionError, match="d: differs by up to 1, where none is allowed"):
            assert_close("d", [1.0], [2.0], 0.0, 0.0)
    shares = [value["share"] for name, value in noted if name == PROPERTY and isinstance(value, dict)]
    assert shares == [pytest.approx(0.5), pytest.approx(2.0), None]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("but", [0.0, 0.1])
def test_a_deviation_that_is_no_number_is_a_failure_that_json_can_hold(wrong: float, but: float) -> None:
    noted: list[tuple[str, Any]] = []
    with noted_in(noted), pytest.raises(AssertionError):
        assert_close("a", [wrong], [1.0], 0.0, 0.05, but=but)
    assert json.loads(json.dumps(noted, allow_nan=False))[0][1]["largest_left_out" if but else "largest"] is None


def test_what_a_comparison_leaves_out_is_noted_beside_it() -> None:
    noted: list[tuple[str, Any]] = []
    with noted_in(noted):
        assert_close("a", np.arange(100.0), [*range(99), 7.0], 0.0, 1e-3, but=0.02)
    ((_, found),) = noted
    assert (found["share"], found["left_out"], found["largest_left_out"]) == (0.0, pytest.approx(0.01), 92.0)


def test_a_deviation_is_made_of_what_pytest_can_send_between_processes() -> None:
    noted: list[tuple[str, object]] = []
    with noted_in(noted):
        assert_close("a", np.ones(2, np.float32), np.ones(2, np.float32), np.float32(0.1), np.float32(0.2))
    execnet.loads(execnet.dumps(noted))


def test_a_name_of_a_check_can_be_read() -> None:
    assert in_words("test_weights_come_back[cnn-clip]") == "weights come back [cnn-clip]"
