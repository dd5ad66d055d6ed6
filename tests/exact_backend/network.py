"""All three recognisers, from pixels to features and back; the convolutions are the template's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recurra.conformance.reference import own_input
from recurra.contract import ClassifierSpec

from . import frames
from .recurrent import Array, Gradients, recurrent


def features(
    x: Array, weights: Mapping[str, Array], spec: ClassifierSpec
) -> tuple[Array, Callable[[Array], Gradients]]:
    if spec.model.kind == "cnn":
        return frames.features(x, weights, spec)
    h = own_input(x, spec)
    if spec.model.kind == "rnn":
        last, back = recurrent(h, weights, spec.model.rnn)
        return last, lambda dy: back(dy)[1]
    n, count = x.shape[:2]
    maps, back_of_frames = frames.frame_features(x.reshape(n * count, *x.shape[2:]), weights, spec)
    width, steps = maps.shape[1], h.shape[1]
    y = np.concatenate([np.broadcast_to(maps.reshape(n, count, width), (n, steps, width)), h], axis=2)
    last, back_of_steps = recurrent(y, weights, spec.model.rnn)

    def back(dy: Array) -> Gradients:
        dy, gradients = back_of_steps(dy)
        of_maps = dy[..., :width] if count > 1 else dy[..., :width].sum(axis=1, keepdims=True)
        return gradients | back_of_frames(of_maps.reshape(n * count, width))

    return last, back
