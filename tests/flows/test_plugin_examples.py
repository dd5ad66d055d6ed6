"""The plugins that the documentation shows: installed as a stranger's are, they do what it says."""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recurra.readers.digits import digits

Recurra = Callable[..., subprocess.CompletedProcess[str]]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with both examples, installed by pip."""
    pytest.importorskip("hatchling")
    target = tmp_path_factory.mktemp("site")
    how = ["--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--target", str(target)]
    packages = [str(EXAMPLES / name) for name in ("recurra-sqlite", "recurra-thresholds")]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *how, *packages], check=True)
    return target


@pytest.fixture
def examples(site: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, both examples installed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ["PYTHONPATH"]]))
    return place


def database(path: Path, samples: int) -> Path:
    """Digits as PNGs in SQLite, the last one cut short."""
    from PIL import Image

    images, labels = digits()
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE images (label TEXT, png BLOB, split TEXT)")
        for row in range(samples):
            png = io.BytesIO()
            Image.fromarray(images[row]).save(png, "PNG")
            cut = png.getvalue()[: 60 if row == samples - 1 else None]
            made.execute("INSERT INTO images VALUES (?, ?, ?)", (str(labels[row]), cut, "test" if row % 3 == 0 else ""))
    made.close()
    return path


def test_both_are_listed_and_usable(examples: Path, recurra: Recurra) -> None:
    rows = json.loads(recurra("plugins", "--json").stdout)["plugins"]
    found = {row["name"]: (row["distribution"], row["state"]) for row in rows if row["kind"] == "plugin"}
    assert found["sqlite"] == ("recurra-sqlite", "usable")
    assert found["thresholds"] == ("recurra-thresholds", "usable")


def test_the_reader_reads_a_database_and_says_which_picture_is_damaged(examples: Path, recurra: Recurra) -> None:
    database(examples / "digits.sqlite", 90)
    done = recurra("data", "inspect", "digits.sqlite", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["samples"], found["kind"], len(found["classes"])) == (90, "image", 10)
    assert "images#90" in done.stdout
    assert "not a PNG that can be read" in done.stdout
    sqlite3.connect(examples / "empty.db").execute("CREATE TABLE other (a)").connection.close()
    refused = recurra("data", "inspect", "empty.db")
    assert refused.returncode == 2
    assert "expected a SQLite database with a table images (label TEXT, png BLOB)" in refused.stderr


def test_a_run_on_a_database_has_the_section_and_no_event_files(
    examples: Path, run_json: Callable[..., dict[str, Any]]
) -> None:
    database(examples / "digits.sqlite", 300)
    found = run_json("e.yaml", "data.source=digits.sqlite")
    assert found["metrics"]["samples"] == 100
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "<h2>Answering only when sure</h2>" in page
    assert '<td class="n">0.00</td><td class="n">100.0%</td>' in page
    assert not list(examples.rglob("*tfevents*"))


def records(path: Path) -> Iterator[bytes]:
    """What TensorBoard reads: length, checksum, bytes, checksum."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked_crc32c(body)
        yield body
        data = data[16 + length :]


def test_where_it_is_asked_for_each_epoch_is_in_an_event_file(
    place: Path, run_json: Callable[..., dict[str, Any]]
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event

    run_json("e.yaml", "train.epochs=3", RECURRA_TENSORBOARD="logs")
    (file,) = (place / "logs").rglob("*tfevents*")
    assert file.relative_to(place / "logs").parts[0] == "e"
    first, *epochs = [Event.FromString(record) for record in records(file)]
    assert first.file_version == "brain.Event:2"
    assert [event.step for event in epochs] == [1, 2, 3]
    scalars = {value.tag: value.simple_value for value in epochs[-1].summary.value}
    assert scalars["loss/train"] == 0.5
    assert {"accuracy/val", "learning_rate", "samples_per_second"} < set(scalars)


OBSERVES = """
import sys
from recurra.experiment import Data, Experiment
from recurra.extensions import extensions
found, experiment = extensions(), Experiment(name="e", data=Data(source="digits"))
for epoch in (1, 2, 1):
    found.tell("recurra_epoch_end", experiment=experiment, record={"epoch": epoch, "train_loss": 1.0, "val_loss": None})
print(found.problems, sorted({"torch", "tensorflow", "jax"} & set(sys.modules)))
"""


def observed(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", OBSERVES], env={**os.environ, **env}, capture_output=True, text=True)


def test_the_observer_imports_no_framework_and_begins_a_file_for_each_training(place: Path) -> None:
    pytest.importorskip("tensorboard")
    assert observed(RECURRA_TENSORBOARD="logs").stdout == "[] []\n"
    assert len(list((place / "logs" / "e").iterdir())) == 2


def test_without_tensorboard_the_line_says_what_to_install_where_it_was_asked_for(place: Path) -> None:
    code = "import sys; sys.modules['tensorboard'] = None\n" + OBSERVES
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**os.environ, "RECURRA_TENSORBOARD": "logs"}, capture_output=True, text=True)
    assert 'tensorboard is not installed: pip install "recurra[tensorboard]"' in done.stdout
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[] []\n"


def test_the_backend_that_the_page_reads_from_end_to_end_passes_the_kit(place: Path, recurra: Recurra) -> None:
    page = (EXAMPLES.parent / "docs" / "example-backend.md").read_text(encoding="utf-8")
    modules = dict(re.findall(r"^```python\n# recurra_my_backend/(\S+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    package, info = place / "page" / "recurra_my_backend", place / "page" / "recurra_my_backend-1.dist-info"
    package.mkdir(parents=True)
    for name, text in {"__init__.py": "", **modules}.items():
        (package / name).write_text(text)
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: recurra-my-backend\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[recurra.backends]\nmy-backend = recurra_my_backend.plugin\n")
    path = os.pathsep.join([str(place / "page"), os.environ["PYTHONPATH"]])
    done = recurra("plugins", "check", "my-backend", "--quick", "--json", PYTHONPATH=path)
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert (found["verdict"], found["counts"]["failed"]) == ("partial", 0)
    assert found["counts"]["passed"] > 40
