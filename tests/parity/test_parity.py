"""Two backends, one experiment: equal losses step by step, and weights that travel."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.registry import entries, load_backend

BACKENDS = [entry.name for entry in entries() if not entry.problem]
WITH_GAN = [name for name in BACKENDS if "gan" in load_backend(name).capabilities]
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
SMALL_IMAGE = IMAGE | {"height": 16, "width": 16}
SMALL_CLIP = CLIP | {"frames": 4, "height": 12, "width": 12}
WIDTHS = {"channels": [16, 8], "frame_channels": [8, 16], "clip_channels": [8, 8], "clip_width": 16, "clip_steps": [16]}
GANS: dict[str, dict[str, Any]] = {
    "image": {
        "sample": SMALL_IMAGE,
        "bounds": [[0.0, 1.0]],
        "model": {"kind": "gan", "rnn": {"units": 16}, "gan": WIDTHS},
        "train": {"learning_rate": 0.003, "gan": {"translation": 0.1, "cutout": 0.2, "brightness": 0.2}},
    },
    "clip": {
        "sample": SMALL_CLIP,
        "bounds": None,
        "model": {"kind": "gan", "rnn": {"cell": "gru", "units": 16}, "gan": {**WIDTHS, "spectral_norm": True}},
        "train": {"learning_rate": 0.003, "gan": {"loss": "relativistic", "r2": 1.0, "penalty_every": 2}},
    },
}


def run(backend: str, folder: Path, script: str = "steps.py", **request: Any) -> dict[str, np.ndarray]:
    asked, answer = folder / f"{backend}-request.npz", folder / f"{backend}-answer.npz"
    np.savez(asked, **request)
    steps = Path(__file__).parent / script
    done = subprocess.run([sys.executable, steps, backend, asked, answer], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(answer) as file:
        return dict(file)


def digits(shape: dict[str, Any], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Real handwritten digits, enlarged smoothly, as images or as clips in which they move to the right."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    size = (shape["width"], shape["height"])
    # Smoothly: equal neighbours tie in a max pooling, and each framework breaks ties its own way.
    x = np.stack(
        [
            np.asarray(Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)) / 16
            for image in images.reshape(-1, 8, 8)[:count]
        ]
    )
    clips = np.stack([np.roll(x, t, axis=2) for t in range(shape["frames"])], axis=1)
    return clips[..., None], labels[:count]


def differences(losses: dict[str, np.ndarray]) -> np.ndarray:
    """The largest difference between any two backends at each step."""
    pairs = [np.abs(losses[one] - losses[other]) for one, other in combinations(losses, 2)]
    return np.max(pairs, axis=0)


@pytest.mark.skipif(len(BACKENDS) < 2, reason="needs two installed backends")
@pytest.mark.parametrize("case", CASES)
def test_backends_start_equal_learn_equally_and_exchange_weights(case: str, tmp_path: Path) -> None:
    model, sample = CASES[case]
    x, y = digits(sample, 20 * 32 + 200)
    train, test = slice(0, 640), slice(640, 840)
    batches = {"x": x[train].reshape(20, 32, *x.shape[1:]), "y": y[train].reshape(20, 32), "test": x[test]}
    asked = json.dumps({"model": model, "sample": sample, "classes": 10, "seed": 0})
    trained = {backend: run(backend, tmp_path, asked=asked, **batches) for backend in BACKENDS}
    apart = differences({backend: results["loss"] for backend, results in trained.items()})
    # Rounding doubles every few steps on its way through Adam, as it must in float32: equal arithmetic shows early.
    assert apart[:5].max() <= 1e-4
    assert apart[:2].max() <= 5e-6
    for one, other in combinations(BACKENDS, 2):
        weights = {name: array for name, array in trained[one].items() if name.startswith("weights/")}
        carried = run(other, tmp_path, asked=asked, test=x[test], **weights)
        assert np.abs(carried["logits"] - trained[one]["logits"]).max() <= 1e-4


@pytest.mark.skipif(len(BACKENDS) < 2, reason="needs two installed backends")
@pytest.mark.parametrize("kind", ["cnn", "rnn", "fusion"])
def test_the_first_steps_on_fashion_mnist_have_equal_losses(kind: str, fashion_mnist: Path, tmp_path: Path) -> None:
    images = gzip.decompress((fashion_mnist / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((fashion_mnist / "train-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(images, np.uint8, 10 * 32 * 784, 16).reshape(10, 32, 1, 28, 28, 1) / np.float32(255)
    y = np.frombuffer(labels, np.uint8, 10 * 32, 8).reshape(10, 32).astype(np.int64)
    asked = json.dumps({"model": {"kind": kind}, "sample": IMAGE, "classes": 10, "seed": 0})
    losses = {backend: run(backend, tmp_path, asked=asked, x=x, y=y, test=x[0])["loss"] for backend in BACKENDS}
    assert differences(losses).max() <= 1e-4


@pytest.mark.skipif(len(WITH_GAN) < 2, reason="needs two installed backends with gan")
@pytest.mark.parametrize("case", GANS)
def test_gans_start_equal_learn_equally_and_generate_equal_samples(case: str, tmp_path: Path) -> None:
    asked = json.dumps({**GANS[case], "classes": 10, "seed": 0})
    x, y = digits(GANS[case]["sample"], 10 * 32)
    x, y = x.reshape(10, 32, *x.shape[1:]), y.reshape(10, 32)
    trained = {name: run(name, tmp_path, "gan_steps.py", asked=asked, x=x, y=y) for name in WITH_GAN}
    for record in ("discriminator_loss", "generator_loss", "penalty"):
        apart = differences({name: results[record] for name, results in trained.items()})
        assert apart[:5].max() <= 1e-4, record
        assert apart[:2].max() <= 5e-6, record
    for one, other in combinations(WITH_GAN, 2):
        weights = {name: array for name, array in trained[one].items() if name.startswith("weights/")}
        carried = run(other, tmp_path, "gan_steps.py", asked=asked, **weights)
        samples = trained[one]["samples"]
        assert np.abs(carried["samples"] - samples).max() <= 1e-5 * np.ptp(samples)
