"""The backend as an installation sees it: devices, versions, memory."""

from __future__ import annotations

import pytest

from recurra.errors import InputError
from recurra.registry import load_backend

pytestmark = pytest.mark.torch


def test_gpus_come_before_the_cpu_and_are_named_by_number(monkeypatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"card {index}")
    found = load_backend("torch").devices()
    assert [device.name for device in found] == ["gpu:0", "gpu:1", "cpu"]
    assert found[1].description == "card 1"


@pytest.mark.parametrize("name", ["gpu:0", "cuda", "CPU", "auto", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch, name) -> None:
    import torch

    from recurra_torch.devices import resolve

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"'{name}'.* it sees cpu"):
        resolve(name)


def test_a_gpus_results_are_made_repeatable(monkeypatch) -> None:
    import os

    import torch

    from recurra_torch.devices import resolve

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "card")
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    assert resolve("gpu:1") == torch.device("cuda", 1)
    assert torch.backends.cudnn.deterministic
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_the_users_own_settings_of_malloc_are_kept(monkeypatch) -> None:
    from recurra_torch.allocator import keep_freed_memory

    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    assert not keep_freed_memory.__wrapped__()


def test_other_systems_than_glibc_are_left_alone(monkeypatch) -> None:
    from recurra_torch import allocator

    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: pytest.fail("nothing to ask for"))
    assert not allocator.keep_freed_memory.__wrapped__()
