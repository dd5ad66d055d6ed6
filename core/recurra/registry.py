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
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from types import ModuleType
from typing import Any

import pluggy

from recurra import hookspecs
from recurra.contract import CONTRACT, Backend
from recurra.errors import InputError, RecurraError, nearest

BACKENDS = "recurra.backends"
PLUGINS = "recurra.plugins"
DENY = "RECURRA_PLUGINS_DENY"
"""Names of plugins, or of distributions with all their plugins, that are never imported; separated by commas."""
ALLOW = "RECURRA_PLUGINS_ALLOW"
"""Where it is set: nothing but these is imported."""
OWN = "recurra"
"""Our distribution: nobody can take the names of what comes with it."""
OLDEST = max(1, CONTRACT - 1)
"""The oldest contract that core still serves: the one before its own."""


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
    """The other distributions that use the same name; empty where it is recurra's own."""
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
        """The command that installs what is missing, or makes room for the other of that name."""
        if self.clash:
            return f"pip uninstall {self.distribution}"
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f'pip install "{self.distribution}{extras}"'

    @property
    def problem(self) -> str:
        """Why it cannot be used, with the command that mends it; empty where nothing is known to be wrong."""
        if self.blocked:
            return f"blocked by {self.blocked}"
        if self.clash == OWN:
            return f"'{self.name}' is recurra's own; uninstall {self.distribution}, or use it under another name"
        if self.clash:
            keep = f"to use that of {self.distribution}, set {DENY}={self.clash.replace(' ', '')}"
            return f"the name is also used by {self.clash}; uninstall one of them, or {keep}"
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


def normal(name: str) -> str:
    """Equal for all the ways to write the name of one distribution."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _blocked(name: str, distribution: str) -> str:
    """The setting that blocks a plugin, in words; empty where none does. Nothing is imported to find out."""
    own = {normal(name), normal(distribution)}
    for setting, blocks in ((DENY, True), (ALLOW, False)):
        text = os.environ.get(setting, "")
        named = {normal(each) for each in text.split(",") if each.strip()}
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
        found.append(
            Entry(
                name,
                point.module,
                group,
                owner,
                point.dist.version if point.dist else "?",
                _extra_requirements(point),
                tuple(point.extras),
                _clash(owner, owners.get(name, [])),
                _blocked(name, owner),
            )
        )
    return sorted(found, key=lambda entry: (entry.name, entry.distribution))


def _clash(owner: str, owners: list[str]) -> str:
    """Who else has the name. What comes with recurra keeps its own, whoever else takes it."""
    if OWN in owners:
        return "" if owner == OWN else OWN
    return ", ".join(sorted((Counter(owners) - Counter([owner])).elements()))


def backend_entry(name: str) -> Entry:
    """The entry of the backend of that name; an InputError that says what is there, or what to install."""
    entry = entry_named(name)
    if entry is None:
        names = [entry.name for entry in entries()]
        raise InputError(
            f"backend '{name}' is not installed; installed: {', '.join(names) or 'none'}.{nearest(name, names)}"
            " `recurra plugins` lists them."
        )
    if entry.problem:
        raise InputError(f"backend '{name}' cannot be used: {entry.problem}")
    return entry


def entry_named(name: str) -> Entry | None:
    """The entry of the backend of that name, whether or not it can be used. Of two that share the name, one that is
    blocked or has no right to it is passed over.
    """
    found = (entry for entry in entries() if entry.name == name)
    return min(found, key=lambda entry: bool(entry.blocked or entry.clash), default=None)


def load(entry: Entry) -> ModuleType:
    """The plugin's entry module; a RecurraError where it cannot be imported, whatever it does instead."""
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
    plugins, module = pluggy.PluginManager(hookspecs.PROJECT), load(entry)
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
    if first > CONTRACT or last < OLDEST:
        ours = f"contract {CONTRACT}" if OLDEST == CONTRACT else f"the contracts {OLDEST} and {CONTRACT}"
        return (
            f"backend '{entry.name}' ({entry.distribution} {entry.version}) was written for contract {first} to {last};"
            f" this recurra has {ours}: upgrade {'recurra' if first > CONTRACT else entry.distribution}"
        )
    if backend.name != entry.name:
        return f"plugin '{entry.name}' ({entry.module}) hands over a backend that calls itself '{backend.name}'"
    return ""
