"""How far a backend is from what is expected: each comparison of the suites says so, and a certificate keeps it."""

from __future__ import annotations

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
    """One comparison's largest difference, and what it may be."""

    what: str
    largest: float
    """The largest absolute difference."""
    relative: float
    """Its tolerance: relative * |expected| + absolute."""
    absolute: float
    share: float
    """The largest part of its tolerance that a difference took: up to 1 is within it."""


_NOTED: ContextVar[list[tuple[str, object]] | None] = ContextVar("noted", default=None)


@contextmanager
def noted_in(properties: list[tuple[str, object]]) -> Iterator[None]:
    """Within the block, deviations are added to a pytest item's `user_properties`."""
    token = _NOTED.set(properties)
    try:
        yield
    finally:
        _NOTED.reset(token)


def record_deviation(what: str, found: Any, expected: Any, relative: float, absolute: float) -> Deviation:
    """The deviation of `found` from `expected`, noted for the certificate; whether it is too large is the caller's."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.abs(found - expected)
        shares = difference / (absolute + relative * np.abs(expected))
    # The same where no difference is allowed, and there is none.
    shares = np.where(difference == 0, 0.0, np.nan_to_num(shares, nan=np.inf))
    largest = float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0))
    # Plain numbers: pytest sends a report's properties from process to process, and knows none of NumPy's.
    deviation = Deviation(what, largest, float(relative), float(absolute), float(shares.max(initial=0.0)))
    properties = _NOTED.get()
    if properties is not None:
        properties.append((PROPERTY, asdict(deviation)))
    return deviation


def assert_close(what: str, found: Any, expected: Any, relative: float, absolute: float, but: float = 0.0) -> None:
    """Shapes agree, and every element is within relative * |expected| + absolute, but for a part of them (`but`)."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {list(found.shape)}, expected {list(expected.shape)}"
    if but:
        close = np.isclose(found, expected, relative, absolute)
        assert close.mean() > 1 - but, f"{what}: {1 - close.mean():.1%} of the elements differ"
        record_deviation(f"{what} (all but {but:.0%})", found[close], expected[close], relative, absolute)
        return
    deviation = record_deviation(what, found, expected, relative, absolute)
    assert deviation.share <= 1, (
        f"{what}: differs by up to {deviation.largest:.3g}, {deviation.share:.3g} times"
        f" what is allowed ({relative:g} of the value + {absolute:g})"
    )
