"""The fusion: at each step the features that the CNN sees, joined with the recurrent network's own input."""

from __future__ import annotations

from recurra.contract import ClassifierSpec

from recurra_jax.cnn import frame_features
from recurra_jax.framework import jax
from recurra_jax.rnn import last_state, own_steps
from recurra_jax.weights import Tree


def features(weights: Tree, x: jax.Array, spec: ClassifierSpec) -> jax.Array:
    """Samples [B, T, H, W, C] -> [B, F]. Of an image, the CNN's features and their product are computed once."""
    samples, frames, *frame = x.shape
    seen = frame_features(weights, x.swapaxes(0, 1).reshape(frames * samples, *frame), spec)
    return last_state(weights, (seen.reshape(frames, samples, seen.shape[1]), own_steps(x, spec)), spec)
