"""The GAN's own parts on TensorFlow; `recurra.conformance.GanSuite` holds the whole against the reference."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from recurra.conformance.gan_reference import augmented
from recurra.conformance.small_gans import gan_spec_of, random_gan_batches, random_gan_weights, random_latents
from recurra.contract import GanSpec, RecurrentGan, SampleShape
from recurra.experiment import Adversarial
from recurra.gan_weights import has_clip_discriminator, is_trained
from recurra.weights import layout

pytestmark = pytest.mark.tensorflow


def build(spec: GanSpec) -> RecurrentGan:
    from recurra_tensorflow.plugin import recurra_backend

    gan = recurra_backend().build_gan(spec, "cpu")
    gan.load_weights(random_gan_weights(spec))
    return gan


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.mark.parametrize("sample", [(1, 9, 7, 3), (3, 8, 8, 1)])
@pytest.mark.parametrize(
    "settings",
    [
        {"brightness": 0.4},
        {"translation": 0.3},
        {"cutout": 0.35},
        {"brightness": 0.2, "translation": 0.2, "cutout": 0.5},
    ],
    ids=["brightness", "translation", "cutout", "all"],
)
def test_augmentation_is_that_of_plain_loops_and_linear_in_the_sample(sample, settings) -> None:
    from recurra_tensorflow.augment import Augmentation
    from recurra_tensorflow.framework import tf

    spec = replace(gan_spec_of("image", gan=settings), sample=SampleShape("clip", *sample))
    draw = np.random.default_rng(1)
    x, upstream = draw.normal(size=(2, 40, *sample)).astype(np.float32)
    draws = draw.random((40, 5), np.float32)
    with tf.GradientTape() as tape:
        samples = tf.Variable(x)
        found = Augmentation(spec)(samples, tf.constant(draws))
    np.testing.assert_allclose(found, augmented(x, draws, spec.train.gan), rtol=1e-6, atol=1e-6)
    # Without its constant part it is linear, so its gradient is its adjoint: <A x, y> = <x, A^T y>.
    linear = augmented(x, draws, Adversarial(**{**settings, "brightness": 0.0}))
    gradient = tf.convert_to_tensor(tape.gradient(found, samples, tf.constant(upstream))).numpy()
    assert (linear * upstream).sum() == pytest.approx((x * gradient).sum(), rel=1e-4)


def test_a_draw_is_worked_out_in_float64() -> None:
    from recurra_tensorflow.augment import Augmentation
    from recurra_tensorflow.framework import tf

    # Times 29 it is 28 in float32, and just below that in float64.
    spec = replace(gan_spec_of("image", gan={"translation": 0.5}), sample=SampleShape("clip", 2, 28, 28, 2))
    x, draws = np.ones((1, 2, 28, 28, 2), np.float32), np.full((1, 5), 0.9655172228813171, np.float32)
    found = Augmentation(spec)(tf.constant(x), tf.constant(draws)).numpy()
    assert found.sum() == 2 * 2 * (28 - 13) ** 2
    assert np.array_equal(found, augmented(x, draws, spec.train.gan))


def test_the_power_iteration_ends_at_the_largest_singular_value() -> None:
    from recurra_tensorflow.spectral import SpectralNorm
    from recurra_tensorflow.weights import Variables

    spec = gan_spec_of("clip-spectral")
    given = random_gan_weights(spec)
    weights = Variables(spec, "weights", lambda n: n.startswith(("frame.", "clip.")) and is_trained(n))
    vectors = Variables(spec, "weights", lambda n: n.endswith(".u"))
    weights.load(given)
    vectors.load(given)
    norm = SpectralNorm(weights, vectors)
    for _ in range(300):
        norm.advanced()
    before = vectors.arrays()
    found = {name: w.numpy() for name, w in norm.weights(norm.current()).items()}
    assert same(vectors.arrays(), before)
    for name, w in found.items():
        if f"{name}.u" in before:
            largest = np.linalg.norm(w.reshape(-1, w.shape[-1]), ord=2)
            assert largest == pytest.approx(1, abs=1e-3), name
        else:
            assert np.array_equal(w, given[name])


FORMULAS = {
    "non-saturating": (lambda x, g: np.logaddexp(0, -x) + np.logaddexp(0, g), lambda x, g: np.logaddexp(0, -g)),
    "hinge": (lambda x, g: np.maximum(0, 1 - x) + np.maximum(0, 1 + g), lambda x, g: -g),
    "relativistic": (lambda x, g: np.logaddexp(0, g - x), lambda x, g: np.logaddexp(0, x - g)),
}


@pytest.mark.parametrize("kind", FORMULAS)
def test_losses_are_summed_means_over_the_logits_of_each_discriminator(kind) -> None:
    from recurra_tensorflow.framework import tf
    from recurra_tensorflow.losses import discriminator_loss, generator_loss

    draw = np.random.default_rng(2)
    # Two frames of each of six clips, and the clips; some so far out that e^x overflows in float32.
    real, fake = ([draw.normal(0, spread, (6, n)) for spread, n in ((200, 2), (2, 1))] for _ in "ab")
    real_logits, fake_logits = (tuple(tf.constant(x, tf.float32) for x in side) for side in (real, fake))
    expected = [sum(formula(x, g).mean() for x, g in zip(real, fake, strict=True)) for formula in FORMULAS[kind]]
    found = [
        discriminator_loss(kind, real_logits, fake_logits),
        generator_loss(kind, fake_logits, lambda: real_logits),
    ]
    assert [float(loss) for loss in found] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("network", ["image-colour", "clip-odd"])
def test_the_penalty_and_its_gradient_are_those_of_tensorflows_own_leaky_relu(network, monkeypatch) -> None:
    from recurra_tensorflow import discriminators
    from recurra_tensorflow.framework import tf
    from recurra_tensorflow.losses import gradient_penalty

    spec = gan_spec_of(network)
    judges, batch = discriminators.Discriminators(spec), random_gan_batches(spec, 1)
    weights = {n: tf.constant(w) for n, w in random_gan_weights(spec).items() if n.startswith(("frame.", "clip."))}
    seen = judges.seen(tf.constant(batch.x[0]), tf.constant(batch.frames[0]))
    assert len(seen) == 1 + has_clip_discriminator(spec)

    def found() -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            penalty = gradient_penalty(lambda x: judges(weights, x, tf.constant(batch.y[0])), seen)
        gradients = tape.gradient(penalty, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [penalty.numpy(), *(g.numpy() for g in gradients.values())]

    ours = found()
    monkeypatch.setattr(discriminators, "leaky_relu", lambda x: tf.nn.leaky_relu(x, 0.2))
    for mine, theirs in zip(ours, found(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    assert ours[0] > 0


@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (2, 3), (6, 5)])
def test_a_convolution_halves_any_size_with_a_padding_of_one(shape) -> None:
    from recurra_tensorflow.discriminators import _halved
    from recurra_tensorflow.framework import tf

    draw = np.random.default_rng(4)
    x, kernel, bias = (tf.constant(draw.normal(size=s), tf.float32) for s in ((2, *shape, 3), (4, 4, 3, 5), (5,)))
    expected = tf.nn.conv2d(x, kernel, 2, [[0, 0], [1, 1], [1, 1], [0, 0]]) + bias
    np.testing.assert_allclose(_halved(x, kernel, bias), expected, rtol=1e-5, atol=1e-5)


def test_one_graph_serves_any_number_of_steps_and_any_batch() -> None:
    spec = gan_spec_of("clip-augmented")
    gan = build(spec)
    for steps, size in ((3, 4), (1, 2), (2, 4), (1, 1)):
        records = gan.train_steps(random_gan_batches(spec, steps, size))
        assert {values.shape for values in vars(records).values()} == {(steps,)}
    for count in (1, 5):
        latents, labels = random_latents(spec, count)
        samples = gan.generate(latents, labels)
        frames, clips = gan.judge(samples, labels)
        assert (samples.shape, frames.shape) == ((count, *spec.sample.array), (count, spec.sample.frames))
        assert clips is not None
        assert clips.shape == (count,)
    graphs = (gan._graph_steps, gan._graph_generate, gan._graph_judge)  # type: ignore[attr-defined]
    assert [graph.experimental_get_tracing_count() for graph in graphs] == [1, 1, 1]


def test_clips_longer_than_what_is_laid_out_in_the_graph_train_and_resume_to_the_same_bytes() -> None:
    from recurra_tensorflow.scan import UNROLLED

    spec = replace(gan_spec_of("clip-spectral"), sample=SampleShape("clip", UNROLLED + 3, 4, 4, 1))
    gan = build(spec)
    gan.train_steps(random_gan_batches(spec, 2))
    weights, state, after = gan.weights(), gan.training_state(), random_gan_batches(spec, 2, first_step=2)
    records, ends = [], []
    for _ in range(2):
        gan.load_weights(weights)
        gan.load_training_state(state)
        records.append(vars(gan.train_steps(after)))
        ends.append(gan.weights() | gan.training_state())
    assert all(np.isfinite(values).all() for values in records[0].values())
    assert same(*records)
    assert same(*ends)


def test_weights_and_state_are_named_and_shaped_as_the_layout_says() -> None:
    spec = gan_spec_of("clip-spectral")
    gan, shapes = build(spec), layout(spec)
    assert {name: w.shape for name, w in gan.weights().items()} == shapes
    moments = {f"adam.{m}.{name}": s for name, s in shapes.items() if is_trained(name) for m in "mv"}
    assert {name: a.shape for name, a in gan.training_state().items()} == {"adam.step": (), **moments}


def test_pixels_of_any_channel_stay_within_its_bounds() -> None:
    spec = gan_spec_of("image-colour")
    gan, (latents, labels) = build(spec), random_latents(spec, 50)
    gan.load_weights({name: 9 * w for name, w in random_gan_weights(spec).items()})
    samples, (low, high) = gan.generate(latents, labels), np.array(spec.bounds).T
    ends = SimpleNamespace(low=samples.min(axis=(0, 1, 2, 3)), high=samples.max(axis=(0, 1, 2, 3)))
    np.testing.assert_allclose([ends.low, ends.high], [low, high], atol=0.05)
    assert (ends.low >= low - 1e-6).all()
    assert (ends.high <= high + 1e-6).all()


RUN = """
import hashlib
from recurra.conformance.small_gans import gan_spec_of, random_gan_batches, random_gan_weights
from recurra_tensorflow.plugin import recurra_backend

spec = gan_spec_of("image-augmented")
gan = recurra_backend().build_gan(spec, "cpu")
gan.load_weights(random_gan_weights(spec))
gan.train_steps(random_gan_batches(spec, 6))
print(hashlib.sha256(b"".join(w.tobytes() for w in gan.weights().values())).hexdigest())
"""


def test_two_processes_train_the_same_bytes_and_write_nothing_else() -> None:
    runs = [subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True) for _ in "ab"]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout != ""
