"""The entry module: what the backend is, said without importing PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.contract import Classifier, ClassifierSpec, Device, GanSpec, RecurrentGan
from recurra.hookspecs import hookimpl
from recurra_torch.threads import wait_asleep

if TYPE_CHECKING:
    from recurra.contract import Backend


class TorchBackend:
    """PyTorch on the CPU and on CUDA devices."""

    name = "torch"
    contract: tuple[int, int] = (1, 1)
    capabilities = frozenset({"cnn", "rnn", "fusion", "gan", "exact-resume", "bf16"})

    def describe(self) -> dict[str, str]:
        """Versions and settings that the last bytes of a result depend on."""
        from recurra_torch.devices import describe

        return describe()

    def devices(self) -> list[Device]:
        """CUDA devices, then the CPU."""
        from recurra_torch.devices import devices

        return devices()

    def build(self, spec: ClassifierSpec, device: str, seed: int) -> Classifier:
        """A classifier on `device`; an InputError naming the devices there are where there is no such device."""
        from recurra_torch.allocator import keep_freed_memory
        from recurra_torch.classifier import TorchClassifier
        from recurra_torch.devices import resolve

        chosen = resolve(device)
        keep_freed_memory()
        return TorchClassifier(spec, chosen, seed)

    def build_gan(self, spec: GanSpec, device: str) -> RecurrentGan:
        """A GAN on `device`; an InputError as of `build`."""
        from recurra_torch.allocator import keep_freed_memory
        from recurra_torch.devices import resolve
        from recurra_torch.gan import TorchGan

        chosen = resolve(device)
        keep_freed_memory()
        return TorchGan(spec, chosen)


@hookimpl
def recurra_backend() -> Backend:
    """The backend."""
    wait_asleep()
    return TorchBackend()
