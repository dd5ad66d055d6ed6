"""Plugins: listed from metadata alone; one that is broken is a row with its reason and never a crash."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recurra.errors import InputError, RecurraError
from recurra.registry import backend_entry, entries, extensions, load_backend

GOOD = """
from recurra import hookimpl
class Backend:
    name, contract, capabilities = "mine", {contract}, frozenset({{"cnn"}})
@hookimpl
def recurra_backend():
    return Backend()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a distribution with one entry point on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(
        name: str, code: str, distribution: str = "strange-plugin", requires: str = "", group: str = "recurra.backends"
    ) -> None:
        module = f"{distribution.replace('-', '_')}_{name}"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{distribution}-1.2.dist-info"
        info.mkdir(exist_ok=True)
        needs = f"Provides-Extra: engine\nRequires-Dist: {requires}; extra == 'engine'\n" if requires else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n{needs}")
        extra = " [engine]" if requires else ""
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}{extra}\n")
        sys.modules.pop(module, None)

    return make


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


def test_two_distributions_with_one_name_are_both_told(install) -> None:
    install("torch", GOOD.format(contract=(1, 1)), distribution="impostor")
    clashing = [entry for entry in entries() if entry.name == "torch"]
    assert {entry.clash for entry in clashing} == {"impostor", "recurra"}
    with pytest.raises(InputError, match="the name is also used by"):
        backend_entry("torch")


def test_a_broken_extension_is_a_problem_and_a_misspelt_hook_is_named(install) -> None:
    install("reads", "raise RuntimeError('no')", "bad-reader", group="recurra.plugins")
    misspelt = "from recurra import hookimpl\n@hookimpl\ndef recurra_reader(): return []"
    install("other", misspelt, "misspelt", group="recurra.plugins")
    problems = extensions().problems
    assert any("bad-reader 1.2) cannot be imported: RuntimeError: no" in line for line in problems)
    assert any("'recurra_reader', which is no hook. Did you mean 'recurra_readers'?" in line for line in problems)


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


def test_denying_one_of_two_that_share_a_name_leaves_the_other(install, monkeypatch) -> None:
    install("torch", GOOD.format(contract=(1, 1)), distribution="impostor")
    monkeypatch.setenv("RECURRA_PLUGINS_DENY", "impostor")
    assert backend_entry("torch").distribution == "recurra"


def test_a_blocked_extension_is_not_loaded(install, monkeypatch) -> None:
    install("reads", "raise RuntimeError('no')", "bad-reader", group="recurra.plugins")
    monkeypatch.setenv("RECURRA_PLUGINS_DENY", "reads")
    assert extensions().problems == []
