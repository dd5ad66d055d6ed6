"""The report is one page that asks for nothing, runs nothing, shows data as text, and says what was found."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recurra import hookimpl, stages
from recurra.contract import SampleShape
from recurra.dataset import FORMAT
from recurra.dataset_writer import DatasetWriter, Rows
from recurra.durable import write_json
from recurra.experiment import Augment, Data, Evaluate, Experiment, Model, Train
from recurra.extensions import extensions
from recurra.metrics import Metrics, measure
from recurra.predictions import PredictionWriter
from recurra.progress import Silent
from recurra.report import Section, metrics_table, render, summary_markdown
from recurra.report.pictures import frames
from recurra.report.svg import ticks
from recurra.store import Artifact, Store
from recurra.training import write_history

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b | `c`")
IMAGE = SampleShape("image", 1, 8, 6, 1)


class Example:
    """Artifacts as the stages leave them, from random samples and answers."""

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str] = ("cat", "dog", "eel"),
        sample: SampleShape = IMAGE,
        dtype: str = "uint8",
        sharpness: float = 3.0,
        epochs: int = 4,
        validation: bool = True,
    ) -> None:
        self.classes, self.sample, self.dtype = tuple(classes), sample, dtype
        self.sharpness, self.epochs, self.validation = sharpness, epochs, validation
        self.experiment = Experiment(
            name="example", data=Data(source="some/folder"), model=Model(kind="rnn"), train=Train(epochs=epochs)
        )
        self.labels = np.arange(6 * len(self.classes)) % len(self.classes)
        stages = {"preprocess": self.preprocess, "train": self.train, "evaluate": self.evaluate}
        store = Store(folder)
        self.artifacts: Mapping[str, Artifact] = {
            stage: store.obtain(stage, {"for": "a test"}, make).artifact for stage, make in stages.items()
        }

    def preprocess(self, folder: Path) -> None:
        splits = ("train", "validation", "test") if self.validation else ("train", "test")
        count, generator = len(self.labels), np.random.default_rng(0)
        counts = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        shape = {"kind": self.sample.kind, "frames": self.sample.frames, "height": self.sample.height}
        shape |= {"width": self.sample.width, "channels": self.sample.channels}
        scaling = {"scale": [1.0] * self.sample.channels, "offset": [0.0] * self.sample.channels}
        recipe = {"sample": shape, "dtype": self.dtype, "fit": "stretch", "clip_fit": "resample", "remove": "none"}
        with DatasetWriter(folder, self.sample, self.dtype, self.classes) as writer:
            for split in splits:
                pixels = generator.integers(0, 255, (count, *self.sample.array)).astype(self.dtype)
                sources = [f"{split}/<b>{row}</b>.png" for row in range(count)]
                labels, lengths = self.labels.astype(np.int32), np.full(count, self.sample.frames, np.int32)
                writer.write(split, Rows(pixels, labels, sources, lengths))
            about = {"format": FORMAT, "kind": self.sample.kind, "classes": list(self.classes), "sample": shape}
            about |= {"dtype": self.dtype, "counts": dict.fromkeys(splits, counts), "normalisation": scaling}
            writer.finish({**about, "recipe": recipe, "settings": {}, "statistics": {}, "refused": {}}, [])

    def train(self, folder: Path) -> None:
        rows = [
            {
                "epoch": epoch,
                "train_loss": 1 / epoch,
                "train_accuracy": 1 - 0.5 / epoch,
                "val_loss": 1.1 / epoch if self.validation else None,
                "val_accuracy": 1 - 0.6 / epoch if self.validation else None,
                "learning_rate": 1e-3,
                "seconds": 2.0,
                "samples_per_second": 100.0,
            }
            for epoch in range(1, self.epochs + 1)
        ]
        write_history(folder / "history.parquet", rows)
        for name in ("best", "last"):
            (folder / f"{name}.safetensors").write_bytes(name.encode())
        record: dict[str, Any] = {"best_epoch": self.epochs, "epochs_done": self.epochs, "stopped": "finished"}
        record |= {"kept": "best", "parameters": 1234, "device": "cpu", "seconds": 8.0, "samples_per_second": 100.0}
        write_json(folder / "train.json", record | {"environment": {"python": "3.11"}, "peak_memory": 1})

    def evaluate(self, folder: Path) -> None:
        count, generator = len(self.labels), np.random.default_rng(1)
        logits = generator.normal(size=(count, len(self.classes))).astype(np.float32)
        logits[np.arange(count), self.labels] += self.sharpness
        sources = [f"test/<b>{row}</b>.png" for row in range(count)]
        with PredictionWriter(folder / "predictions.parquet", self.classes) as writer:
            writer.write(np.arange(count), sources, self.labels, logits)
        self.metrics: Metrics = measure(self.labels, logits, self.classes, Evaluate(), seed=0)
        write_json(folder / "metrics.json", self.metrics.to_json() | {"samples_per_second": 500.0})

    def page(self, *sections: Section) -> str:
        return render(self.experiment, self.artifacts, sections)


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return Example(tmp_path)


def test_the_page_asks_for_nothing_and_runs_nothing(elements_of: Any, example: Example) -> None:
    elements = elements_of(example.page())
    assert not elements.of("script", "link", "iframe", "object", "embed", "form", "base")
    for _, attributes in elements.found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        places = [attributes.get(name) or "#" for name in ("src", "href", "srcset", "action")]
        assert all(place.startswith(("data:image/", "#")) for place in places)


def test_the_policy_allows_the_one_style_sheet_by_its_digest(elements_of: Any, example: Example) -> None:
    page = example.page()
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(
        m["content"] for m in elements_of(page).of("meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; img-src data:; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy


def test_names_from_the_data_are_shown_as_text(elements_of: Any, tmp_path: Path) -> None:
    page = Example(tmp_path, classes=HOSTILE, sharpness=0.5).page(Section("<i>title</i>", "<p>of a plugin</p>"))
    elements = elements_of(page)
    assert not elements.of("script", "b", "i")
    assert not [image for image in elements.of("img") if "onerror" in image]
    for name in (*HOSTILE, "<i>title</i>"):
        assert name in elements.text
    assert "<p>of a plugin</p>" in page


def test_equal_input_gives_equal_bytes(example: Example) -> None:
    assert example.page() == example.page()
    assert summary_markdown(example.experiment, example.artifacts) == summary_markdown(
        example.experiment, example.artifacts
    )


def test_headings_descend_in_order_and_pictures_and_tables_are_named(elements_of: Any, example: Example) -> None:
    elements = elements_of(example.page())
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("alt" in image for image in elements.of("img"))
    assert all(heading.get("scope") in ("row", "col") for heading in elements.of("th"))
    assert all(drawing.get("aria-label") or drawing.get("aria-hidden") for drawing in elements.of("svg"))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in elements.of("a")} <= {f"#{name}" for name in ids}


def test_what_was_achieved_is_said_against_guessing(elements_of: Any, tmp_path: Path) -> None:
    good = elements_of(Example(tmp_path / "good").page()).text
    bad = elements_of(Example(tmp_path / "bad", sharpness=-9.0).page()).text
    assert "Always answering the most frequent class would be right 33.3% of the time" in good
    assert "fewer mistakes" in good
    assert "has learned nothing useful yet" in bad


def test_a_network_without_mistakes_has_none_to_show(elements_of: Any, tmp_path: Path) -> None:
    text = elements_of(Example(tmp_path, sharpness=50.0).page()).text
    assert "the network makes no mistake on these samples" in text
    assert "No test sample was taken for another class." in text
    assert "There are none: every answer is right." in text


def test_a_clip_is_shown_as_a_strip_of_frames(tmp_path: Path) -> None:
    clips = Example(tmp_path, sample=SampleShape("clip", 5, 4, 4, 3), dtype="float32", sharpness=0.0)
    page = clips.page()
    assert "clips of 5 frames" in page
    mistakes = clips.metrics.samples - int(clips.metrics.confusion.trace())
    gallery = page[page.index('id="mistakes"') : page.index('id="data"')]
    assert gallery.count("<img") == 5 * min(12, mistakes)


def test_many_classes_are_told_by_pairs_and_not_by_a_matrix(tmp_path: Path) -> None:
    many = Example(tmp_path, classes=[f"class {n}" for n in range(120)], sharpness=1.0)
    page = many.page()
    assert "A matrix of 120 classes cannot be read" in page
    assert "The 100 classes of 120 with the lowest F1" in page
    assert len(page) < 2_000_000


def test_one_epoch_without_validation_is_drawn_and_said(tmp_path: Path) -> None:
    page = Example(tmp_path, epochs=1, validation=False).page()
    assert "the best epoch was chosen by the training loss" in page
    assert "nan" not in page.lower()
    assert page.count('class="dot train"') == 2


def test_a_long_history_is_thinned_but_keeps_its_best_epoch(tmp_path: Path) -> None:
    page = Example(tmp_path, epochs=3000).page()
    assert page.count('class="dot validation"') == 2
    assert len(page) < 300_000


def test_it_names_all_that_it_was_made_from(elements_of: Any, example: Example) -> None:
    text = elements_of(example.page()).text
    for artifact in example.artifacts.values():
        assert artifact.key in text
    assert example.artifacts["preprocess"].digest in text
    assert example.artifacts["train"].sha256("best.safetensors") in text
    assert example.artifacts["evaluate"].sha256("predictions.parquet") in text


def test_its_commands_hold_the_same_experiment(elements_of: Any, example: Example) -> None:
    text = elements_of(example.page()).text
    file = re.search(r"cat > example\.yaml <<'END'\n(.*?)END\nrecurra run example\.yaml", text, re.DOTALL)
    assert file is not None
    assert Experiment(**yaml.safe_load(file[1])) == example.experiment


def test_every_order_of_the_classes_has_every_class(example: Example) -> None:
    page = example.page()
    classes = page[page.index('id="classes"') : page.index('id="calibration"')]
    bodies = re.findall(r'<tbody class="by-(\w+)">(.*?)</tbody>', classes, re.DOTALL)
    assert [name for name, _ in bodies] == ["f1", "class", "precision", "recall", "support"]
    assert all(sorted(re.findall('scope="row">(.*?)<', body)) == ["cat", "dog", "eel"] for _, body in bodies)


def test_the_dashboard_summary_is_small_and_shows_pictures(tmp_path: Path) -> None:
    example = Example(tmp_path, classes=HOSTILE)
    summary = summary_markdown(example.experiment, example.artifacts)
    pictures = re.findall(r"!\[[^]]*\]\(data:image/png;base64,([^)]*)\)", summary)
    assert len(pictures) == 2
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for data in pictures)
    assert len(summary.encode()) < 180_000
    assert re.search(r"(?<!\\)<script", summary) is None
    assert re.search(r"(?<!\\)<img", summary) is None


def test_the_dashboard_table_has_headline_and_classes(example: Example) -> None:
    table = {row["metric"]: row["value"] for row in metrics_table(example.metrics.to_json())}
    assert table["accuracy"] == round(example.metrics.headline["accuracy"], 6)
    assert {"f1: cat", "precision: dog", "recall: eel"} <= set(table)


def with_generated(example: Example, folder: Path) -> Mapping[str, Artifact]:
    """The artifacts of a run that had a GAN's samples: its own dataset stands for the generated and the joined ones."""
    store, made = Store(folder), dict(example.artifacts)
    for role in ("generate", "augment"):
        made[role] = store.obtain(role, {"for": role}, example.preprocess).artifact
    for role in ("recogniser", "gan"):
        made[role] = store.obtain("train", {"for": role}, example.train).artifact
    return made


