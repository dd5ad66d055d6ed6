"""What careless and hostile users hand to the command line: one clear line each, status 2, nothing half done."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recurra_flows.cli import main

Make = Callable[[Path], object]
Said = pytest.CaptureFixture[str]
NOISE = np.random.default_rng(0)


def still(height: int = 12, width: int = 12) -> Image.Image:
    return Image.fromarray(NOISE.integers(0, 255, (height, width), np.uint8))


def tree(place: Path, each: int = 6, classes: tuple[str, ...] = ("cat", "dog"), **size: int) -> Path:
    """A folder `source` of class folders with images in them."""
    for name in classes:
        (place / "source" / name).mkdir(parents=True)
        for number in range(each):
            still(**size).save(place / "source" / name / f"{number}.png")
    return place / "source"


def arrays(**named: np.ndarray) -> Make:
    """Makes a folder `source` of .npy files."""

    def make(place: Path) -> None:
        (place / "source").mkdir()
        for name, array in named.items():
            np.save(place / "source" / f"{name}.npy", array)

    return make


def table(**columns: Any) -> Make:
    return lambda place: pq.write_table(pa.table(columns), place / "source.parquet")


def cut_table(place: Path) -> None:
    table(image=[b"x"] * 9, label=[0, 1, 0] * 3)(place)
    whole = (place / "source.parquet").read_bytes()
    (place / "source.parquet").write_bytes(whole[: len(whole) // 2])


def idx(cut: int = 0, labels: int = 9) -> Make:
    def make(place: Path) -> None:
        (place / "source").mkdir()
        images = struct.pack(">HBB3I", 0, 8, 3, 9, 4, 4) + bytes(9 * 16 - cut)
        (place / "source" / "train-images-idx3-ubyte").write_bytes(images)
        head = struct.pack(">HBBI", 0, 8, 1, labels)
        (place / "source" / "train-labels-idx1-ubyte").write_bytes(head + bytes(i % 2 for i in range(labels)))

    return make


def bomb(path: Path) -> None:
    """A PNG of some bytes whose header claims 60000 x 60000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">2I5B", 60_000, 60_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))))


def empty_class(place: Path) -> None:
    (tree(place) / "zebra").mkdir()


def flat(place: Path) -> None:
    (place / "source").mkdir()
    still().save(place / "source" / "1.png")


IMAGES, LABELS = np.zeros((20, 12, 12), np.uint8), np.arange(20) % 2
OBJECTS = np.array([{}] * 20, object)

SOURCES: dict[str, tuple[Make, str, str]] = {
    "missing folder": (lambda place: None, "source", "source: no such file or folder; names are digits"),
    "empty folder": (lambda place: (place / "source").mkdir(), "source", "source: an empty folder; put"),
    "empty class": (empty_class, "source", "source: class folder zebra holds no files; fill it or remove it"),
    "one class": (lambda place: tree(place, classes=("cat",)), "source", "one class folder only, cat"),
    "no class folders": (flat, "source", "1 images in no class folder"),
    "an image": (flat, "source/1.png", "source/1.png: one image; name the folder"),
    "a text file": (lambda place: (place / "a.txt").write_text("x"), "a.txt", "a.txt: a .txt file, expected a folder"),
    "an archive": (lambda place: (place / "a.zip").write_bytes(b"PK"), "a.zip", "a.zip: an archive; unpack it"),
    "a link to nothing": (lambda place: (place / "l").symlink_to("/nowhere"), "l", "l: a link to something that is"),
    "a name misspelt": (lambda place: None, "digts", "Did you mean 'digits'?"),
    "a null character": (lambda place: None, "a\0b", "a\\x00b: no such file or folder"),
    "half a surrogate": (lambda place: None, "a\ud800b", "no such file or folder"),
    "objects": (arrays(data=OBJECTS, labels=LABELS), "source", "source/data.npy: it holds Python objects"),
    "objects for labels": (arrays(data=IMAGES, labels=OBJECTS), "source", "source/labels.npy: it holds Python objects"),
    "fewer labels": (arrays(data=IMAGES, labels=LABELS[:15]), "source", "data.npy: 20 samples, but 15 labels"),
    "float labels": (arrays(data=IMAGES, labels=LABELS + 0.5), "source", "labels.npy: label 0.5 in row 0, expected"),
    "complex pixels": (arrays(data=IMAGES * 1j, labels=LABELS), "source", "data.npy: values of type complex128"),
    "cut table": (cut_table, "source.parquet", "source.parquet: damaged"),
    "no label column": (table(image=[b"x"] * 9, g=[0] * 9), "source.parquet", "source.parquet: no column 'label', has"),
    "labels missing": (
        table(image=[b"x"] * 2, label=[None, 1]),
        "source.parquet",
        "1 labels are missing, the first in",
    ),
    "wrong keys": (lambda place: np.savez(place / "s.npz", a=IMAGES), "s.npz", "s.npz: holds the arrays a; expected"),
    "cut IDX": (idx(cut=9), "source", "train-images-idx3-ubyte: its header says [9, 4, 4], 144 bytes; 135 are there"),
    "IDX of two lengths": (idx(labels=8), "source", "9 images, but 8 labels in train-labels-idx1-ubyte"),
}


