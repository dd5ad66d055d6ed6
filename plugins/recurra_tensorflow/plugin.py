"""The entry module of the TensorFlow backend: light to import, TensorFlow comes with the first real question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recurra.contract import Classifier, ClassifierSpec, Device, GanSpec, RecurrentGan
from recurra.hookspecs import hookimpl


@dataclass(frozen=True)
class TensorFlowBackend:
    """Classifiers and recurrent GANs whose whole training loop is one TensorFlow graph."""

    name: str = "tensorflow"
    contract: tuple[int, int] = (1, 1)
    capabilities: frozenset[str] = frozenset({"cnn", "rnn", "fusion", "gan", "exact-resume", "bf16", "data-parallel"})

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
        from recurra_tensorflow.devices import device_string

        return _classifier(spec, (device_string(device),), seed)

    def build_parallel(self, spec: ClassifierSpec, devices: Sequence[str], seed: int) -> Classifier:
        """A classifier on all `devices` with weights of zero: GPUs, or `cpu` several times, as logical devices.

        An InputError where they cannot be had: TensorFlow makes logical devices only before it first computes.
        """
        from recurra_tensorflow.devices import replica_devices

        return _classifier(spec, replica_devices(devices), seed)

    def build_gan(self, spec: GanSpec, device: str) -> RecurrentGan:
        """A GAN on `device` with weights of zero; an InputError where there is no such device."""
        from recurra_tensorflow.devices import device_string, forget_peak
        from recurra_tensorflow.gan import TensorFlowGan
        from recurra_tensorflow.memory import telling_memory

        string = device_string(device)
        with telling_memory(string):
            forget_peak([string])
            return TensorFlowGan(spec, string)

    def peak_memory(self, device: str) -> int | None:
        """The most bytes of a GPU's memory in use at once since the last network was built on it; None of the CPU."""
        from recurra_tensorflow.devices import peak_memory

        return peak_memory(device)


def _classifier(spec: ClassifierSpec, devices: tuple[str, ...], seed: int) -> Classifier:
    from recurra_tensorflow.classifier import TensorFlowClassifier
    from recurra_tensorflow.devices import forget_peak
    from recurra_tensorflow.memory import telling_memory

    with telling_memory(*devices):
        forget_peak(devices)
        return TensorFlowClassifier(spec, devices, seed)


@hookimpl
def recurra_backend() -> TensorFlowBackend:
    """The TensorFlow backend."""
    return TensorFlowBackend()
