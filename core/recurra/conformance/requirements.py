"""What a backend's distribution requires beside recurra's own requirements, and the modules that this installs."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

from packaging.requirements import Requirement

from recurra.registry import Entry, normal


def requirements_of(entry: Entry) -> set[str]:
    """Names of distributions: what the entry point's extras ask for, or its distribution where they ask for nothing;
    with all that these require themselves, and without what recurra requires.
    """
    own = _with_theirs([Requirement("recurra")])
    asked = [Requirement(name) for name in entry.requirements] or _required(Requirement(entry.distribution))
    return _with_theirs(asked) - own


def modules_of(distributions: Iterable[str]) -> set[str]:
    """The top modules that these distributions installed."""
    wanted = {normal(name) for name in distributions}
    return {module for module, owners in packages_distributions().items() if wanted & {normal(name) for name in owners}}


def _with_theirs(asked: Iterable[Requirement]) -> set[str]:
    """Their names, and those of all that they require."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    left = list(asked)
    while left:
        requirement = left.pop()
        key = normal(requirement.name), frozenset(requirement.extras)
        if key not in seen:
            seen.add(key)
            found.add(key[0])
            left += _required(requirement)
    return found


def _required(asked: Requirement) -> list[Requirement]:
    """What a distribution requires here, with the extras asked for; nothing where it is not installed."""
    try:
        texts = requires(asked.name) or []
    except PackageNotFoundError:
        return []
    extras = ["", *asked.extras]
    found = [Requirement(text) for text in texts]
    return [each for each in found if not each.marker or any(each.marker.evaluate({"extra": one}) for one in extras)]
