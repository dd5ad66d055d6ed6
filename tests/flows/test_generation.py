"""The flow of a GAN, its samples as files and in a recogniser's training, through the real command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recurra.run_record import AUGMENTED, GAN
from recurra_flows.cli import main
from recurra_flows.cli.generate import _counts

pytestmark = pytest.mark.prefect
Command = Callable[..., subprocess.CompletedProcess[str]]
RunJson = Callable[..., dict[str, Any]]
Said = pytest.CaptureFixture[str]


def _hits(done: dict[str, Any]) -> list[str]:
    return [role for role, record in done["stages"].items() if record["cache"] == "hit"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, plain_python_path: str, prefect_api: str, gan_file: str) -> Path:
    """A folder where `recurra run g.yaml` was run; what it printed is in answer.json."""
    folder = tmp_path_factory.mktemp("gan")
    (folder / "g.yaml").write_text(gan_file)
    env = {
        **os.environ,
        "RECURRA_HOME": str(folder / "home"),
        "PREFECT_API_URL": prefect_api,
        "PREFECT_HOME": str(folder / "prefect"),
        "PYTHONPATH": plain_python_path,
    }
    code = "import sys; from recurra_flows.cli import main; sys.exit(main(['run', 'g.yaml', '--json']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / "answer.json").write_text(done.stdout)
    return folder


@pytest.fixture
def answer(first: Path, place: Path) -> dict[str, Any]:
    """What the first run printed; its home is the test's own."""
    shutil.copytree(first / "home", place / "home")
    return json.loads((first / "answer.json").read_text())


def test_a_gan_runs_through_its_stages_and_a_second_run_is_all_hits(
    answer: dict[str, Any], run_json: RunJson, capsys: Said
) -> None:
    assert tuple(answer["stages"]) == GAN
    assert _hits(answer) == []
    assert {"tstr", "trts", "frechet", "frechet_floor", "test", "generated"} <= set(answer["metrics"])
    assert Path(answer["report"]).read_text().startswith("<!")
    second = run_json("g.yaml")
    assert tuple(_hits(second)) == GAN
    assert second["metrics"] == answer["metrics"]
    assert main(["cache", "explain", "g.yaml", "--json"]) == 0
    assert tuple(_hits(json.loads(capsys.readouterr().out))) == GAN


def test_what_a_changed_field_makes_anew_is_told_beforehand(answer: dict[str, Any], capsys: Said) -> None:
    for override, first_miss in (
        ("train.gan.r1=2", "train"),
        ("evaluate.gan.per_class=13", "generate"),
        ("evaluate.gan.recogniser.train.epochs=2", "recogniser"),
    ):
        assert main(["cache", "explain", "g.yaml", override, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)["stages"]
        assert tuple(role for role in said if said[role]["cache"] == "hit") == GAN[: GAN.index(first_miss)]
    assert said["recogniser"]["why"] == "train.epochs 1 -> 2"


def test_a_run_of_a_gan_is_shown_by_its_roles_and_kept_by_gc(answer: dict[str, Any], place: Path, capsys: Said) -> None:
    before = set((place / "home" / "store").glob("*/*/manifest.json"))
    assert main(["cache", "gc", "--days", "0"]) == 0
    assert set((place / "home" / "store").glob("*/*/manifest.json")) == before
    capsys.readouterr()
    assert main(["runs", "show", "latest"]) == 0
    shown = capsys.readouterr().out
    rows = [line.split()[0] for line in shown.splitlines()[2 : 2 + len(GAN)]]
    assert tuple(rows) == GAN
    assert main(["runs", "ls"]) == 0
    assert "tstr" in capsys.readouterr().out
    assert main(["resume", "latest"]) == 0


def test_a_recogniser_takes_samples_of_a_gan_beside_its_own(
    answer: dict[str, Any], run_json: RunJson, place: Path
) -> None:
    done = run_json("a.yaml")
    assert tuple(done["stages"]) == AUGMENTED
    assert _hits(done) == ["preprocess", "recogniser", "gan"]
    assert done["stages"]["gan"]["artifact"].endswith(Path(answer["stages"]["train"]["artifact"]).name)
    real = pq.read_table(Path(done["stages"]["preprocess"]["artifact"]) / "test-00000.parquet")
    joined = Path(done["stages"]["augment"]["artifact"])
    assert pq.read_table(joined / "test-00000.parquet").equals(real)
    made = pq.read_table(joined / "train-00000.parquet", columns=["source"])["source"].to_pylist()
    count = sum(str(source).startswith("generated/") for source in made)
    report = Path(done["report"]).read_text()
    assert f"{len(made) - count:,} train" in report
    assert f"{count:,} more to train on, by the GAN g" in report
    assert "cat &gt; g.yaml" in report

    (place / "g.yaml").unlink()  # a run names its GAN as well
    again = run_json("a.yaml", f"data.augment.gan={Path(answer['run']).name}")
    assert _hits(again) == list(AUGMENTED[:-1])


def test_a_gan_that_was_killed_goes_on_and_ends_in_the_same_bytes(
    answer: dict[str, Any],
    recurra: Command,
    started: Callable[..., subprocess.Popen[str]],
    prefect_api: str,
    place: Path,
) -> None:
    trained = place / "home" / "store" / "train" / Path(answer["stages"]["train"]["artifact"]).name
    weights = (trained / "last.safetensors").read_bytes()
    shutil.rmtree(trained)
    process = started("run", "g.yaml", PREFECT_API_URL=prefect_api, PLAIN_SLOW="3")
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith("epoch 1/2  loss G"))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    shown = json.loads(recurra("runs", "show", "latest", "--json").stdout)
    assert list(shown["stages"]) == ["preprocess", "recogniser"]
    done = recurra("resume", "latest", "--json", PREFECT_API_URL=prefect_api)
    assert "going on from the checkpoint at epoch 2" in done.stderr
    assert (trained / "last.safetensors").read_bytes() == weights
    assert _hits(json.loads(done.stdout)) == ["preprocess", "recogniser", "generate", "student", "evaluate"]


