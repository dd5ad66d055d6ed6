"""Full memory is told in one line that names the device, whatever TensorFlow or NumPy say."""

import numpy as np
import pytest

from recurra.conformance.small_gans import gan_spec_of
from recurra.contract import Batches, GanBatches, Latents
from recurra.errors import DeviceMemoryError

pytestmark = pytest.mark.tensorflow

# More bytes of float32 than any processor can address, in arrays that take none.
COUNT = 2**48
FULL = r"^device cpu: out of memory"


def endless(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.broadcast_to(dtype(0), shape)


@pytest.mark.parametrize("entry", ["train_steps", "logits", "features"])
@pytest.mark.parametrize("devices", [1, 2])
def test_a_recogniser_tells_at_every_entry(entry, devices, spec) -> None:
    from recurra_tensorflow.plugin import recurra_backend

    s, backend = spec("fusion"), recurra_backend()
    classifier = backend.build(s, "cpu", 0) if devices == 1 else backend.build_parallel(s, ["cpu"] * devices, 0)
    x = endless(COUNT, *s.sample.array)
    asked = Batches(x[np.newaxis], endless(1, COUNT, dtype=np.int64), np.ones(1, np.float32), 0)
    with pytest.raises(DeviceMemoryError, match=FULL):
        getattr(classifier, entry)(asked if entry == "train_steps" else x)
    assert classifier.logits(np.zeros((2, *s.sample.array), np.float32)).shape == (2, s.classes)


def test_a_gan_tells_at_every_entry() -> None:
    from recurra_tensorflow.plugin import recurra_backend

    s = gan_spec_of("image")
    gan, labels = recurra_backend().build_gan(s, "cpu"), endless(COUNT, dtype=np.int64)
    latents = Latents(endless(COUNT, s.model.gan.content), endless(COUNT, 1, s.model.gan.noise))
    x = endless(COUNT, *s.sample.array)
    batches = GanBatches(
        x=x[np.newaxis], y=labels[np.newaxis], content=latents.content[np.newaxis], noise=latents.noise[np.newaxis],
        frames=endless(1, COUNT, 1, dtype=np.int64), augment=endless(1, 3, COUNT, 5), penalty=np.zeros(1, np.float32),
        generator_rates=np.zeros(1, np.float32), discriminator_rates=np.zeros(1, np.float32), first_step=0,
    )  # fmt: skip
    for ask in (lambda: gan.generate(latents, labels), lambda: gan.judge(x, labels), lambda: gan.train_steps(batches)):
        with pytest.raises(DeviceMemoryError, match=FULL):
            ask()


def test_weights_that_do_not_fit_are_told_when_they_are_made(spec, monkeypatch) -> None:
    from recurra_tensorflow import weights
    from recurra_tensorflow.plugin import recurra_backend

    monkeypatch.setattr(weights, "layout", lambda _: {"rnn.lstm1.recurrent_kernel": (2**22, 2**24)})
    with pytest.raises(DeviceMemoryError, match=r"^device cpu: out of memory \(for float \[4194304, 16777216\]\)$"):
        recurra_backend().build(spec("rnn"), "cpu", 0)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ("OOM when allocating tensor with shape[5,32] and type float on /job:a/device:GPU:1 by", r"gpu:1: .*\[5, 32\]"),
        ("Failed copying input tensor to GPU:0: Dst tensor is not initialized.", "gpu:0, gpu:1: out of memory$"),
        ("CUDA runtime implicit initialization failed. Status: out of memory", "gpu:0, gpu:1: out of memory$"),
    ],
)
def test_what_a_gpu_says_is_understood(told, line) -> None:
    from recurra_tensorflow.framework import tf
    from recurra_tensorflow.memory import telling_memory

    kind = tf.errors.ResourceExhaustedError if told.startswith("OOM") else tf.errors.InternalError
    error = kind(None, None, told)
    with pytest.raises(DeviceMemoryError, match=f"^device {line}"), telling_memory("/device:GPU:0", "/device:GPU:1"):
        raise error


def test_other_errors_stay_what_they_are() -> None:
    from recurra_tensorflow.framework import tf
    from recurra_tensorflow.memory import telling_memory

    with pytest.raises(tf.errors.InvalidArgumentError), telling_memory("/device:CPU:0"):
        tf.reshape(tf.zeros([3]), [2])
