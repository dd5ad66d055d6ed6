"""Numbers, counts and lists in words."""

from __future__ import annotations

from collections.abc import Sequence


def percent(value: float, digits: int = 1) -> str:
    """0.9123 -> 91.2%. What is not quite all or nothing is not rounded to it."""
    shown = f"{100 * value:.{digits}f}"
    if value < 1 and float(shown) == 100:
        return f">{100 - 10**-digits:.{digits}f}%"
    if value > 0 and float(shown) == 0:
        return f"<{10**-digits:.{digits}f}%"
    return f"{shown}%"


def points(difference: float) -> str:
    """0.0213 -> +2.1: a difference of shares in percentage points, with its sign."""
    shown = f"{100 * difference:+.1f}"
    return "0.0" if shown in ("+0.0", "-0.0") else shown.replace("-", "−")


def rate(per_second: float) -> str:
    """1234.5 -> 1,234."""
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def size(count: float) -> str:
    """Bytes in decimal units: 1.5 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, noun: str) -> str:
    """2, 'class' -> 2 classes."""
    suffix = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{suffix}"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def ending(name: str, length: int = 44) -> str:
    """The end of a long name: the end is what tells samples of one source apart."""
    return name if len(name) <= length else f"…{name[1 - length :]}"
