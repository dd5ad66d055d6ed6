"""Readers, observers and sections of plugins: one that misbehaves is a line, and the others are asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from recurra.errors import InputError
from recurra.experiment import Data, Experiment
from recurra.extensions import extension_problems, extensions
from recurra.registry import PLUGINS, entries
from recurra.stages import open_source

HOOK = "from recurra import hookimpl\n@hookimpl\n"
READER = (
    HOOK
    + """
def recurra_readers():
    class Reader:
        name = description = "mine"
        def recognises(self, source): return False
        def open(self, source, data): raise OSError
    return [Reader()]
"""
)
WRONG_READERS = {
    "def recurra_readers(): return 7": "TypeError: 'int' object is not iterable",
    "def recurra_readers():\n    yield 1 / 0": "ZeroDivisionError: division by zero",
    "def recurra_readers(): raise SystemExit('bye')": "SystemExit: bye",
    "def recurra_readers(): return ['a reader']": "TypeError: it handed over 'a reader', which is no Reader",
}


@pytest.mark.parametrize("code", WRONG_READERS)
def test_a_plugin_with_wrong_readers_is_a_line_and_the_other_readers_are_there(install, code: str) -> None:
    install("reads", HOOK + code, "bad-reader", group=PLUGINS)
    install("other", READER, "good-reader", group=PLUGINS)
    found = extensions()
    assert [reader.name for reader in found.readers()] == ["mine"]
    assert found.problems == [f"plugin 'bad-reader:reads': its recurra_readers failed: {WRONG_READERS[code]}"]
    entry = next(entry for entry in entries(PLUGINS) if entry.name == "reads")
    assert extension_problems(entry) == found.problems


def test_a_source_that_nobody_reads_names_the_plugin_that_was_not_asked(install, tmp_path: Path) -> None:
    install("reads", HOOK + "def recurra_readers(): return 7", "bad-reader", group=PLUGINS)
    (tmp_path / "some.strange").touch()
    experiment = Experiment(name="e", data=Data(source=str(tmp_path / "some.strange")))
    with pytest.raises(InputError, match=r"a \.strange file, expected .*; not asked: plugin 'bad-reader:reads'"):
        open_source(experiment)
    assert len(open_source(Experiment(name="e", data=Data(source="digits"))).samples) == 1797


def test_an_observer_that_leaves_does_not_end_the_training(install) -> None:
    install("leaves", HOOK + "def recurra_epoch_end(record): raise SystemExit(record['epoch'])", group=PLUGINS)
    found = extensions()
    found.tell("recurra_epoch_end", experiment=None, record={"epoch": 3})
    assert found.problems == ["plugin 'strange-plugin:leaves': its recurra_epoch_end failed: SystemExit: 3"]


def test_of_two_with_one_name_neither_is_loaded_and_both_are_told(install) -> None:
    install("reads", "raise RuntimeError('loaded')", "first", group=PLUGINS)
    install("reads", "raise RuntimeError('loaded')", "second", group=PLUGINS)
    problems = extensions().problems
    assert [line.partition(": ")[0] for line in problems] == [
        "plugin 'reads' (first 1.2)",
        "plugin 'reads' (second 1.2)",
    ]
    assert all("the name is also used by" in line for line in problems)


def test_a_plugin_whose_requirement_is_missing_is_not_loaded(install) -> None:
    install("reads", "raise RuntimeError('loaded')", "mine", "no-such-engine>=2", group=PLUGINS)
    assert extensions().problems == [
        "plugin 'reads' (mine 1.2): no-such-engine not installed: pip install \"mine[engine]\""
    ]


def test_a_broken_extension_is_a_problem_and_a_misspelt_hook_is_named(install) -> None:
    install("reads", "raise RuntimeError('no')", "bad-reader", group="recurra.plugins")
    misspelt = "from recurra import hookimpl\n@hookimpl\ndef recurra_reader(): return []"
    install("other", misspelt, "misspelt", group="recurra.plugins")
    problems = extensions().problems
    assert any("bad-reader 1.2) cannot be imported: RuntimeError: no" in line for line in problems)
    assert any("'recurra_reader', which is no hook. Did you mean 'recurra_readers'?" in line for line in problems)


def test_a_blocked_extension_is_not_loaded(install, monkeypatch) -> None:
    install("reads", "raise RuntimeError('no')", "bad-reader", group="recurra.plugins")
    monkeypatch.setenv("RECURRA_PLUGINS_DENY", "reads")
    assert extensions().problems == []
