"""The kit on the backend that `recurra plugins check` is asked for; pytest collects it in a process of its own."""

from __future__ import annotations

import os

from recurra.conformance import Kit

CHECKED = "RECURRA_CHECKED"
"""The variable that names the backend."""


class TestKit(Kit):
    """All of it."""

    name = os.environ.get(CHECKED, "")
