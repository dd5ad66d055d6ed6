"""Memory that is really full: an allocation that the system refuses, in a process that may not grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

TRAININGS = """
import resource, sys
from pathlib import Path
from recurra.config import validate
from recurra.durable import read_json
from recurra.errors import DeviceMemoryError
from recurra.preprocess import preprocess
from recurra.progress import Silent
from recurra.readers import open_source
from recurra.training import train

place = Path(sys.argv[1])

def experiment(size):
    model = {"kind": "cnn", "cnn": {"channels": [256], "pool": 1}}
    train = {"epochs": 1, "batch_size": size}
    data = {"source": "digits"}
    return validate({"name": "x", "device": "cpu", "data": data, "model": model, "train": train}, "test")

def trained(size):
    made = place / f"made-{size}"
    made.mkdir()
    train(experiment(size), place / "dataset", place / f"partial-{size}", made, Silent())
    return read_json(made / "train.json")["batch_size"]

(place / "dataset").mkdir()
preprocess(open_source("digits", experiment(8).data), experiment(8), place / "dataset", Silent())
trained(32)  # with the libraries loaded and the threads started, the process is as large as it has to be
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 40 * 2**20,) * 2)
try:
    trained(1024)
except DeviceMemoryError as error:
    print(error)
    print(trained(int(str(error).split()[-2])))
print(trained("auto"))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the size of a process is told by Linux")
def test_the_batch_size_that_is_named_fits_and_auto_finds_one(tmp_path: Path) -> None:
    asked = [sys.executable, "-c", TRAININGS, str(tmp_path)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    told, named, found = done.stdout.splitlines()
    assert told == f"out of memory on cpu with train.batch_size 1024; {named} fits"
    # As far as the pieces that memory is in allow: one of the two may be a half of the other.
    assert int(named) in (32, 64, 128, 256, 512)
    assert int(named) // 2 <= int(found) <= 256
