"""Every network computes the equations of `recurra.weights`, written out here in float64 NumPy."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

NETWORKS = [
    ("cnn", "image", {}, {}),
    ("cnn", "image", {"dense": (7, 5), "padding": "valid", "pool": 1, "kernel": 2}, {}),
    ("cnn", "clip", {"dense": (7,)}, {}),
    ("rnn", "image", {}, {}),
    ("rnn", "image", {}, {"cell": "gru", "layers": 2}),
    ("rnn", "clip", {}, {"bidirectional": True, "layers": 2}),
    ("rnn", "clip", {}, {"cell": "gru", "bidirectional": True, "frame_pool": 3}),
    ("fusion", "image", {}, {"bidirectional": True, "layers": 2}),
    ("fusion", "image", {"dense": (7,)}, {"cell": "gru"}),
    ("fusion", "clip", {}, {"frame_pool": 1}),
    ("fusion", "clip", {}, {"cell": "gru", "bidirectional": True}),
]


@pytest.mark.parametrize(("kind", "sample", "cnn", "rnn"), NETWORKS)
def test_logits_follow_the_documented_equations(kind, sample, cnn, rnn, spec, build, batches) -> None:
    s = spec(kind, sample, cnn=cnn, rnn=rnn)
    classifier, x = build(s), batches(s, 1).x[0]
    weights = {name: w.astype(np.float64) for name, w in classifier.weights().items()}
    features = network(s, weights, x.astype(np.float64))
    logits = features @ weights["output.kernel"] + weights["output.bias"]
    np.testing.assert_allclose(classifier.features(x), features, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(classifier.logits(x), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["cnn", "rnn", "fusion"])
def test_bfloat16_stays_near_float32(kind, spec, build, batches) -> None:
    fine, coarse = spec(kind, "clip"), spec(kind, "clip", precision="bf16")
    x = batches(fine, 1).x[0]
    expected, found = build(fine).logits(x), build(coarse).logits(x)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


def network(spec, w, x):
    kind, clip = spec.model.kind, spec.sample.kind == "clip"
    seen = None if kind == "rnn" else np.stack([cnn(spec, w, frame) for frame in np.moveaxis(x, 1, 0)])
    if kind == "cnn":
        return seen.mean(0)
    own = (
        np.stack([pooled(f, spec.model.rnn.frame_pool) for f in np.moveaxis(x, 1, 0)])
        if clip
        else x[:, 0].swapaxes(0, 1)
    )
    steps = own.reshape(len(own), len(x), -1)
    if kind == "fusion":
        seen = np.broadcast_to(seen, (len(steps), *seen.shape[1:]))
        steps = np.concatenate([seen, steps], axis=2)
    return recurrent(spec.model.rnn, w, steps)


def cnn(spec, w, x):
    settings = spec.model.cnn
    for number in range(1, len(settings.channels) + 1):
        kernel, k = w[f"cnn.conv{number}.kernel"], settings.kernel
        if settings.padding == "same":
            x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
        x = np.maximum(np.einsum("nhwcij,ijcd->nhwd", windows, kernel) + w[f"cnn.conv{number}.bias"], 0)
        x = blocks(x, settings.pool).max(axis=(2, 4))
    x = x.reshape(len(x), -1)
    for number in range(1, len(settings.dense) + 1):
        x = np.maximum(x @ w[f"cnn.dense{number}.kernel"] + w[f"cnn.dense{number}.bias"], 0)
    return x


def blocks(x, side):
    n, h, w, c = x.shape
    h, w = h // side, w // side
    return x[:, : h * side, : w * side].reshape(n, h, side, w, side, c)


def pooled(x, side):
    return blocks(x, side).mean(axis=(2, 4))


def recurrent(settings, w, steps):
    cell = {"lstm": lstm, "gru": gru}[settings.cell]
    for number in range(1, settings.layers + 1):
        name = f"rnn.{settings.cell}{number}"
        hidden = [cell(w, name, steps, settings.units)]
        ends = [hidden[0][-1]]
        if settings.bidirectional:
            backwards = cell(w, f"{name}_reverse", steps[::-1], settings.units)
            hidden.append(backwards[::-1])
            ends.append(backwards[-1])
        steps = np.concatenate(hidden, axis=2)
    return np.concatenate(ends, axis=1)


def sigma(x):
    return 1 / (1 + np.exp(-x))


def lstm(w, name, steps, units):
    h = c = np.zeros((steps.shape[1], units))
    hidden = []
    for x in steps:
        z = x @ w[f"{name}.kernel"] + h @ w[f"{name}.recurrent_kernel"] + w[f"{name}.bias"]
        i, f, g, o = np.split(z, 4, axis=1)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        h = sigma(o) * np.tanh(c)
        hidden.append(h)
    return np.stack(hidden)


def gru(w, name, steps, units):
    h = np.zeros((steps.shape[1], units))
    hidden = []
    for x in steps:
        xr, xz, xn = np.split(x @ w[f"{name}.kernel"] + w[f"{name}.bias"], 3, axis=1)
        hr, hz, hn = np.split(h @ w[f"{name}.recurrent_kernel"], 3, axis=1)
        r, z = sigma(xr + hr), sigma(xz + hz)
        n = np.tanh(xn + r * (hn + w[f"{name}.recurrent_bias"]))
        h = (1 - z) * n + z * h
        hidden.append(h)
    return np.stack(hidden)
