"""The machine's GPUs and cores, and leases on them, so that no two processes use one by accident."""

from recurra.devices.gpu import Gpu
from recurra.devices.holder import Holder, Holding
from recurra.devices.inventory import Inventory
from recurra.devices.lease import Lease
from recurra.devices.leasing import Leases
from recurra.devices.queueing import Waiting
from recurra.devices.requests import Request
from recurra.devices.waits import Withdrawn

__all__ = ["Gpu", "Holder", "Holding", "Inventory", "Lease", "Leases", "Request", "Waiting", "Withdrawn"]