def test_generated_samples_that_were_trained_on_are_told_and_shown_apart(
    elements_of: Any, example: Example, tmp_path: Path
) -> None:
    gan = Experiment(name="maker", data=example.experiment.data, model=Model(kind="gan"))
    made = with_generated(example, tmp_path / "more")
    text = elements_of(page := render(example.experiment, made, gan=gan)).text
    assert text.count("18 more to train on, by the GAN maker") == 1
    assert "18 train, 18 validation, 18 test" in text  # the real ones
    data = elements_of(page[page.index('id="data"') : page.index('id="made"')])
    words = [image["alt"] for image in data.of("img")]
    assert (words.count("generated cat"), words.count("")) == (6, 18)
    for role in ("preprocess", "recogniser", "gan", "generate", "augment", "train", "evaluate"):
        assert made[role].key in text
    assert "Generated samples" not in elements_of(example.page()).text


@pytest.mark.parametrize("seed", [0, 3])
def test_commands_and_configuration_hold_the_gan_as_well(
    elements_of: Any, example: Example, tmp_path: Path, seed: int
) -> None:
    augment = Augment(gan="20260101-example-torch", generated=0.5)
    experiment = example.experiment.model_copy(update={"data": Data(source="some/folder", augment=augment)})
    gan = Experiment(name="example", seed=seed, data=Data(source="some/folder"), model=Model(kind="gan"))
    text = elements_of(render(experiment, with_generated(example, tmp_path / "more"), gan=gan)).text
    found = re.findall(r"cat > ([\w-]+\.yaml) <<'END'\n(.*?)END\n(recurra run example-gan.yaml)?", text, re.DOTALL)
    files = {name: Experiment(**yaml.safe_load(content)) for name, content, _ in found}
    # A file that is named gets the recogniser's seed, so one with another seed is run by itself.
    named = "latest" if seed else "example-gan.yaml"
    assert bool(found[0][2]) == bool(seed)
    assert files["example-gan.yaml"] == gan
    assert files["example.yaml"].data.augment == augment.model_copy(update={"gan": named})
    assert text.count("kind: gan") == 2


