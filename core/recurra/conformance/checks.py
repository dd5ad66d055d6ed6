"""What every check of the kit has: a group, words for its name, and a place where expected failures are declared."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import pytest

from recurra.certificate import GROUPS
from recurra.conformance.deviation import note, noted_in
from recurra.registry import backend_entry, load_backend

_GROUP = "recurra_group"
_SLOW = "recurra_slow"
EXPECTED = "recurra_conformance"
"""The name that an entry module gives its mapping of expected failures: check -> reason. Checks are named as pytest
does, without or with their parameter: `test_x`, `test_x[cnn-clip]`. One that passes all the same is a failure."""
ASKED = "recurra-capability"
"""The name of a capability that a check asked for among the `user_properties` of a pytest report."""

Check = TypeVar("Check", bound=Callable[..., None])
CheckOrSuite = TypeVar("CheckOrSuite", bound=Callable[..., object])


def group(name: str) -> Callable[[Check], Check]:
    """Puts a check into one of GROUPS. Not a pytest mark: a stranger's pytest settings would have to know it."""
    assert name in GROUPS, name

    def put(check: Check) -> Check:
        setattr(check, _GROUP, name)
        return check

    return put


def slow(check: CheckOrSuite) -> CheckOrSuite:
    """`recurra plugins check --quick` leaves it out, or every check of the suite."""
    setattr(check, _SLOW, True)
    return check


def group_of(check: object, suite: type) -> str:
    """The group of a check: its own, else its suite's."""
    return getattr(check, _GROUP, None) or getattr(suite, "group", "training")


def is_slow(check: object) -> bool:
    """Whether `--quick` leaves it out."""
    return getattr(check, _SLOW, False)


def in_words(check: str) -> str:
    """`test_weights_come_back[cnn-clip]` -> `weights come back [cnn-clip]`."""
    name, bracket, variant = check.partition("[")
    return name.removeprefix("test_").replace("_", " ") + (f" [{variant}" if bracket else "")


def expected_failures(backend: str) -> Mapping[str, str]:
    """Check -> reason, as the backend's entry module declares them in `recurra_conformance`."""
    declared = getattr(importlib.import_module(backend_entry(backend).module), EXPECTED, {})
    if not isinstance(declared, Mapping) or not all(
        isinstance(text, str) for pair in declared.items() for text in pair
    ):
        raise TypeError(f"{EXPECTED} of backend '{backend}': expected a mapping of check -> reason, both text")
    return declared


class Declared:
    """The pytest plugin that expects what is declared to fail. It marks checks when they are collected: a mark that a
    fixture adds comes too late for a check that fails in a fixture.
    """

    NAME = "recurra-declared"

    def __init__(self) -> None:
        self.collected: set[str] = set()
        """The names of all checks, those that are then deselected among them."""

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Marks one check."""
        if not isinstance(item, pytest.Function) or item.cls is None or not issubclass(item.cls, Suite):
            return
        self.collected.add(item.name)
        try:
            declared = expected_failures(item.cls.name)
        except Exception:  # the plugin's code: a check of its own says what is wrong
            return
        reason = declared.get(item.name, declared.get(item.originalname))
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


class Suite:
    """Checks of one backend, by its name."""

    name: str
    asks: ClassVar[tuple[str, ...]] = ()
    """The capabilities without which the whole suite is skipped."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called as checks are collected, before the first of them is made."""
        plugins = metafunc.config.pluginmanager
        if not plugins.has_plugin(Declared.NAME):
            plugins.register(Declared(), Declared.NAME)

    @pytest.fixture(autouse=True)
    def _kept_for_the_certificate(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Notes deviations with the check, and what it asks for."""
        with noted_in(request.node.user_properties):
            for capability in self.asks:
                self.needs(capability)
            yield

    @classmethod
    def needs(cls, capability: str) -> None:
        """Skips the check where the backend does not claim the capability."""
        note(ASKED, capability)
        if capability not in load_backend(cls.name).capabilities:
            pytest.skip(f"backend '{cls.name}' does not claim {capability}")

    @classmethod
    def any_kind(cls, *preferred: str) -> str:
        """The first of these kinds of network that the backend claims; else a skip."""
        claimed = load_backend(cls.name).capabilities
        for kind in preferred:
            if kind in claimed:
                return kind
        pytest.skip(f"backend '{cls.name}' claims none of {', '.join(preferred)}")

    @classmethod
    def tolerance(cls, relative: float, absolute: float, but: float = 0.0) -> dict[str, Any]:
        """How far arrays may be from the float64 reference: as given, of float32; that of one rounding where the
        backend claims `float64`, which says that it computes in float64 and rounds what it hands over.
        """
        if "float64" in load_backend(cls.name).capabilities:
            note(ASKED, "float64")
            return {"relative": 1e-6, "absolute": 1e-7}
        return {"relative": relative, "absolute": absolute, "but": but}