@pytest.fixture
def refused(place: Path, capsys: Said) -> Callable[..., str]:
    """The one line on standard error of a call that must end with status 2."""

    def call(*arguments: str, status: int = 2) -> str:
        assert main(arguments) == status
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        return said.err

    return call


@pytest.mark.parametrize(("make", "source", "words"), SOURCES.values(), ids=SOURCES)
def test_a_source_that_cannot_be_read_is_named_with_what_was_expected(
    make: Make, source: str, words: str, place: Path, refused: Callable[..., str]
) -> None:
    make(place)
    assert words in refused("data", "inspect", source)
    assert words in refused("data", "inspect", source, "--json")


FILES = {
    "tabs": (b"data:\n\tsource: x\n", "line 2, column 1: found character '\\t'"),
    "a list": (b"- a\n", "expected fields such as `data:` and `model:`, found a list"),
    "nothing": (b"", "found nothing"),
    "a key twice": (b"data: {source: a}\ndata: {source: b}\n", "line 2, column 1: 'data' is given twice"),
    "a key that is a list": (b"? [a, b]\n: 3\n", "line 1, column 3: expected a field's name"),
    "code": (b"data: !!python/object/apply:os.system ['true']\n", "could not determine a constructor for the tag"),
    "not text": (b"name: \xff\n", "not UTF-8 text"),
    "nested": (b"[" * 5000, "nested too deeply"),
    "itself": (b"&a {data: *a}\n", "more than 100,000 values; take out its aliases"),
    "aliases": (
        b"data: {source: [&a [x,x,x,x,x,x,x,x,x,x]"
        + b"".join(b", &%c [%s]" % (98 + i, b",".join([b"*%c" % (97 + i)] * 10)) for i in range(12))
        + b"]}\n",
        "more than 100,000 values",
    ),
    "no data": (b"backend: plain\n", "data: missing, and needed"),
    "an unknown field": (b"data: {source: x, sise: 3}\n", "data.sise: unknown field. Did you mean 'size'?"),
    "a name with a path": (b"name: ../x\ndata: {source: x}\n", "name: expected letters, digits, dot, dash"),
    "an empty section": (b"data: {source: x}\ntrain:\n", "train: expected fields (epochs, "),
}


