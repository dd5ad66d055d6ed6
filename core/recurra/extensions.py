"""Plugins that are no backends: readers, observers, report sections. One that fails is a line, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from recurra import hookspecs
from recurra.errors import RecurraError, nearest
from recurra.registry import PLUGINS, Entry, entries, load

if TYPE_CHECKING:
    from recurra.readers.reader import Reader

Offered = TypeVar("Offered")


@dataclass(frozen=True)
class Extensions:
    """The hooks of every plugin of the group `recurra.plugins` that could be loaded."""

    plugins: pluggy.PluginManager
    problems: list[str]
    """Why some could not be loaded, or failed when they were called."""

    def tell(self, hook: str, **arguments: Any) -> None:
        """Calls each plugin's hook of that name; one that fails is a line in `problems`."""
        for _ in self._answers(hook, arguments, lambda answer: answer):
            pass

    def offered(self, hook: str, kind: type[Offered], **arguments: Any) -> list[Offered]:
        """The objects that the plugins' hooks of that name hand over; a plugin of which anything is not of that kind
        is a line in `problems`, and nothing of it is taken.
        """
        each = self._answers(hook, arguments, lambda answer: _all_of(answer, kind))
        return [one for found in each for one in found]

    def readers(self) -> list[Reader]:
        """What the plugins' `recurra_readers` hooks hand over."""
        if not self.plugins.hook.recurra_readers.get_hookimpls():
            return []
        from recurra.readers.reader import Reader  # here, because listing plugins need not wait for the experiment's

        return self.offered("recurra_readers", Reader)

    def tell_problems(self, note: Callable[[str], None]) -> None:
        """Says each problem once, and forgets it."""
        while self.problems:
            note(f"warning: {self.problems.pop(0)}")

    def _answers(self, hook: str, arguments: dict[str, Any], taken: Callable[[Any], Any]) -> Iterator[Any]:
        for name, plugin in self.plugins.list_name_plugin():
            others = [other for _, other in self.plugins.list_name_plugin() if other is not plugin]
            try:
                yield from [taken(answer) for answer in self.plugins.subset_hook_caller(hook, others)(**arguments)]
            except (Exception, SystemExit) as error:  # its own code, so anything
                text = " ".join(f"{type(error).__name__}: {error}".split())
                self.problems.append(f"plugin '{name}': its {hook} failed: {text}")


def _all_of(answer: Iterable[Any], kind: type[Offered]) -> list[Offered]:
    found = list(answer)
    for one in found:
        if not isinstance(one, kind):
            raise TypeError(f"it handed over {one!r:.80}, which is no {kind.__name__}")
    return found


def extensions(more: Iterable[object] = ()) -> Extensions:
    """Loads every plugin of the group `recurra.plugins` that can be used, and those in `more`; why another cannot be is
    a line in `problems`. One that is blocked is not loaded, and nothing is said of it.
    """
    found = _loaded(entry for entry in entries(PLUGINS) if not entry.blocked)
    for plugin in more:
        found.plugins.register(plugin)
    return Extensions(found.plugins, found.problems + _misspelt(found.plugins))


def extension_problems(entry: Entry) -> list[str]:
    """What is wrong with one plugin of the group `recurra.plugins`, found by loading it and asking for its readers."""
    found = _loaded([entry])
    found.readers()
    return found.problems + _misspelt(found.plugins)


def _loaded(found: Iterable[Entry]) -> Extensions:
    plugins, problems = pluggy.PluginManager(hookspecs.PROJECT), []
    plugins.add_hookspecs(hookspecs)
    for entry in found:
        if entry.problem:
            problems.append(f"plugin '{entry.name}' ({entry.distribution} {entry.version}): {entry.problem}")
            continue
        try:
            plugins.register(load(entry), name=f"{entry.distribution}:{entry.name}")
        except RecurraError as error:
            problems.append(str(error))
    return Extensions(plugins, problems)


def _misspelt(plugins: pluggy.PluginManager) -> list[str]:
    known = [name for name in vars(hookspecs) if name.startswith("recurra_")]
    return [
        f"plugin '{name}' implements '{caller.name}', which is no hook.{nearest(caller.name, known)}"
        for name, plugin in plugins.list_name_plugin()
        for caller in plugins.get_hookcallers(plugin) or ()
        if not caller.has_spec()
    ]
