"""Finds plugins by entry point: lists them from package metadata alone, loads one by name where it is used.

pluggy's own `load_setuptools_entrypoints` stops at the first plugin that fails to import and keeps one of two that
share a name; here such a plugin is one row with its reason.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from recurra import hookspecs
from recurra.contract import CONTRACT, Backend
from recurra.errors import InputError, RecurraError, nearest

if TYPE_CHECKING:
    from recurra.readers.reader import Reader

BACKENDS = "recurra.backends"
PLUGINS = "recurra.plugins"
DENY = "RECURRA_PLUGINS_DENY"
"""Names of plugins, or of distributions with all their plugins, that are never imported; separated by commas."""
ALLOW = "RECURRA_PLUGINS_ALLOW"
"""Where it is set: nothing but these is imported."""


@dataclass(frozen=True)
class Entry:
    """A plugin as its distribution's metadata describes it; nothing of it is imported."""

    name: str
    module: str
    group: str
    distribution: str
    version: str
    requirements: tuple[str, ...]
    """Distributions that the entry point's extras ask for (`torch` in `[torch]`)."""
    extras: tuple[str, ...]
    clash: str = ""
    """The other distributions that use the same name."""
    blocked: str = ""
    """The setting that keeps it from being imported."""

    @cached_property
    def versions(self) -> dict[str, str]:
        """Version of the plugin's distribution and of each requirement that is installed."""
        found = {self.distribution: self.version}
        for requirement in self.requirements:
            try:
                found[requirement] = version(requirement)
            except PackageNotFoundError:
                continue
        return found

    @property
    def missing(self) -> tuple[str, ...]:
        """Requirements that are not installed."""
        return tuple(name for name in self.requirements if name not in self.versions)

    @property
    def remedy(self) -> str:
        """The command that installs what is missing."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f'pip install "{self.distribution}{extras}"'

    @property
    def problem(self) -> str:
        """Why it cannot be used, with the command that mends it; empty where nothing is known to be wrong."""
        if self.blocked:
            return f"blocked by {self.blocked}"
        if self.clash:
            return f"the name is also used by {self.clash}; uninstall one of them, or name one in {DENY}"
        if self.missing:
            return f"{', '.join(self.missing)} not installed: {self.remedy}"
        return ""


def _extra_requirements(point: EntryPoint) -> tuple[str, ...]:
    if point.dist is None or not point.extras:
        return ()
    from packaging.requirements import Requirement

    asked = [Requirement(text) for text in point.dist.requires or ()]
    return tuple(
        requirement.name
        for requirement in asked
        if requirement.marker
        and not requirement.marker.evaluate({"extra": ""})
        and any(requirement.marker.evaluate({"extra": extra}) for extra in point.extras)
    )


def _normal(name: str) -> str:
    """Equal for all the ways to write the name of one distribution."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _blocked(name: str, distribution: str) -> str:
    """The setting that blocks a plugin, in words; empty where none does. Nothing is imported to find out."""
    own = {_normal(name), _normal(distribution)}
    for setting, blocks in ((DENY, True), (ALLOW, False)):
        text = os.environ.get(setting, "")
        named = {_normal(each) for each in text.split(",") if each.strip()}
        if named and bool(own & named) == blocks:
            return f"{setting}={text}"
    return ""


def entries(group: str = BACKENDS) -> list[Entry]:
    """Every installed plugin of the group, by name. Reads metadata only."""
    # One distribution can be on the path twice (an editable install beside a wheel): it does not clash with itself.
    points = {(p.name, p.value, p.dist.name if p.dist else "?"): p for p in entry_points(group=group)}
    owners: dict[str, list[str]] = {}
    for name, _, owner in points:
        if not _blocked(name, owner):
            owners.setdefault(name, []).append(owner)
    found = []
    for (name, _, owner), point in points.items():
        others = Counter(owners.get(name, [])) - Counter([owner])
        found.append(
            Entry(
                name,
                point.module,
                group,
                owner,
                point.dist.version if point.dist else "?",
                _extra_requirements(point),
                tuple(point.extras),
                ", ".join(sorted(others.elements())),
                _blocked(name, owner),
            )
        )
    return sorted(found, key=lambda entry: (entry.name, entry.distribution))


def backend_entry(name: str) -> Entry:
    """The entry of the backend of that name; an InputError that says what is there, or what to install."""
    known = entries()
    # Of two that share the name, one that is blocked is passed over.
    for entry in sorted((entry for entry in known if entry.name == name), key=lambda entry: bool(entry.blocked)):
        if entry.problem:
            raise InputError(f"backend '{name}' cannot be used: {entry.problem}")
        return entry
    names = [entry.name for entry in known]
    raise InputError(
        f"backend '{name}' is not installed; installed: {', '.join(names) or 'none'}.{nearest(name, names)}"
        " `recurra plugins` lists them."
    )