@pytest.mark.parametrize(("content", "words"), FILES.values(), ids=FILES)
def test_a_wrong_experiment_file_is_told_with_its_place(
    content: bytes, words: str, place: Path, refused: Callable[..., str]
) -> None:
    (place / "wrong.yaml").write_bytes(content)
    line = refused("run", "wrong.yaml")
    assert line.startswith("error: wrong.yaml: ")
    assert words in line


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epochs", "expected FIELD=VALUE"),
        ("train..epochs=3", "expected FIELD=VALUE"),
        ("train.epochs=[1", "not valid YAML: line 1, column 3"),
        ("epochs=3", "Did you mean 'train.epochs'?"),
        ("train.epochs=0", "train.epochs: input should be greater than or equal to 1, found 0"),
        ("train.batch_size=0", "train.batch_size: input should be greater than or equal to 1"),
        ("train.learning_rate=fast", "train.learning_rate: input should be a valid number"),
        ("train.clip_norm=.inf", "train.clip_norm: input should be a finite number, found inf"),
        ("train.label_smoothing=7", "train.label_smoothing: unknown field"),
        ("data.size=[1,2,3]", "data.size: list should have at most 2 items"),
        ("data.test_group={folder: 0, pattern: x}", "name exactly one of folder, pattern, column"),
        ("data.test_group={pattern: '('}", "data.test_group.pattern: not a regular expression"),
        ("device=cuda", "device: expected auto, cpu, gpu or gpu:N, found 'cuda'"),
        ("backend=plian", "backend 'plian' is not installed; installed: "),
    ],
)
def test_a_wrong_override_is_told_before_anything_is_done(
    override: str, words: str, place: Path, refused: Callable[..., str]
) -> None:
    assert words in refused("run", "e.yaml", override, "--json")
    assert not (place / "home" / "runs").exists()


def test_a_backend_without_its_framework_is_told_with_the_command_that_installs_it(
    place: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    info = place / "site" / "absent-1.dist-info"
    info.mkdir(parents=True)
    needs = "Provides-Extra: far\nRequires-Dist: farframework>=1; extra == 'far'\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: absent\nVersion: 1\n{needs}")
    (info / "entry_points.txt").write_text("[recurra.backends]\nfar = absent [far]\n")
    monkeypatch.syspath_prepend(str(place / "site"))
    for verb in (["run"], ["cache", "explain"]):
        line = refused(*verb, "e.yaml", "backend=far")
        assert "backend 'far' cannot be used: farframework not installed: pip install \"absent[far]\"" in line


def test_a_home_that_is_no_folder_is_told_with_what_to_set(
    place: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for home in (place / "e.yaml", place / "e.yaml" / "below"):
        monkeypatch.setenv("RECURRA_HOME", str(home))
        line = refused("run", "e.yaml")
        assert f"{home}: cannot be used" in line
        assert "set RECURRA_HOME to a folder of yours" in line


def test_a_download_without_a_network_says_where_to_put_the_file(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert "without a network, put it at" in refused("data", "inspect", "fashion-mnist")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "latest", "x.png"], "no run 'latest': there are none in"),
        (["predict", "latest"], "name the files or folders to recognise"),
        (["predict", "latest", "x.png", "--out", "x.txt"], "--out x.txt: expected a .parquet or .csv file"),
        (["resume", "latest"], "`recurra run FILE` makes one"),
        (["runs", "show", "x"], "no run 'x'"),
        (["runs", "show"], "RUN requires an argument"),
        (["data", "inspect", "digits", "--out", "no/x.png"], "--out no/x.png: expected a .png file in a folder"),
        (["data", "inspect", "digits", "--out", "x.txt"], "--out x.txt: expected a .png file"),
        (["data", "inspect", "digits", "data.reader=x"], "data.reader: no reader 'x', known are named, idx"),
        (["data", "inspect", "digits", "data.reader=folders"], "digits: a source by name; leave data.reader out"),
        (["cache", "gc", "--days", "-1"], "--days -1: expected 0 or more"),
        (["plugins", "more"], "nothing is expected where 'more' stands"),
        (["config", "show", "."], "cannot be read as an experiment file (Is a directory)"),
    ],
)
def test_a_wrong_request_says_what_to_ask_instead(
    arguments: list[str], words: str, refused: Callable[..., str]
) -> None:
    assert words in refused(*arguments)


