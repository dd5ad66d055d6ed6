"""Where `recurra up` says that it is up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recurra.errors import InputError
from recurra.home import Home
from recurra_flows.up.record import standing, up_lock

OWNER = """
import sys
from pathlib import Path
from recurra.home import Home
from recurra_flows.up.record import record_up, up_lock
home = Home(Path(sys.argv[1]))
with up_lock(home):
    record_up(home, "http://name:4200", "http://127.0.0.1:4200/api", own=True)
    print("up", flush=True)
    input()
"""


def test_it_counts_as_long_as_its_writer_lives_however_that_one_ends(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "up\n"
            found = standing(home)
            assert found is not None
            assert (found.api, found.pid) == ("http://127.0.0.1:4200/api", owner.pid)
            with (
                pytest.raises(InputError, match=rf"up already in .* at http://name:4200 \(pid {owner.pid}\)"),
                up_lock(home),
            ):
                pass
        finally:
            owner.kill()
    assert (tmp_path / "up.json").exists()
    assert standing(home) is None
    with up_lock(home):
        assert not (tmp_path / "up.json").exists()
