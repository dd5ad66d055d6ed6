"""What every check of the kit has: a group, words for its name, and a place where expected failures are declared."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import pytest

from recurra.conformance.deviation import noted_in
from recurra.registry import backend_entry, load_backend

GROUPS = ("import", "forward", "gradients", "optimiser", "dropout", "training", "resume", "requests", "devices", "gan")
"""The groups of a certificate's table, in its order."""
_GROUP = "recurra_group"
_SLOW = "recurra_slow"
EXPECTED = "recurra_conformance"
"""The name that an entry module gives its mapping of expected failures: check -> reason."""

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


class Suite:
    """Checks of one backend, by its name."""

    name: str
    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Check -> why it fails. Named as pytest does, without or with its parameter: `test_x`, `test_x[cnn-clip]`. One
    that passes all the same is a failure."""

    @pytest.fixture(autouse=True)
    def _kept_for_the_certificate(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Notes deviations with the check, and expects the failures that are declared."""
        declared = {**expected_failures(self.name), **self.expected_failures}
        for known in (request.node.name, request.node.originalname):
            if known in declared:
                request.node.add_marker(pytest.mark.xfail(reason=declared[known], strict=True))
                break
        with noted_in(request.node.user_properties):
            yield

    @classmethod
    def needs(cls, capability: str) -> None:
        """Skips the check where the backend does not claim the capability."""
        if capability not in load_backend(cls.name).capabilities:
            pytest.skip(f"backend '{cls.name}' does not claim {capability}")

    @classmethod
    def tolerance(cls, relative: float, absolute: float) -> dict[str, Any]:
        """How far arrays may be from the float64 reference: as given, of float32; that of one rounding where the
        backend claims `float64`, which says that it computes in float64 and rounds what it hands over.
        """
        if "float64" in load_backend(cls.name).capabilities:
            return {"relative": 1e-6, "absolute": 1e-7}
        return {"relative": relative, "absolute": absolute}
