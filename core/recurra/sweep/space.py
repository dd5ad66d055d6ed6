"""The space of a sweep: which fields of the experiment vary, and between which values.

train.learning_rate=1e-4..1e-2      a range; logarithmic where its end is 100 times its beginning or more
train.learning_rate=log:1e-3..1e-2  a logarithmic range
train.dropout=0..0.5:0.1            a range with a step
model.rnn.units=64,128,256          choices
train.epochs=20                     a single value: an override, as of any other verb
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from recurra.errors import InputError
from recurra.experiment import Part
from recurra.store import canonical

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"(?P<log>log:)?(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})(?::(?P<step>{_NUMBER}))?")
_MEANT = re.compile(rf"log:|{_NUMBER}\.\.|\.\.{_NUMBER}")
"""How a text begins that can only be meant as a range."""
_LOGARITHMIC = 100
"""A range whose end is so many times its beginning is logarithmic unless it has a step."""
_POINTS = 1_000_000
"""Values of a range that are ever counted out."""

Number = int | float


class Range(Part):
    """Numbers from `low` to `high`, both included."""

    kind: Literal["range"] = "range"
    field: str
    """Dotted, as in an override."""
    low: Number
    high: Number
    log: bool = False
    """Whether numbers are drawn evenly on a logarithmic scale."""
    step: Number | None = None
    """Between two numbers; None: whatever lies between, or every whole number."""
    whole: bool = False
    """Whether the field takes whole numbers alone."""

    @property
    def size(self) -> int | None:
        """How many values there are; None where they cannot be counted."""
        step = self.step or (1 if self.whole else None)
        return None if step is None else round((self.high - self.low) / step) + 1

    def values(self) -> tuple[Number, ...]:
        """All of them, rising; none where they cannot be counted."""
        if self.size is None or self.size > _POINTS:
            return ()
        return tuple(self.settled(self.low + n * (self.step or 1)) for n in range(self.size))

    def settled(self, value: float) -> Number:
        """The value that is trained with: a number that was drawn, without digits that make no difference."""
        if self.whole:
            return round(value)
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
            return _within(round(value, 12), self)
        if self.log:
            return _within(float(f"{value:.5g}"), self)
        return _within(round(value, 4 - math.floor(math.log10(self.high - self.low))), self)

    @property
    def ends(self) -> tuple[Number, ...]:
        """The values that stand for all: if these are right, so are the others."""
        return (self.low, self.high)

    @property
    def spelled(self) -> str:
        """As it is written on the command line."""
        step = "" if self.step is None else f":{shown(self.step)}"
        return f"{self.field}={'log:' if self.log else ''}{shown(self.low)}..{shown(self.high)}{step}"

    @property
    def words(self) -> str:
        """0.0001 to 0.01, logarithmic."""
        further = ", logarithmic" if self.log else "" if self.step is None else f" in steps of {shown(self.step)}"
        return f"{shown(self.low)} to {shown(self.high)}{further}"


class Choice(Part):
    """Some values of a field, none nearer to one than to another."""

    kind: Literal["choice"] = "choice"
    field: str
    """Dotted, as in an override."""
    options: Annotated[tuple[Any, ...], Field(min_length=1)]
    """As in an experiment file."""

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.options)

    def values(self) -> tuple[Any, ...]:
        """All of them, in the order in which they were given."""
        return self.options

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that stand for all."""
        return self.options

    @property
    def spelled(self) -> str:
        """As it is written on the command line."""
        return f"{self.field}={','.join(_flow(option) for option in self.options)}"

    @property
    def words(self) -> str:
        """64, 128 or 256."""
        *most, last = [shown(option) for option in self.options]
        return f"{', '.join(most)} or {last}" if most else last


Dimension = Annotated[Range | Choice, Field(discriminator="kind")]


def separated(settings: Sequence[str]) -> tuple[list[str], list[Range | Choice]]:
    """(overrides, what varies) of settings as they stand on the command line; fields are not looked at yet.

    An InputError for a range that is none, or a field that is named twice.
    """
    overrides, swept = [], []
    for setting in settings:
        field, equals, text = setting.partition("=")
        found = _dimension(field.strip(), text.strip()) if equals and field.strip() else None
        if found is None:
            overrides.append(setting)
        else:
            swept.append(found)
    _distinct([each.field for each in swept], [each.partition("=")[0].strip() for each in overrides])
    return overrides, swept


def _dimension(field: str, text: str) -> Range | Choice | None:
    """What a setting's text says; None for a single value."""
    if found := _RANGE.fullmatch(text):
        return _range(field, **found.groupdict())
    if _MEANT.match(text) and "/" not in text:
        raise InputError(
            f"{field}: '{text}' is no range; expected A..B, log:A..B or A..B:STEP with numbers, or choices X,Y,Z"
        )
    try:
        # What stands between the brackets of a YAML list: commas within brackets and quotes do not part.
        options = yaml.safe_load(f"[{text}]")
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(options, list) or len(options) < 2:
        return None
    return Choice(field=field, options=tuple(options))


def _range(field: str, low: str, high: str, log: str | None, step: str | None) -> Range:
    start, end, apart = _number(low), _number(high), _number(step) if step else None
    said = f"{low}..{high}"
    if not (math.isfinite(start) and math.isfinite(end) and start < end):
        raise InputError(f"{field}: {said} is no range; expected A..B with A below B")
    if log and start <= 0:
        raise InputError(f"{field}: log:{said} begins at {low}, and a logarithmic range lies above 0")
    if log and apart is not None:
        raise InputError(f"{field}: a range is logarithmic or has a step; leave out log: or :{step}")
    if apart is not None and not 0 < apart <= end - start:
        raise InputError(f"{field}: the step {step} does not fit into {said}; expected a number above 0 that does")
    if apart is not None:
        end = _last(start, end, apart)
    wide = apart is None and start > 0 and end / start >= _LOGARITHMIC
    return Range(field=field, low=start, high=end, log=bool(log) or wide, step=apart)


def _last(low: Number, high: Number, step: Number) -> Number:
    """The last number that steps from `low` reach."""
    steps = math.floor((high - low) / step + 1e-9)
    return round(low + steps * step, 12) if isinstance(low + step, float) else low + steps * step


def _number(text: str) -> Number:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _within(value: float, of: Range) -> float:
    return float(min(max(value, of.low), of.high))


def _distinct(swept: Sequence[str], overridden: Sequence[str]) -> None:
    for field, times in Counter([*swept, *set(overridden)]).items():
        if times > 1:
            raise InputError(f"{field} is given twice; name it once, with all of its values")
    for field in swept:
        above = next((other for other in swept if field.startswith(f"{other}.")), None)
        if above:
            raise InputError(f"{field} is a part of {above}, which is given as well; name one of them")


def shown(value: Any) -> str:
    """A value for people: 0.001, lstm, [16, 32]."""
    if isinstance(value, float):
        return f"{value:.12g}"
    return value if isinstance(value, str) else canonical(value).replace(",", ", ").replace(":", ": ")


def _flow(value: Any) -> str:
    """A value as YAML reads it back, between commas."""
    text = shown(value)
    if not isinstance(value, str):
        return text.replace(", ", ",")
    return text if _plain(text) else canonical(text)


def _plain(text: str) -> bool:
    try:
        return yaml.safe_load(f"[{text},0]") == [text, 0]
    except yaml.YAMLError:
        return False
