"""The energy that GPUs use, by the counter that NVIDIA's driver keeps for each (since Volta)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recurra.devices.inventory import inventory
from recurra.errors import RecurraError


class Meter:
    """Joules that some devices use, from one reading to the next.

    Devices are `gpu:N`, of those that CUDA_VISIBLE_DEVICES names. What other processes do on the same GPU at the same
    time is counted with it: a lease keeps recurra's own apart.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._gpus = _opened(tuple(dict.fromkeys(devices)))
        self._last = self._read()

    def used(self) -> float | None:
        """Since the last reading, or since the meter was made; None where that is not known: of a CPU, of a part of a
        GPU (MIG), without NVIDIA's driver.
        """
        before, self._last = self._last, self._read()
        # The counter starts again with the driver.
        if before is None or self._last is None or self._last < before:
            return None
        return self._last - before

    def _read(self) -> float | None:
        if not self._gpus:
            return None
        import pynvml

        try:
            return sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) for gpu in self._gpus) / 1000
        except pynvml.NVMLError:
            return None


def _opened(devices: tuple[str, ...]) -> list[Any]:
    """NVML's handle of each; none at all where one is not to be had, as a part of the energy says nothing."""
    if not devices or not all(device.startswith("gpu:") for device in devices):
        return []
    import pynvml

    try:
        gpus = inventory().gpus
        pynvml.nvmlInit()
        used = [gpus[int(device.removeprefix("gpu:"))] for device in devices]
        # The counter is the whole GPU's, of which a MIG instance is a part.
        return [] if any(gpu.is_part for gpu in used) else [pynvml.nvmlDeviceGetHandleByUUID(gpu.id) for gpu in used]
    except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError, RecurraError, IndexError):
        return []
