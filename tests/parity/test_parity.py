"""Two backends, one experiment: equal losses step by step, and weights that travel."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.registry import entries

BACKENDS = [entry.name for entry in entries() if not entry.problem]
IMAGE = {"kind": "image", "frames": 1, "height": 28, "width": 28, "channels": 1}
CLIP = {"kind": "clip", "frames": 10, "height": 16, "width": 16, "channels": 1}
CASES = {
    "cnn": ({"kind": "cnn"}, IMAGE),
    "rnn": ({"kind": "rnn"}, IMAGE),
    "fusion": ({"kind": "fusion"}, IMAGE),
    "cnn-clips": ({"kind": "cnn"}, CLIP),
    "rnn-gru-clips": ({"kind": "rnn", "rnn": {"cell": "gru"}}, CLIP),
    "fusion-clips": ({"kind": "fusion"}, CLIP),
}


def run(backend: str, folder: Path, **request: Any) -> dict[str, np.ndarray]:
    asked, answer = folder / f"{backend}-request.npz", folder / f"{backend}-answer.npz"
    np.savez(asked, **request)
    steps = Path(__file__).parent / "steps.py"
    subprocess.run([sys.executable, steps, backend, asked, answer], check=True, capture_output=True)
    with np.load(answer) as file:
        return dict(file)


def smooth_samples(shape: dict[str, Any], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples with something to learn: a bright block whose place is the class, and noise."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 10, count)
    x = draw.random((count, shape["frames"], shape["height"], shape["width"], 1), np.float32) * 0.3
    for label in range(10):
        row, column = divmod(label, 5)
        x[y == label, :, row * 8 : row * 8 + 4, column * 3 : column * 3 + 3] += 0.7
    return x, y


@pytest.mark.skipif(len(BACKENDS) < 2, reason="needs two installed backends")
@pytest.mark.parametrize("case", CASES)
def test_backends_start_equal_learn_equally_and_exchange_weights(case: str, tmp_path: Path) -> None:
    model, sample = CASES[case]
    x, y = smooth_samples(sample, 20 * 32 + 200)
    train, test = slice(0, 640), slice(640, 840)
    batches = {"x": x[train].reshape(20, 32, *x.shape[1:]), "y": y[train].reshape(20, 32), "test": x[test]}
    asked = json.dumps({"model": model, "sample": sample, "classes": 10, "seed": 0})
    trained = {backend: run(backend, tmp_path, asked=asked, **batches) for backend in BACKENDS}
    for one, other in combinations(BACKENDS, 2):
        assert np.abs(trained[one]["loss"] - trained[other]["loss"]).max() <= 1e-4
        weights = {name: array for name, array in trained[one].items() if name.startswith("weights/")}
        carried = run(other, tmp_path, asked=asked, test=x[test], **weights)
        assert np.abs(carried["logits"] - trained[one]["logits"]).max() <= 1e-4
