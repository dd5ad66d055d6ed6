"""The rules of a retraining: when a new network takes the champion's place, and how much drift is an alarm."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from recurra.experiment import NAME, Part

PREFIX = "champion:"
"""Stands before a champion's name where a run can be named."""
Shift = Annotated[float, Field(gt=0, le=100)]


class Rules(Part):
    """What `retrain` goes by. docs/retraining.md says where the thresholds come from."""

    champion: Annotated[str, Field(pattern=NAME)] | None = None
    """The champion's name; left out: the experiment's."""
    margin: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """A new network is promoted if the 95% interval of its accuracy less the champion's lies above this: 0.01 asks for
    one point more, -0.01 takes a network that is at most one point worse than this champion; several in a row add up.
    """
    brightness: Shift = 0.2
    """Alarm where the mean of a sample's pixels has moved by so many standard deviations of the champion's samples."""
    contrast: Shift = 0.2
    """The same of the standard deviation of a sample's pixels."""
    pixels: Shift = 0.1
    """Alarm where the population stability index of the pixel values is above this."""
    classes: Shift = 0.1
    """Alarm where that of the classes' shares is above this."""
    predictions: Shift = 0.1
    """Alarm where that of the classes that the champion names is above this."""
    confidence: Shift = 0.3
    """Alarm where the champion's confidence has moved by so many standard deviations."""

    def threshold(self, measure: str) -> float:
        """The threshold of a measure of drift, by its name."""
        return getattr(self, measure)
