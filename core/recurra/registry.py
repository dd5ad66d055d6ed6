"""Finds plugins by entry point: lists them from package metadata alone, loads one by name where it is used.

pluggy's own `load_setuptools_entrypoints` stops at the first plugin that fails to import and keeps one of two that
share a name; here such a plugin is one row with its reason.
"""

from __future__ import annotations

import importlib.util
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
        if self.clash:
            return f"the name is also used by {self.clash}; uninstall one of them"
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


def entries(group: str = BACKENDS) -> list[Entry]:
    """Every installed plugin of the group, by name. Reads metadata only."""
    # One distribution can be on the path twice (an editable install beside a wheel): it does not clash with itself.
    points = {(p.name, p.value, p.dist.name if p.dist else "?"): p for p in entry_points(group=group)}
    owners: dict[str, list[str]] = {}
    for name, _, owner in points:
        owners.setdefault(name, []).append(owner)
    found = []
    for (name, _, owner), point in points.items():
        others = Counter(owners[name]) - Counter([owner])
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
            )
        )
    return sorted(found, key=lambda entry: (entry.name, entry.distribution))


def backend_entry(name: str) -> Entry:
    """The entry of the backend of that name; an InputError that says what is there, or what to install."""
    known = entries()
    for entry in known:
        if entry.name == name:
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
        return importlib.import_module(entry.module)
    except Exception as error:
        raise RecurraError(
            f"plugin '{entry.name}' ({entry.distribution} {entry.version}) cannot be imported:"
            f" {type(error).__name__}: {error}"
        ) from error


def load_backend(name: str) -> Backend:
    """The backend of that name, its contract checked. Imports its entry module, and no framework."""
    entry = backend_entry(name)
    plugins, module = pluggy.PluginManager(hookspecs.PROJECT), _load(entry)
    plugins.add_hookspecs(hookspecs)
    try:
        plugins.register(module, name=entry.name)
        backend: Any = plugins.hook.recurra_backend()
        if backend is None:
            raise RecurraError(f"plugin '{name}' ({entry.module}) has no recurra_backend hook, or it returned None")
        first, last = backend.contract
    except (RecurraError, KeyboardInterrupt):
        raise
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise RecurraError(f"plugin '{name}' ({entry.module}) does not hand over a backend: {text}") from error
    if not first <= CONTRACT <= last:
        raise RecurraError(
            f"backend '{name}' ({entry.distribution} {entry.version}) was written for contract {first} to {last};"
            f" this recurra has contract {CONTRACT}: upgrade the older of the two"
        )
    return backend


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
    problems: list[str] = []
    plugins = pluggy.PluginManager(hookspecs.PROJECT)
    plugins.add_hookspecs(hookspecs)
    for entry in entries(PLUGINS):
        try:
            plugins.register(_load(entry), name=f"{entry.distribution}:{entry.name}")
        except Exception as error:
            problems.append(" ".join(str(error).split()))
    for plugin in more:
        plugins.register(plugin)
    for _, plugin in plugins.list_name_plugin():
        if plugin is not None:
            problems += _misspelt(plugins, plugin)
    return Extension(plugins, problems)


def _misspelt(plugins: pluggy.PluginManager, plugin: object) -> list[str]:
    known = [name for name in vars(hookspecs) if name.startswith("recurra_")]
    unknown = [caller.name for caller in plugins.get_hookcallers(plugin) or () if not caller.has_spec()]
    return [
        f"plugin '{plugins.get_name(plugin)}' implements '{name}', which is no hook.{nearest(name, known)}"
        for name in unknown
    ]