def _read(path: Path) -> np.ndarray:
    return np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))


def test_the_latest_gan_is_taken_again_and_again_and_the_run_says_which(
    answer: dict[str, Any], run_json: RunJson, recurra: Command, prefect_api: str, place: Path
) -> None:
    wanted = "data.augment.gan=latest"
    first = run_json("a.yaml", wanted)
    assert f"gan: {Path(answer['run']).name}" in Path(first["report"]).read_text()
    second = run_json("a.yaml", wanted)
    assert tuple(_hits(second)) == AUGMENTED
    shutil.rmtree(place / "home" / "store" / "train" / Path(answer["stages"]["train"]["artifact"]).name)
    again = recurra("run", "a.yaml", wanted, PREFECT_API_URL=prefect_api)
    assert f"the GAN of run {Path(answer['run']).name} is trained again (the artifact is gone" in again.stderr


def test_a_run_of_a_gan_ends_with_what_its_samples_are_worth(
    answer: dict[str, Any], recurra: Command, prefect_api: str
) -> None:
    said = recurra("run", "g.yaml", PREFECT_API_URL=prefect_api).stdout
    number = r"-?\d+\.\d+"
    assert re.search(
        rf"trained on generated {number} \(on real {number}\)   recognised as intended {number} \(real {number}\)   "
        rf"frechet {number} \(real {number}\)\n",
        said,
    )


@pytest.mark.parametrize("form", ["auto", "gif", "npy"])
def test_samples_are_files_in_a_folder_of_each_class(
    answer: dict[str, Any], recurra: Command, form: str, capsys: Said
) -> None:
    done = recurra("generate", "latest", "--per-class", "3", "--out", "made", "--format", form)
    assert done.returncode == 0, done.stderr
    ending = {"auto": "png"}.get(form, form)
    assert done.stdout == f"30 samples of 10 classes in made: CLASS/000000.{ending}, ...\n"
    assert {str(path) for path in Path("made").rglob(f"*.{ending}")} == {
        f"made/{name}/{number:06}.{ending}" for name in range(10) for number in range(3)
    }
    # They are a source like any other.
    assert main(["data", "inspect", "made", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["samples"], len(found["classes"]), found["refused"]["count"]) == (30, 10, 0)


def test_a_class_whose_name_has_a_comma_can_be_named() -> None:
    named = ("cat, tabby", "dog", "cat")
    for wanted, counts in (
        (["cat, tabby"], [3, 0, 0]),
        (["cat, tabby", "dog"], [3, 3, 0]),
        (["dog, cat"], [0, 3, 3]),
        (None, [3, 3, 3]),
    ):
        assert _counts(named, wanted, 3) == counts


def test_classes_are_named_in_one_option_or_in_several(answer: dict[str, Any], recurra: Command) -> None:
    done = recurra("generate", "latest", "--per-class", "1", "--classes", "7", "--classes", "2,3", "--out", "made")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in Path("made").iterdir()) == ["2", "3", "7"]


