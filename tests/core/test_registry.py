"""Plugins: listed from metadata alone; one that is broken is a row with its reason and never a crash."""

from __future__ import annotations

import pytest

from recurra import registry
from recurra.errors import InputError, RecurraError
from recurra.registry import backend_entry, entries, load_backend

GOOD = """
from recurra import hookimpl
class Backend:
    name, contract, capabilities = "mine", {contract}, frozenset({{"cnn"}})
@hookimpl
def recurra_backend():
    return Backend()
"""


def test_our_own_backends_come_through_the_same_door() -> None:
    found = {entry.name: entry for entry in entries()}
    assert found["torch"].requirements == ("torch",)
    assert found["tensorflow"].remedy == 'pip install "recurra[tensorflow]"'


def test_a_strangers_backend_is_listed_and_loaded_by_name(install) -> None:
    install("mine", GOOD.format(contract=(1, 3)))
    assert backend_entry("mine").versions == {"strange-plugin": "1.2"}
    assert load_backend("mine").name == "mine"


def test_a_missing_framework_is_said_with_the_command_that_installs_it(install) -> None:
    install("mine", GOOD.format(contract=(1, 1)), requires="no-such-engine>=2")
    with pytest.raises(InputError, match=r'no-such-engine not installed: pip install "strange-plugin\[engine\]"'):
        load_backend("mine")


def test_an_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"backend 'tourch' is not installed; installed: .*Did you mean 'torch'\?"):
        backend_entry("tourch")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemError('boom')", "cannot be imported: SystemError: boom"),
        ("raise SystemExit('bye')", "cannot be imported: SystemExit: bye"),
        (GOOD.format(contract=(1, 1)).replace("mine", "yours"), "calls itself 'yours'"),
        ("x = (", "cannot be imported: SyntaxError"),
        ("", "has no recurra_backend hook"),
        (GOOD.format(contract=(7, 9)), "was written for contract 7 to 9"),
    ],
)
def test_a_broken_backend_is_one_line_when_asked_for_and_a_row_in_the_list(install, code: str, reason: str) -> None:
    install("mine", code)
    assert "mine" in [entry.name for entry in entries()]
    with pytest.raises(RecurraError, match=reason):
        load_backend("mine")
    assert load_backend("torch").name == "torch"


def test_two_strangers_with_one_name_are_both_told_and_one_can_be_denied(install, monkeypatch) -> None:
    install("mine", GOOD.format(contract=(1, 1)), distribution="first")
    install("mine", GOOD.format(contract=(1, 1)), distribution="second")
    assert {entry.distribution: entry.clash for entry in entries() if entry.name == "mine"} == {
        "first": "second",
        "second": "first",
    }
    with pytest.raises(InputError, match="to use that of first, set RECURRA_PLUGINS_DENY=second"):
        backend_entry("mine")
    monkeypatch.setenv("RECURRA_PLUGINS_DENY", "second")
    assert backend_entry("mine").distribution == "first"


def test_nobody_takes_the_name_of_one_of_ours(install) -> None:
    install("torch", GOOD.format(contract=(1, 1)), distribution="the-impostor")
    found = {entry.distribution: entry for entry in entries() if entry.name == "torch"}
    assert "'torch' is recurra's own; uninstall the-impostor" in found["the-impostor"].problem
    assert found["the-impostor"].remedy == "pip uninstall the-impostor"
    assert not found["recurra"].clash
    assert load_backend("torch").name == "torch"
    assert backend_entry("torch").distribution == "recurra"


@pytest.mark.parametrize(
    ("contract", "accepted"),
    [((1, 1), False), ((1, 2), True), ((2, 2), True), ((2, 3), True), ((3, 3), True), ((3, 9), True), ((4, 5), False)],
)
def test_a_backend_for_this_contract_or_the_one_before_is_accepted(
    install, monkeypatch, contract: tuple[int, int], accepted: bool
) -> None:
    monkeypatch.setattr(registry, "CONTRACT", 3)
    monkeypatch.setattr(registry, "OLDEST", 2)
    install("mine", GOOD.format(contract=contract))
    if accepted:
        assert load_backend("mine").contract == contract
    else:
        older = "recurra" if contract == (4, 5) else "strange-plugin"
        with pytest.raises(RecurraError, match=rf"has the contracts 2 and 3: upgrade {older}$"):
            load_backend("mine")


def test_a_plugin_that_prints_at_import_leaves_standard_output_alone(install, capsys) -> None:
    install("mine", "print('chatter')\n" + GOOD.format(contract=(1, 1)))
    load_backend("mine")
    assert capsys.readouterr() == ("", "chatter\n")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("RECURRA_PLUGINS_DENY", "mine"),
        ("RECURRA_PLUGINS_DENY", "other , Strange_Plugin"),
        ("RECURRA_PLUGINS_ALLOW", "torch"),
    ],
)
def test_a_blocked_backend_is_listed_refused_and_not_imported(install, monkeypatch, setting: str, value: str) -> None:
    install("mine", "raise SystemError('imported')")
    monkeypatch.setenv(setting, value)
    assert next(entry for entry in entries() if entry.name == "mine").blocked == f"{setting}={value}"
    with pytest.raises(InputError, match=f"cannot be used: blocked by {setting}"):
        load_backend("mine")
    assert load_backend("torch").name == "torch"


def test_an_empty_setting_blocks_nothing(install, monkeypatch) -> None:
    monkeypatch.setenv("RECURRA_PLUGINS_ALLOW", " ,")
    install("mine", GOOD.format(contract=(1, 1)))
    assert load_backend("mine").name == "mine"