def _load(entry: Entry) -> ModuleType:
    try:
        # What it prints is not what a program that reads our output waits for.
        with contextlib.redirect_stdout(sys.stderr):
            return importlib.import_module(entry.module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise RecurraError(
            f"plugin '{entry.name}' ({entry.distribution} {entry.version}) cannot be imported: {text}"
        ) from error


def load_backend(name: str) -> Backend:
    """The backend of that name, its contract checked. Imports its entry module, and no framework."""
    entry = backend_entry(name)
    backend = handed_over(entry)
    problem = unfit(backend, entry)
    if problem:
        raise RecurraError(problem)
    return backend


def handed_over(entry: Entry) -> Backend:
    """What the plugin's hook hands over, whether or not it fits; a RecurraError where it cannot be had."""
    plugins, module = pluggy.PluginManager(hookspecs.PROJECT), _load(entry)
    plugins.add_hookspecs(hookspecs)
    try:
        plugins.register(module, name=entry.name)
        backend: Any = plugins.hook.recurra_backend()
        if backend is None:
            raise RecurraError(
                f"plugin '{entry.name}' ({entry.module}) has no recurra_backend hook, or it returned None"
            )
        first, last = backend.contract
        if not (isinstance(first, int) and isinstance(last, int) and isinstance(backend.name, str)):
            raise TypeError("its name is no text, or its contract not two whole numbers")
    except (RecurraError, KeyboardInterrupt):
        raise
    except BaseException as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise RecurraError(f"plugin '{entry.name}' ({entry.module}) does not hand over a backend: {text}") from error
    return backend


def unfit(backend: Backend, entry: Entry) -> str:
    """Why this recurra cannot use the backend; empty where it can."""
    first, last = backend.contract
    if not first <= CONTRACT <= last:
        return (
            f"backend '{entry.name}' ({entry.distribution} {entry.version}) was written for contract {first} to {last};"
            f" this recurra has contract {CONTRACT}: upgrade the older of the two"
        )
    if backend.name != entry.name:
        return f"plugin '{entry.name}' ({entry.module}) hands over a backend that calls itself '{backend.name}'"
    return ""


@dataclass(frozen=True)
class Extension:
    """The hooks of every other plugin (readers, observers, report sections) that could be loaded."""

    plugins: pluggy.PluginManager
    problems: list[str]
    """Why some could not be loaded, or failed when they were called."""

    def call(self, hook: str, **arguments: Any) -> list[Any]:
        """What each plugin's hook of that name hands over; one that fails is a line in `problems`."""
        results = []
        for name, plugin in self.plugins.list_name_plugin():
            others = [other for _, other in self.plugins.list_name_plugin() if other is not plugin]
            try:
                results += self.plugins.subset_hook_caller(hook, others)(**arguments)
            except Exception as error:
                self.problems.append(f"plugin '{name}': its {hook} failed: {type(error).__name__}: {error}")
        return results

    def tell_problems(self, note: Callable[[str], None]) -> None:
        """Says each problem once, and forgets it."""
        while self.problems:
            note(f"warning: {self.problems.pop(0)}")

    def readers(self) -> list[Reader]:
        """What the plugins' `recurra_readers` hooks hand over."""
        return [reader for readers in self.call("recurra_readers") for reader in readers]


def extensions(more: Iterable[object] = ()) -> Extension:
    """Loads every plugin of the group `recurra.plugins`, and those in `more`; a failing one is a line in `problems`."""
    plugins = pluggy.PluginManager(hookspecs.PROJECT)
    plugins.add_hookspecs(hookspecs)
    problems = _register((entry for entry in entries(PLUGINS) if not entry.blocked), plugins)
    for plugin in more:
        plugins.register(plugin)
    return Extension(plugins, problems + _misspelt(plugins))


def extension_problems(entry: Entry) -> list[str]:
    """What is wrong with one plugin of the group `recurra.plugins`, found by loading it."""
    plugins = pluggy.PluginManager(hookspecs.PROJECT)
    plugins.add_hookspecs(hookspecs)
    return _register([entry], plugins) + _misspelt(plugins)


def _register(found: Iterable[Entry], plugins: pluggy.PluginManager) -> list[str]:
    """Loads plugins; why some could not be."""
    problems = []
    for entry in found:
        try:
            plugins.register(_load(entry), name=f"{entry.distribution}:{entry.name}")
        except Exception as error:
            problems.append(" ".join(str(error).split()))
    return problems


def _misspelt(plugins: pluggy.PluginManager) -> list[str]:
    known = [name for name in vars(hookspecs) if name.startswith("recurra_")]
    return [
        f"plugin '{name}' implements '{caller.name}', which is no hook.{nearest(caller.name, known)}"
        for name, plugin in plugins.list_name_plugin()
        for caller in plugins.get_hookcallers(plugin) or ()
        if not caller.has_spec()
    ]
