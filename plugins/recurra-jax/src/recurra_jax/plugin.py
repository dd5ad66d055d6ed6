"""The entry module of the JAX backend: light to import, JAX comes with the first real question."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.contract import Classifier, ClassifierSpec, Device, GanSpec, RecurrentGan
from recurra.hookspecs import hookimpl


@dataclass(frozen=True)
class JaxBackend:
    """Classifiers and recurrent GANs as pure functions; the loop over the steps is compiled with what it repeats."""

    name: str = "jax"
    contract: tuple[int, int] = (1, 1)
    capabilities: frozenset[str] = frozenset({"cnn", "rnn", "fusion", "gan", "exact-resume", "bf16"})

    def describe(self) -> dict[str, str]:
        """Versions, threads and flags, as `devices.describe` tells them."""
        from recurra_jax.devices import describe

        return describe()

    def devices(self) -> list[Device]:
        """The GPUs that JAX sees, then the CPU."""
        from recurra_jax.devices import devices

        return devices()

    def build(self, spec: ClassifierSpec, device: str, seed: int) -> Classifier:
        """A classifier on `device` with weights of zero; an InputError where there is no such device."""
        from recurra_jax.classifier import JaxClassifier
        from recurra_jax.devices import resolve
        from recurra_jax.mappings import make_room
        from recurra_jax.memory import remember_peak, within_memory

        chosen = resolve(device)
        make_room()
        remember_peak(chosen)
        return within_memory(chosen, JaxClassifier, spec, chosen, seed)

    def build_gan(self, spec: GanSpec, device: str) -> RecurrentGan:
        """A GAN on `device` with weights of zero; an InputError where there is no such device."""
        from recurra_jax.devices import resolve
        from recurra_jax.gan import JaxGan
        from recurra_jax.mappings import make_room
        from recurra_jax.memory import remember_peak, within_memory

        chosen = resolve(device)
        make_room()
        remember_peak(chosen)
        return within_memory(chosen, JaxGan, spec, chosen)

    def peak_memory(self, device: str) -> int | None:
        """The most bytes of a GPU's memory in use at once since a network was last built on it, where JAX can tell."""
        from recurra_jax.devices import resolve
        from recurra_jax.memory import peak

        return peak(resolve(device))


@hookimpl
def recurra_backend() -> JaxBackend:
    """The JAX backend."""
    return JaxBackend()