def test_a_plugin_whose_sections_fail_is_told(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        @hookimpl
        def recurra_report_sections(self, experiment: Experiment) -> None:
            raise ValueError(experiment.name)

    told: list[str] = []

    class Listener(Silent):
        def note(self, line: str) -> None:
            told.append(line)

    monkeypatch.setattr(stages, "extensions", lambda: extensions([Broken()]))
    made = stages.report(example.experiment, Store(tmp_path / "of"), example.artifacts, progress=Listener())
    assert "example" in made.artifact.file("report.html").read_text(encoding="utf-8")
    assert [line for line in told if "recurra_report_sections failed: ValueError: example" in line]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 10))
def test_ticks_are_round_numbers_within_the_axis(low: float, extent: float, wanted: int) -> None:
    high = low + extent
    if high - low < 1e-9 * max(abs(low), abs(high)):
        return
    found = ticks(low, high, wanted)
    room = 1e-6 * (high - low) + 1e-9 * abs(low)
    assert all(low - room <= value <= high + room for value in found)
    assert len(found) <= 2.5 * wanted + 1


def test_pictures_keep_shape_and_spread_over_the_clip() -> None:
    clip = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 300, 150, 1), np.uint8)
    strip = frames(clip, count=5, side=112)
    assert [(picture.width, picture.height) for picture in strip] == [(56, 112)] * 5
    assert len({picture.uri for picture in strip}) == 5
    assert math.isclose(frames(clip[:1, :4, :4], 8, 112)[0].width, 112)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_a_complaint(browsed: Any, tmp_path: Path, scheme: str) -> None:
    shown = browsed(Example(tmp_path / "store", classes=HOSTILE).page(), scheme)
    assert "<title>example · recurra report</title>" in shown.stdout
    # Chromium logs every refused style, script, picture and request to the console.
    assert "CONSOLE" not in shown.stderr
