"""The entry module of the TensorFlow backend: light to import, TensorFlow comes with the first real question."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.contract import Classifier, ClassifierSpec, Device, GanSpec, RecurrentGan
from recurra.hookspecs import hookimpl


@dataclass(frozen=True)
class TensorFlowBackend:
    """Classifiers and recurrent GANs whose whole training loop is one TensorFlow graph."""

    name: str = "tensorflow"
    contract: tuple[int, int] = (1, 1)
    capabilities: frozenset[str] = frozenset({"cnn", "rnn", "fusion", "gan", "exact-resume", "bf16"})

    def describe(self) -> dict[str, str]:
        """Versions, threads and device libraries, as `devices.describe` tells them."""
        from recurra_tensorflow.devices import describe

        return describe()

    def devices(self) -> list[Device]:
        """The GPUs that TensorFlow sees, then the CPU."""
        from recurra_tensorflow.devices import devices

        return devices()

    def build(self, spec: ClassifierSpec, device: str, seed: int) -> Classifier:
        """A classifier on `device` with weights of zero; an InputError where there is no such device."""
        from recurra_tensorflow.classifier import TensorFlowClassifier
        from recurra_tensorflow.devices import device_string

        return TensorFlowClassifier(spec, device_string(device), seed)

    def build_gan(self, spec: GanSpec, device: str) -> RecurrentGan:
        """A GAN on `device` with weights of zero; an InputError where there is no such device."""
        from recurra_tensorflow.devices import device_string
        from recurra_tensorflow.gan import TensorFlowGan

        return TensorFlowGan(spec, device_string(device))


@hookimpl
def recurra_backend() -> TensorFlowBackend:
    """The TensorFlow backend."""
    return TensorFlowBackend()
