"""The energy that GPUs use, by a driver that is pretended."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from recurra.devices.gpu import Gpu
from recurra.devices.inventory import Inventory
from recurra.devices.power import Meter
from recurra.errors import InputError


class NVMLError(Exception):
    pass


class LibraryMismatchError(Exception):
    pass


class Driver:
    """NVML, its counters in millijoules by UUID."""

    NVMLError, NVMLLibraryMismatchError = NVMLError, LibraryMismatchError

    def __init__(self, counters: dict[str, int]) -> None:
        self.counters = counters
        self.started: Exception | None = None

    def nvmlInit(self) -> None:  # noqa: N802
        if self.started:
            raise self.started

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid not in self.counters:
            raise NVMLError
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        if self.counters[handle] < 0:
            raise NVMLError
        return self.counters[handle]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Of three GPUs, the second and third of which this process may see, and a part of a fourth."""
    found = Driver({"GPU-a": 1_000, "GPU-b": 5_000, "GPU-c": 7_000, "MIG-d": 9_000})
    seen = tuple(Gpu(uuid, uuid, "pretended", None) for uuid in ("GPU-b", "GPU-c", "MIG-d"))
    monkeypatch.setitem(sys.modules, "pynvml", found)  # type: ignore[arg-type]
    monkeypatch.setattr("recurra.devices.power.inventory", lambda: Inventory(seen, 1))
    return found


def test_the_energy_is_that_of_the_gpus_that_are_used_since_the_last_reading(driver: Driver) -> None:
    one, both = Meter(["gpu:0"]), Meter(["gpu:0", "gpu:1"])
    driver.counters.update({"GPU-a": 90_000, "GPU-b": 6_500, "GPU-c": 9_000})
    assert (one.used(), both.used()) == (1.5, 3.5)
    driver.counters["GPU-b"] += 250
    assert (one.used(), both.used()) == (0.25, 0.25)


@pytest.mark.parametrize("devices", [["cpu"], ["cpu", "cpu"], [], ["gpu:2"], ["gpu:7"], ["gpu:0", "gpu:7"]])
def test_it_is_unknown_of_cpus_parts_of_gpus_and_gpus_that_are_not_there(driver: Driver, devices: list[str]) -> None:
    assert Meter(devices).used() is None


@pytest.mark.parametrize("error", [NVMLError(), LibraryMismatchError()])
def test_it_is_unknown_without_a_driver(driver: Driver, error: Exception) -> None:
    driver.started = error
    assert Meter(["gpu:0"]).used() is None


def test_it_is_unknown_where_the_counter_is_lost_or_starts_again(driver: Driver) -> None:
    meter, counts = Meter(["gpu:0"]), (-1, 6_000, 6_100, 50, 80)
    found: list[Any] = []
    for count in counts:
        driver.counters["GPU-b"] = count
        found.append(meter.used())
    assert found == [None, None, pytest.approx(0.1), None, pytest.approx(0.03)]


def test_a_setting_that_is_wrong_is_not_told_here(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> SimpleNamespace:
        raise InputError("RECURRA_DEVICES=x")

    monkeypatch.setattr("recurra.devices.power.inventory", refused)
    assert Meter(["gpu:0"]).used() is None
