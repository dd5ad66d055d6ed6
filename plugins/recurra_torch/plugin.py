"""The entry module: what the backend is, said without importing PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
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
    capabilities = frozenset({"cnn", "rnn", "fusion", "gan", "exact-resume", "bf16", "data-parallel"})

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
        from recurra_torch.memory import forget_peak, within_memory

        chosen = resolve(device)
        keep_freed_memory()
        forget_peak(chosen)
        return within_memory(chosen, TorchClassifier, spec, chosen, seed)

    def build_parallel(self, spec: ClassifierSpec, devices: Sequence[str], seed: int) -> Classifier:
        """A classifier that trains on all `devices`, GPUs or `cpu` several times; an InputError as of `build`."""
        from recurra_torch.parallel import TorchParallel

        return TorchParallel(spec, devices, seed)

    def build_gan(self, spec: GanSpec, device: str) -> RecurrentGan:
        """A GAN on `device`; an InputError as of `build`."""
        from recurra_torch.allocator import keep_freed_memory
        from recurra_torch.devices import resolve
        from recurra_torch.gan import TorchGan
        from recurra_torch.memory import forget_peak, within_memory

        chosen = resolve(device)
        keep_freed_memory()
        forget_peak(chosen)
        return within_memory(chosen, TorchGan, spec, chosen)

    def peak_memory(self, device: str) -> int | None:
        """Bytes that tensors took at most on a GPU since a network was last built on it in this process."""
        from recurra_torch.devices import resolve
        from recurra_torch.memory import peak

        return peak(resolve(device))


@hookimpl
def recurra_backend() -> Backend:
    """The backend."""
    wait_asleep()
    return TorchBackend()
