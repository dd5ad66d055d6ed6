"""What preprocessing does to each sample, once decided: kept in the dataset, used again for predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from recurra.contract import SampleShape
from recurra.geometry import ClipFit, Fit, to_channels, to_length, to_size
from recurra.normalisation import Removal, remove_background
from recurra.readers.reader import Form


@dataclass(frozen=True)
class Recipe:
    """From decoded arrays of any shape to stored pixels of one shape."""

    sample: SampleShape
    dtype: Literal["uint8", "float32"]
    fit: Fit
    clip_fit: ClipFit
    remove: Removal

    def apply(self, arrays: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Decoded samples ([n, T, H, W, C], or n of [T, H, W, C]) -> stored pixels [n, *sample.array]."""
        if isinstance(arrays, np.ndarray):
            return self._conformed(arrays)
        pixels = np.empty((len(arrays), *self.sample.array), self.dtype)
        alike: dict[tuple[Any, ...], list[int]] = {}
        for index, array in enumerate(arrays):
            alike.setdefault((array.shape, array.dtype), []).append(index)
        for members in alike.values():
            pixels[members] = self._conformed(np.stack([arrays[index] for index in members]))
        return pixels

    def takes(self, form: Form) -> bool:
        """Whether samples of this form can be told on the recipe's scale: floats are no 8-bit values unless scaled."""
        return self.dtype == "float32" or form.dtype == "uint8" or form.scaled

    def _conformed(self, clips: np.ndarray) -> np.ndarray:
        if self.dtype == "uint8" and clips.dtype != np.uint8:
            clips = np.clip(np.rint(clips), 0, 255).astype(np.uint8)
        clips = to_channels(clips, self.sample.channels)
        if not self.remove.startswith("clip"):
            # A frame's background is its own, so frames that are dropped anyway need none.
            clips = self._of_length(clips)
        if self.remove != "none":
            clips = remove_background(clips, self.remove)
        clips = self._of_length(clips)
        size = (self.sample.height, self.sample.width)
        return to_size(clips, size, self.fit, self._fill(clips)).astype(self.dtype, copy=False)

    def _of_length(self, clips: np.ndarray) -> np.ndarray:
        return to_length(clips, self.sample.frames, self.clip_fit)

    def _fill(self, clips: np.ndarray) -> np.ndarray | float:
        # 0 is black, and the background once that is removed; in degrees or volts it is neither.
        if self.fit != "pad" or self.remove != "none" or clips.dtype == np.uint8:
            return 0
        return np.median(clips, (2, 3), keepdims=True)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same object back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Recipe:
        """What `to_json` wrote; KeyError or TypeError where it is not that."""
        return cls(**{**value, "sample": SampleShape(**value["sample"])})