def test_where_a_file_system_is_mounted_nothing_is_begun(
    answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    Path("disk").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    assert main(["generate", "latest", "--out", "disk"]) == 2
    assert capsys.readouterr().err == "error: --out disk: a file system is mounted there; name a new folder in it\n"


def test_a_seed_makes_the_same_samples_however_many_are_asked_for(answer: dict[str, Any], recurra: Command) -> None:
    asked = {"few": ("2", "5"), "more": ("4", "5"), "other": ("2", "6")}
    for out, (count, seed) in asked.items():
        done = recurra("generate", "latest", "--per-class", count, "--seed", seed, "--classes", "7,2", "--out", out)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in Path("few").iterdir()) == ["2", "7"]
    few, more, other = ([_read(path) for path in sorted(Path(out, "7").iterdir())[:2]] for out in asked)
    assert all((a == b).all() for a, b in zip(few, more, strict=True))
    assert not all((a == b).all() for a, b in zip(few, other, strict=True))


def test_samples_are_one_table_and_json_says_what_was_made(answer: dict[str, Any], recurra: Command) -> None:
    Path("made").mkdir()  # an empty folder is as good as none
    done = recurra("generate", "latest", "--per-class", "2", "--out", "made", "--format", "parquet", "--json")
    told = json.loads(done.stdout)
    assert (told["samples"], told["format"], told["out"], told["seed"]) == (20, "parquet", "made", 0)
    assert pq.read_table("made/samples.parquet").num_rows == 20
    assert [path.name for path in Path().iterdir() if path.name.startswith(".made")] == []


def test_a_failing_generation_leaves_nothing(answer: dict[str, Any], recurra: Command) -> None:
    broken = "home/store/train/" + Path(answer["stages"]["train"]["artifact"]).name + "/best.safetensors"
    Path(broken).write_bytes(b"no weights")
    done = recurra("generate", "latest", "--out", "made")
    assert done.returncode == 2
    assert "its train artifact is damaged or gone" in done.stderr
    done = recurra("generate", "latest", "--out", "made", "--format", "tiff")
    assert done.returncode == 2
    assert not Path("made").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--classes", "7,x"], "--classes: no class 'x', there are 0, 1, 2"),
        (["--classes", ","], "--classes: names no class"),
        (["--per-class", "0"], "--per-class 0: expected 1 or more"),
        (["--per-class", "1000001"], "--per-class 1000001: 10,000,010 samples in all, 10,000,000 are the most"),
        (["--seed", "-1"], "--seed -1: expected 0 to"),
        (["--backend", "plian"], "backend 'plian' is not installed"),
        (["--out", "g.yaml"], "--out g.yaml: it is there already; name a folder that is new or empty"),
        (["--out", "home"], "--out home: it is there already"),
        (["--out", "no/made"], "no is no folder"),
    ],
)
def test_a_wrong_request_for_samples_is_one_line(
    answer: dict[str, Any], arguments: list[str], words: str, capsys: Said
) -> None:
    out = [] if "--out" in arguments else ["--out", "made"]
    assert main(["generate", "latest", *out, *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not Path("made").exists()


def test_a_gan_recognises_nothing(answer: dict[str, Any], capsys: Said) -> None:
    assert main(["predict", "latest", "x.png"]) == 2
    assert "is a GAN; `recurra generate" in capsys.readouterr().err


WITHOUT = """
from plain_backend import PlainBackend
from recurra.hookspecs import hookimpl

class Still(PlainBackend):
    name, capabilities = "still", frozenset({"cnn"})

@hookimpl
def recurra_backend():
    return Still()
"""


def test_a_backend_without_gans_refuses_before_anything_is_made(
    installed: Callable[[str, str, str], None], recurra: Command, prefect_api: str, place: Path
) -> None:
    installed("still", WITHOUT, "recurra.backends")
    (place / "a.yaml").write_text(
        "backend: still\nmodel: {kind: cnn}\ndata: {source: digits, augment: {gan: h.yaml}}\n"
    )
    (place / "h.yaml").write_text("data: {source: digits}\nmodel: {kind: gan}\n")
    for arguments in (("g.yaml", "backend=still"), ("a.yaml",)):
        done = recurra("run", *arguments, PREFECT_API_URL=prefect_api)
        assert done.returncode == 2
        assert done.stderr == "error: model.kind: backend 'still' has no gan; it has cnn\n"
    assert not (place / "home" / "runs").exists()


@pytest.mark.torch
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_a_gan_on_a_framework_runs_to_its_report(recurra: Command, run_json: RunJson) -> None:
    done = run_json("g.yaml", "backend=torch", "train.epochs=1", OMP_NUM_THREADS="1")
    assert np.isfinite([done["metrics"][name] for name in ("tstr", "trts", "frechet")]).all()
    made = recurra("generate", "latest", "--per-class", "1", "--out", "made")
    assert made.returncode == 0, made.stderr
    assert _read(Path("made/3/000000.png")).shape == (8, 8)
