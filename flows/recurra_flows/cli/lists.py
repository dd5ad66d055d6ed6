"""Options that take several values, separated by commas."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from recurra.errors import InputError

Number = TypeVar("Number", int, float)


def numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    """The numbers; `option` is what an InputError names."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        example = "0.1,0.5,1" if kind is float else "0,1,2"
        noun = "numbers" if kind is float else "whole numbers"
        raise InputError(f"{option}: expected {noun} separated by commas, such as {example}; found '{text}'") from None


def names(option: str, text: str) -> list[str]:
    """The names; `option` is what an InputError names."""
    found = [part.strip() for part in text.split(",")]
    if not all(found):
        raise InputError(f"{option}: expected names separated by commas; found '{text}'")
    return found