@pytest.mark.parametrize("arguments", [["cache", "verify"], ["cache", "gc"], ["cache", "ls"], ["runs", "ls"]])
def test_an_empty_home_is_nothing_wrong(arguments: list[str], place: Path) -> None:
    assert main(arguments) == 0


def inspected(capsys: Said, *arguments: str) -> dict[str, Any]:
    assert main(["data", "inspect", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_cannot_be_read_is_counted_and_named_and_the_rest_is_used(place: Path, capsys: Said) -> None:
    source = tree(place, each=40)
    (source / "cat" / "7.png").write_bytes(b"no image")
    bomb(source / "dog" / "8.png")
    still().save(source / "dog" / "9.gif", save_all=True, append_images=[still(), still()])
    found = inspected(capsys, "source")
    reasons = {each["source"]: each["reason"] for each in found["refused"]["first"]}
    assert found["refused"]["count"] == 3
    assert not found["problems"]
    assert "by its first bytes" in reasons["cat/7.png"]
    assert "60000 x 60000 pixels, more than data.max_pixels" in reasons["dog/8.png"]
    assert "a still image is expected" in reasons["dog/9.gif"]
    assert main(["data", "inspect", "source"]) == 0
    assert "(cat/7.png)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.size=[60000,60000]"], "data.size: 60000x60000 is more than data.max_pixels"),
        (["data.kind=clips"], "12 of 12 samples cannot be used, and data.max_refused allows 0.05"),
        (["data.test_group={pattern: q}"], "data.test_group: the pattern 'q' is not in 'cat/0.png'"),
        (["data.test_group={folder: 0, hold_out: cow}"], "data.test_group.hold_out: no training group 'cow'"),
        (["data.test_group={folder: 7}"], "folder level 7 is not in"),
        (["data.test_group={column: x}"], "data.test_group.column: no column 'x'. This source has no columns"),
        (["data.test_fraction=0"], "the test split is empty"),
    ],
)
def test_inspect_tells_what_would_stop_a_run(overrides: list[str], words: str, place: Path, capsys: Said) -> None:
    tree(place)
    assert words in inspected(capsys, "source", *overrides)["problems"][0]


