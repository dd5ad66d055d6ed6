"""How far a backend is from what is expected: each comparison of the suites says so, and a certificate keeps it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

PROPERTY = "recurra-deviation"
"""The name of a deviation among the `user_properties` of a pytest report."""


@dataclass(frozen=True)
class Deviation:
    """One comparison's largest difference, and what it may be. None: no finite number, which JSON does not have."""

    what: str
    largest: float | None
    """The largest absolute difference."""
    relative: float
    """Its tolerance: relative * |expected| + absolute."""
    absolute: float
    share: float | None
    """The largest part of its tolerance that a difference took: up to 1 is within it."""
    left_out: float = 0.0
    """The part of the elements that was left out of this, ..."""
    largest_left_out: float | None = 0.0
    """... and the largest difference among them."""

    @property
    def within(self) -> bool:
        """Whether no difference is larger than its tolerance."""
        return self.share is not None and self.share <= 1


_NOTED: ContextVar[list[tuple[str, object]] | None] = ContextVar("noted", default=None)


@contextmanager
def noted_in(properties: list[tuple[str, object]]) -> Iterator[None]:
    """Within the block, what is noted is added to a pytest item's `user_properties`."""
    token = _NOTED.set(properties)
    try:
        yield
    finally:
        _NOTED.reset(token)


def note(name: str, value: object) -> None:
    """Adds a property to the check that is running, where one is."""
    properties = _NOTED.get()
    if properties is not None:
        properties.append((name, value))


def record_deviation(
    what: str, found: Any, expected: Any, relative: float, absolute: float, among: Any = True
) -> Deviation:
    """The deviation of `found` from `expected`, noted for the certificate; whether it is too large is the caller's.

    `among` says which elements count (booleans); of the others the largest difference is noted beside it.
    """
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    among = np.broadcast_to(among, found.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.abs(found - expected)
        shares = difference / (absolute + relative * np.abs(expected))
    # The same where no difference is allowed, and there is none.
    shares = np.where(difference == 0, 0.0, shares)
    # Plain numbers: pytest sends a report's properties from process to process, and knows none of NumPy's.
    deviation = Deviation(
        what,
        _largest(difference[among]),
        float(relative),
        float(absolute),
        _largest(shares[among]),
        1 - float(among.mean()) if among.size else 0.0,
        _largest(difference[~among]),
    )
    note(PROPERTY, asdict(deviation))
    return deviation


def _largest(values: np.ndarray) -> float | None:
    largest = float(values.max(initial=0.0))
    return largest if math.isfinite(largest) else None


def assert_close(what: str, found: Any, expected: Any, relative: float, absolute: float, but: float = 0.0) -> None:
    """Shapes agree, and every element is within relative * |expected| + absolute, but for a part of them (`but`)."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {list(found.shape)}, expected {list(expected.shape)}"
    if but:
        close = np.isclose(found, expected, relative, absolute)
        record_deviation(f"{what} (all but {but:.0%})", found, expected, relative, absolute, among=close)
        assert close.mean() > 1 - but, f"{what}: {1 - close.mean():.1%} of the elements differ"
        return
    deviation = record_deviation(what, found, expected, relative, absolute)
    assert deviation.within, f"{what}: {_told(deviation)}"


def _told(deviation: Deviation) -> str:
    if deviation.largest is None:
        return "it is no finite number, or differs by one that is not"
    allowed = f"{deviation.relative:g} of the value + {deviation.absolute:g}"
    times = f"{deviation.share:.3g} times what is allowed" if deviation.share else "where none is allowed"
    return f"differs by up to {deviation.largest:.3g}, {times} ({allowed})"
