"""Canonical weights: the one layout that every backend maps to and from, and the first weights drawn in it.

Names and layouts (all float32; `X -> Y` axes are input, output):

| name                          | shape            | meaning |
| ----------------------------- | ---------------- | ------- |
| cnn.convI.kernel              | [k, k, in, out]  | convolution I = 1, 2, ...; cross-correlation |
| cnn.convI.bias                | [out]            | |
| cnn.denseI.kernel / .bias     | [in, out] / [out] | after the flattening in order height, width, channel |
| rnn.lstmI.kernel              | [in, 4u]         | gates in the order i, f, g, o (input, forget, candidate, output) |
| rnn.lstmI.recurrent_kernel    | [u, 4u]          | |
| rnn.lstmI.bias                | [4u]             | one bias for each gate |
| rnn.gruI.kernel               | [in, 3u]         | gates in the order r, z, n (reset, update, candidate) |
| rnn.gruI.recurrent_kernel     | [u, 3u]          | |
| rnn.gruI.bias                 | [3u]             | one bias for each gate, on the input's side |
| rnn.gruI.recurrent_bias       | [u]              | the candidate's second bias, inside the reset gate |
| rnn.lstmI_reverse.*           | as above         | the direction from the last step to the first (bidirectional) |
| output.kernel / .bias         | [F, K] / [K]     | the output layer |

LSTM (Hochreiter and Schmidhuber, 1997; with forget gate, Gers et al., 2000), sigma the logistic function:
    i, f, g, o = split(x_t kernel + h_{t-1} recurrent_kernel + bias)
    c_t = sigma(f) c_{t-1} + sigma(i) tanh(g);  h_t = sigma(o) tanh(c_t)
GRU (Cho et al., 2014; the variant whose reset gate acts after the product, as in cuDNN):
    r, z = sigma(split(x_t kernel_rz + h_{t-1} recurrent_kernel_rz + bias_rz))
    n = tanh(x_t kernel_n + bias_n + r (h_{t-1} recurrent_kernel_n + recurrent_bias));  h_t = (1 - z) n + z h_{t-1}

The networks (`recurra.experiment.Model` holds the widths):
    cnn on an image    features = dense(flatten(conv stack(image)))
    cnn on a clip      the same for each frame, averaged over time
    rnn                the last hidden state over the steps h_t (of both directions: concatenated, forward first)
                       h_t is row t of an image [W * C], or frame t of a clip averaged over frame_pool squares (rounded
                       down) and flattened [H/p * W/p * C]
    fusion             rnn over y_t = [x_t ; h_t]; x_t the cnn features of frame t, on an image those of the whole image
                       at every step
    logits             dropout(features) output.kernel + output.bias
A layer of several feeds its hidden state at every step to the next one (bidirectional: [forward_t ; reverse_t]).
Convolution: bias, then ReLU (its slope at 0 is 0), then max pooling (window and stride `pool`, no padding, rounded
down).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recurra.contract import ClassifierSpec, GanSpec, Spec, Weights
from recurra.errors import InputError
from recurra.gan_weights import AVERAGE, gan_layout
from recurra.recurrent import GATES, recurrent_layout, recurrent_width

__all__ = [
    "GATES",
    "check_weights",
    "feature_map",
    "initial_weights",
    "is_kernel",
    "layout",
    "step_width",
]


def feature_map(spec: ClassifierSpec) -> tuple[int, int, int]:
    """(height, width, channels) after the convolutions of one frame; an InputError where nothing is left of it."""
    cnn, height, width = spec.model.cnn, spec.sample.height, spec.sample.width
    for number, _ in enumerate(cnn.channels, 1):
        if cnn.padding == "valid":
            height, width = height - cnn.kernel + 1, width - cnn.kernel + 1
        height, width = height // cnn.pool, width // cnn.pool
        if min(height, width) < 1:
            raise InputError(
                f"model.cnn: nothing is left of {spec.sample.height}x{spec.sample.width} frames after conv {number}"
                f" and its pooling; use fewer model.cnn.channels, a smaller model.cnn.pool or a larger data.size"
            )
    return height, width, cnn.channels[-1]


def step_width(spec: ClassifierSpec) -> int:
    """Width of h_t, the recurrent network's own input at each step."""
    sample, pool = spec.sample, spec.model.rnn.frame_pool
    if sample.kind == "image":
        return sample.width * sample.channels
    width = (sample.height // pool) * (sample.width // pool) * sample.channels
    if width < 1:
        raise InputError(f"model.rnn.frame_pool: {pool} is larger than a {sample.height}x{sample.width} frame")
    return width


def layout(spec: Spec) -> dict[str, tuple[int, ...]]:
    """Canonical name -> shape, in the order of the forward pass."""
    if isinstance(spec, GanSpec):
        return gan_layout(spec)
    shapes: dict[str, tuple[int, ...]] = {}
    model, features = spec.model, 0
    if model.kind in ("cnn", "fusion"):
        inputs = spec.sample.channels
        for number, width in enumerate(model.cnn.channels, 1):
            shapes[f"cnn.conv{number}.kernel"] = (model.cnn.kernel, model.cnn.kernel, inputs, width)
            shapes[f"cnn.conv{number}.bias"] = (width,)
            inputs = width
        height, width, channels = feature_map(spec)
        features = height * width * channels
        for number, width in enumerate(model.cnn.dense, 1):
            shapes[f"cnn.dense{number}.kernel"] = (features, width)
            shapes[f"cnn.dense{number}.bias"] = (width,)
            features = width
    if model.kind in ("rnn", "fusion"):
        shapes |= recurrent_layout(model.rnn, features + step_width(spec))
        features = recurrent_width(model.rnn)
    shapes["output.kernel"] = (features, spec.classes)
    shapes["output.bias"] = (spec.classes,)
    return shapes


def is_kernel(name: str) -> bool:
    """Whether weight decay acts on the weight: kernels yes, biases no."""
    return name.endswith("kernel")


def _generator(seed: int, name: str) -> np.random.Generator:
    # One stream for each weight, so that a wider layer does not change its neighbours.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *name.encode()])))


def _glorot_uniform(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Glorot and Bengio (2010), for kernels whose last two axes are in, out."""
    field = int(np.prod(shape[:-2]))
    limit = np.sqrt(6.0 / (field * (shape[-2] + shape[-1])))
    return generator.uniform(-limit, limit, shape)


def _orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Saxe et al. (2014): orthonormal rows or columns, whichever are fewer."""
    rows, columns = shape
    q, r = np.linalg.qr(generator.standard_normal((max(shape), min(shape))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def initial_weights(spec: Spec, seed: int) -> Weights:
    """The first weights, the same for every backend.

    Kernels are Glorot uniform, recurrent kernels orthogonal, biases 0 but for the LSTM's forget gate, 1 (Jozefowicz et
    al., 2015). A GAN's kernels, but for its recurrent network's, are normal with standard deviation 0.02 (Radford et
    al., 2016), its embedding standard normal, and the F numbers of a class's projection normal with variance 1 / F; the
    vectors of spectral normalisation have length 1; averages start as what they are averages of.
    """
    weights: Weights = {}
    for name, shape in layout(spec).items():
        origin = name.removeprefix(AVERAGE)
        value = weights[origin] if origin != name else _first_value(name, shape, _generator(seed, name))
        weights[name] = np.array(value, np.float32, order="C")
    return weights


def _is_of_gan(name: str) -> bool:
    return name.startswith(("generator.", "frame.", "clip.")) and not name.startswith("generator.rnn.")


def _first_value(name: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    if name.endswith("recurrent_kernel"):
        return _orthogonal(shape, generator)
    if name.endswith("embedding"):
        return generator.standard_normal(shape)
    if name.endswith("projection"):
        return generator.standard_normal(shape) / np.sqrt(shape[-1])
    if is_kernel(name) and _is_of_gan(name):
        return 0.02 * generator.standard_normal(shape)
    if name.endswith(".u"):
        drawn = generator.standard_normal(shape)
        return drawn / np.linalg.norm(drawn)
    if is_kernel(name):
        return _glorot_uniform(shape, generator)
    value = np.zeros(shape)
    if ".lstm" in f".{name}" and name.endswith(".bias"):
        units = shape[0] // 4
        value[units : 2 * units] = 1.0
    return value


def check_weights(weights: Mapping[str, np.ndarray], spec: Spec, origin: str) -> None:
    """An InputError, naming `origin`, unless the weights are those of `spec`: names, shapes, float32."""
    expected = layout(spec)
    for name in [*expected, *(n for n in weights if n not in expected)]:
        if name not in expected or name not in weights:
            state = "has no place in" if name in weights else "is missing for"
            raise InputError(f"{origin}: weight '{name}' {state} this experiment's {spec.model.kind} network")
        found = weights[name]
        if found.shape != expected[name] or found.dtype != np.float32:
            is_now = f"{found.dtype} {list(found.shape)}"
            raise InputError(f"{origin}: weight '{name}' is {is_now}, expected float32 {list(expected[name])}")
