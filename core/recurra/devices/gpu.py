"""A GPU that can be leased."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one MIG instance of one."""

    id: str
    """NVML's UUID (GPU-..., MIG-...), the same for every process of the machine; or a pretended one's name."""
    visible: str
    """What CUDA_VISIBLE_DEVICES is set to for it."""
    name: str
    """NVIDIA H100 80GB HBM3."""
    memory: int | None
    """Bytes; None where the driver does not say."""

    @property
    def is_part(self) -> bool:
        """Whether it is a MIG instance. CUDA shows a process one of them, whatever CUDA_VISIBLE_DEVICES lists."""
        return self.id.startswith("MIG-")
