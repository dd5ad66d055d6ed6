"""`recurra plugins`: what it calls usable can be used."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

OLD = """
from recurra.hookspecs import hookimpl

class Old:
    name, contract, capabilities = "old", (0, 0), frozenset()

@hookimpl
def recurra_backend():
    return Old()
"""


def test_a_backend_that_cannot_be_loaded_is_not_usable_and_says_why(
    installed: Callable[[str, str, str], None], recurra: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    installed("broken", "raise ZeroDivisionError('two\\nlines')\n", "recurra.backends")
    installed("hookless", "", "recurra.backends")
    installed("old", OLD, "recurra.backends")
    done = recurra("plugins", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["plugins"]}
    assert rows["plain"]["usable"]
    for name, said in (("broken", "cannot be imported"), ("hookless", "recurra_backend"), ("old", "contract")):
        assert not rows[name]["usable"]
        assert said in rows[name]["problem"]
        assert "\n" not in rows[name]["problem"]


def test_listing_backends_imports_no_framework(
    recurra: Callable[..., subprocess.CompletedProcess[str]],
    installed: Callable[[str, str, str], None],
) -> None:
    # Told as the process ends, when every backend has been loaded.
    spy = (
        "import atexit, sys\n"
        "frameworks = lambda: [name for name in ('torch', 'tensorflow') if name in sys.modules]\n"
        "atexit.register(lambda: print('frameworks', frameworks(), file=sys.stderr))\n"
    )
    installed("spy", spy, "recurra.plugins")
    assert "frameworks []" in recurra("plugins").stderr