def test_pictures_of_other_kinds_keep_their_values(place: Path, capsys: Said) -> None:
    ramp = np.linspace(0, 65535, 144).reshape(12, 12).astype(np.uint16)
    for name in ("cat", "dog"):
        (place / "source" / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(ramp).save(place / "source" / name / f"{number}.png")
    found = inspected(capsys, "source")
    assert (found["values"][0]["low"], found["values"][0]["high"]) == ([0], [255])
    assert found["values"][0]["mean"] == pytest.approx([127.5], abs=0.01)  # clipped to white it would be 254
    tree(place / "more", each=3)
    Image.new("CMYK", (12, 12), (0, 255, 255, 0)).save(place / "more" / "source" / "cat" / "ink.jpg")
    clear = Image.new("P", (12, 12), 0)
    clear.save(place / "more" / "source" / "dog" / "clear.png", transparency=0)
    assert inspected(capsys, "more/source")["refused"]["count"] == 0


ODD = ["with space.png", "new\nline.png", "\U0001f388.png", "<script>.png", "-rf.png", "\x1b[31m.png", "\\.png"]


def test_odd_names_of_files_are_read_and_shown_as_plain_text(place: Path, capsys: Said) -> None:
    source = tree(place)
    for name in [*ODD, os.fsdecode(b"\xff\xfe.png")]:
        still().save(source / "cat" / "x.png")
        (source / "cat" / "x.png").rename(source / "cat" / name)
    (source / "dog").rename(source / os.fsdecode(b"d\xffo\ng"))
    found = inspected(capsys, "source")
    assert found["classes"] == ["cat", "d\\xffo\\x0ag"]
    assert found["samples"] == 12 + 8
    assert not found["refused"]["count"]


RUNS: dict[str, tuple[Make, list[str], str]] = {
    "mostly unreadable": (
        lambda place: [path.write_bytes(b"x") for path in list(tree(place).rglob("*.png"))[:8]],
        [],
        "8 of 12 samples cannot be used, and data.max_refused allows 0.05 of them: 'cat/",
    ),
    "a frame too small": (
        lambda place: tree(place, height=2, width=2),
        [],
        "model.cnn: nothing is left of 2x2 frames after conv 2 and its pooling; use fewer model.cnn.channels",
    ),
    "oblong and rotated": (
        lambda place: tree(place, width=20),
        ["data.augment.rotate=true"],
        "data.augment.rotate: needs square samples, these are 12x20; set data.size",
    ),
    "no such device": (tree, ["device=gpu:3"], "device: gpu:3 is not there for backend 'plain'; it sees cpu"),
    "an exploding loss": (tree, [], "the loss is not a finite number at epoch 1, step 1"),
}


ONE_BY_ONE = """
import contextlib, io, json, os, sys
from recurra_flows.cli import main
for folder, loss, arguments in json.load(sys.stdin):
    os.chdir(folder)
    os.environ["RECURRA_HOME"], os.environ["PLAIN_LOSS"] = folder + "/home", loss
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        status = main(arguments)
    print(json.dumps([status, said.getvalue()]), flush=True)
"""
"""Several command lines in one process: Prefect is imported once."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, plain_python_path: str, prefect_api: str) -> dict[str, Any]:
    """For each of RUNS: exit status, standard error, the run's record."""
    place, calls = tmp_path_factory.mktemp("runs"), []
    for kind, (make, overrides, _) in RUNS.items():
        folder = place / kind
        folder.mkdir()
        make(folder)
        (folder / "e.yaml").write_text("backend: plain\ndata: {source: source}\ntrain: {epochs: 1}\n")
        calls.append([str(folder), "nan" if kind == "an exploding loss" else "0.5", ["run", "e.yaml", *overrides]])
    env = {"PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(place / "prefect"), "PYTHONPATH": plain_python_path}
    done = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **env},
    )
    records = [json.loads(next((place / kind).glob("home/runs/*/run.json")).read_text()) for kind in RUNS]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {kind: (*answer, record) for kind, answer, record in zip(RUNS, answers, records, strict=True)}


@pytest.mark.parametrize("kind", RUNS)
def test_what_shows_only_in_a_stage_ends_the_run_with_one_line(kind: str, ended: dict[str, Any]) -> None:
    words = RUNS[kind][2]
    status, said, record = ended[kind]
    assert status == 2, said
    assert said.startswith(f"error: {words}")
    assert said.count("\n") == 1
    assert record["status"] == "failed"
    assert record["error"].startswith(words)


def test_predictions_go_on_past_what_cannot_be_read(
    place: Path, recurra: Callable[..., Any], run_json: Callable[..., Any], refused: Callable[..., str]
) -> None:
    source = tree(place)
    bomb(source / "cat" / "bomb.png")
    run_json("e.yaml", "data.source=source", "data.max_refused=0.1", "train.batch_size=60000", "train.epochs=1")
    still(40, 30).save(place / "-other size.png")
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    np.save(place / "clip.npy", np.zeros((5, 12, 12), np.uint8))
    bad = ["broken.png", "clip.npy", "missing.png", "e.yaml"]
    done = recurra("predict", "latest", "--out", "p.csv", "--", "-other size.png", *bad)
    assert done.returncode == 0, done.stderr
    assert {line.split(":")[0] for line in done.stderr.splitlines() if ": " in line} == set(bad)
    assert len((place / "p.csv").read_text().splitlines()) == 2
    assert "nothing could be read: broken.png: " in refused("predict", "latest", "broken.png", "--json")
    assert main(["resume", "latest"]) == 0
