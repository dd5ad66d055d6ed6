"""The report of a GAN shows what was generated beside what is real, and beside each number what real samples have."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from recurra.checkpoint import write_arrays
from recurra.contract import SampleShape
from recurra.dataset import FORMAT
from recurra.dataset_writer import DatasetWriter, Rows
from recurra.durable import read_json, write_json
from recurra.experiment import Adversarial, Data, Experiment, Model, Train
from recurra.report import Section, metrics_table, render, summary_markdown
from recurra.store import Artifact, Store
from recurra.training import write_history

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b | `c`")
IMAGE = SampleShape("image", 1, 8, 8, 1)
CLIP = SampleShape("clip", 6, 8, 8, 1)
SAMPLES, STEPS, PAIRS = {"image": 10, "clip": 4}, {"image": 8, "clip": 5}, {"image": 10, "clip": 4}
Json = dict[str, Any]


class Example:
    """Artifacts as the stages leave them: bright squares that move, each class on a row of its own."""

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str] = ("cat", "dog", "eel"),
        sample: SampleShape = IMAGE,
        dtype: str = "uint8",
        epochs: int = 6,
        measure_every: int = 1,
        measured: bool = True,
        symptoms: Sequence[str] = (),
        close: float = 0.012,
        nearer: tuple[float, float] = (0.52, 0.04),
        compared: int = 400,
        kernel: tuple[float, float] = (0.4, 0.05),
        known: float = 0.97,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.classes, self.sample, self.dtype = tuple(classes), sample, dtype
        self.epochs, self.measure_every, self.measured = epochs, measure_every, measured
        self.symptoms, self.close, self.random = list(symptoms), close, np.random.default_rng(0)
        self.nearer, self.compared, self.kernel, self.known = nearer, compared, kernel, known
        adversarial = Adversarial(measure_every=measure_every, **(settings or {}))
        self.experiment = Experiment(
            name="example",
            data=Data(source="some/folder"),
            model=Model(kind="gan"),
            train=Train(epochs=epochs, gan=adversarial),
        )
        made = {
            "preprocess": ("preprocess", self.dataset),
            "recogniser": ("train", self.recogniser),
            "train": ("train", self.gan),
            "generate": ("generate", self.dataset),
            "student": ("train", self.recogniser),
            "evaluate": ("judgement", self.judgement),
        }
        store = Store(folder)
        self.artifacts: Mapping[str, Artifact] = {
            role: store.obtain(stage, {"for": role}, make).artifact for role, (stage, make) in made.items()
        }

    def pixels(self, labels: np.ndarray, noise: float = 0.1) -> np.ndarray:
        """Samples [N, T, H, W, C] of these classes."""
        frames, height, width, channels = self.sample.array
        pixels = np.abs(self.random.normal(0, noise, (len(labels), frames, height, width, channels)))
        for place, label in enumerate(labels):
            for frame in range(frames):
                row, column = label % (height - 1), (frame + label // height) % (width - 1)
                pixels[place, frame, row : row + 2, column : column + 2] += 1
        return (np.clip(pixels, 0, 1) * 255).astype(np.uint8) if self.dtype == "uint8" else pixels.astype(np.float32)

    def dataset(self, folder: Path) -> None:
        labels = np.arange(4 * len(self.classes)) % len(self.classes)
        counts = np.bincount(labels, minlength=len(self.classes)).tolist()
        shape = {name: getattr(self.sample, name) for name in ("kind", "frames", "height", "width", "channels")}
        scaling = {"scale": [1.0] * self.sample.channels, "offset": [0.0] * self.sample.channels}
        recipe = {"sample": shape, "dtype": self.dtype, "fit": "stretch", "clip_fit": "resample", "remove": "none"}
        with DatasetWriter(folder, self.sample, self.dtype, self.classes) as writer:
            for split in ("train", "test"):
                sources = [f"{split}/<b>{row}</b>.png" for row in range(len(labels))]
                lengths = np.full(len(labels), self.sample.frames, np.int32)
                writer.write(split, Rows(self.pixels(labels), labels.astype(np.int32), sources, lengths))
            about = {"format": FORMAT, "kind": self.sample.kind, "classes": list(self.classes), "sample": shape}
            about |= {"dtype": self.dtype, "counts": dict.fromkeys(("train", "test"), counts), "normalisation": scaling}
            writer.finish({**about, "recipe": recipe, "settings": {}, "statistics": {}, "refused": {}}, [])

    def recogniser(self, folder: Path) -> None:
        write_json(folder / "train.json", self.record())

    def record(self) -> Json:
        record: Json = {"best_epoch": max(1, self.epochs - 1), "epochs_done": self.epochs, "stopped": "finished"}
        record |= {"parameters": 1234, "device": "cpu", "seconds": 8.0, "samples_per_second": 100.0}
        return record | {"environment": {"python": "3.11"}, "peak_memory": 1}

    def gan(self, folder: Path) -> None:
        write_history(folder / "history.parquet", [self.row(epoch) for epoch in range(1, self.epochs + 1)])
        for name in ("best", "last"):
            (folder / f"{name}.safetensors").write_bytes(name.encode())
        count = max(len(self.classes), 24 // len(self.classes) * len(self.classes))
        for epoch in range(1, min(self.epochs, 16) + 1):
            labels = np.arange(count) % len(self.classes)
            arrays = {"pixels": self.pixels(labels, noise=1 / epoch), "labels": labels}
            write_arrays(folder / f"preview-{epoch:06}.safetensors", arrays)
        write_json(folder / "train.json", self.record() | {"symptoms": self.symptoms, "measured": 2000})

    def row(self, epoch: int) -> Json:
        there = self.measured and (epoch % self.measure_every == 0 or epoch == self.epochs)
        measures = {"frechet": 90 / epoch, "kernel": 4 / epoch - 0.1, "precision": 0.8, "recall": 1 - 0.8 / epoch}
        measures |= {"label_accuracy": 1 - 0.7 / epoch, "diversity": 0.7}
        losses = {"generator_loss": 1 + 1 / epoch, "discriminator_loss": 1.2, "penalty": 0.01}
        return {
            "epoch": epoch,
            **losses,
            "real_right": 0.7,
            "fake_right": 0.65,
            **(measures if there else dict.fromkeys(measures)),
            "seconds": 2.0,
            "samples_per_second": 100.0,
        }

    def judgement(self, folder: Path) -> None:
        write_json(folder / "metrics.json", self.metrics())
        write_arrays(folder / "pictures.safetensors", self.pictures())

    def confusion(self, right: int, wrong: int) -> list[list[int]]:
        classes = len(self.classes)
        return (np.eye(classes, dtype=int) * right + np.eye(classes, k=1, dtype=int) * wrong).tolist()

    def metrics(self) -> Json:
        classes, known = len(self.classes), self.measured
        floors = {
            "frechet": (12.5, 3.25),
            "kernel": (self.kernel[0], -0.01),
            "precision": (0.81, 0.92),
            "recall": (0.55, 0.93),
        }
        floors["diversity"] = (0.7, 0.97)
        measures = {
            name: {"value": value if known else None, "floor": floor if known else None}
            for name, (value, floor) in floors.items()
        }
        errors = (self.kernel[1], 0.001) if known else (None, None)
        measures["kernel"] |= dict(zip(("value_error", "floor_error"), errors, strict=True))
        tested = {"accuracy": 0.7125, "low": 0.68, "high": 0.74, "confusion": self.confusion(70, 28)}
        judged = {"accuracy": 0.9625, "low": 0.94, "high": 0.98, "confusion": self.confusion(96, 4)}
        judged |= {"train_accuracy": self.known}
        seen = {"accuracy": 0.875, "floor": 0.955, "confusion": self.confusion(40, 5)}
        headline = {"tstr": 0.7125, "trtr": 0.9625, "trts": 0.875} | ({"frechet": 12.5} if known else {})
        per_class = [
            {"name": name, "train": 4, "test": 4, "generated": 45, "compared": 4, "tstr": 0.7, "trtr": 0.96}
            | {"trts": 0.8 + 0.01 * (number % 20), "diversity": 0.7 if known else None, "diversity_floor": 0.97}
            for number, name in enumerate(self.classes)
        ]
        memory: Json = {"generated": 5.5, "test": 6.0, "ratio": 5.5 / 6, "share": self.close, "expected": 0.01}
        memory |= {"threshold": 2.5, "pairs": []}
        share, half = self.nearer
        told = {"share": share, "low": share - half, "high": share + half, "copies": 0.75}
        if not known:
            memory, told = dict.fromkeys(memory) | {"pairs": []}, dict.fromkeys(told)
        memory["nearer"] = told | {"compared": self.compared}
        return {
            "format": 1,
            "kind": "gan",
            "sample": self.sample.kind,
            "classes": list(self.classes),
            "headline": headline,
            "samples": {"train": 4 * classes, "test": 4 * classes, "generated": 45 * classes, "compared": self.compared}
            | {"components": 64},
            "measures": measures,
            "tstr": tested,
            "trtr": judged,
            "trts": seen,
            "per_class": per_class,
            "memorisation": memory,
            "motion": self.motion() if self.sample.kind == "clip" else None,
            "seconds": 3.0,
        }

    def motion(self) -> Json:
        names = ("generated", "test", "train", "ratio", "ratio_floor", "distance", "distance_floor")
        values = dict(zip(names, (0.31, 0.25, 0.26, 1.24, 1.04, 0.06, 0.011), strict=True))
        likeness = values if self.measured else dict.fromkeys(names)
        table = {"overall": likeness, "per_class": [likeness] * len(self.classes)}
        return {"change": table, "jitter": table if self.sample.frames > 2 else None}

    def pictures(self) -> dict[str, np.ndarray]:
        classes, kind = len(self.classes), self.sample.kind
        count, steps, pairs = SAMPLES[kind], STEPS[kind], PAIRS[kind]
        grid = np.repeat(np.arange(classes), count)
        seen = np.repeat(np.arange(classes)[:, None], count, axis=1)
        generated_seen, real_seen = seen.copy(), seen.copy()
        generated_seen[0, 1], real_seen[-1, -1] = classes - 1, -1
        walked = np.unique(np.linspace(0, classes - 1, min(6, classes)).round().astype(np.int64))
        walks = np.repeat(walked, steps)
        near = np.arange(2 * pairs) // 2 % classes
        return {
            "samples": self.pixels(grid, 0.2).reshape(classes, count, *self.sample.array),
            "samples_seen": generated_seen,
            "real": self.pixels(grid).reshape(classes, count, *self.sample.array),
            "real_seen": real_seen,
            "samples_labels": np.arange(classes),
            "content": self.pixels(walks).reshape(len(walked), steps, *self.sample.array),
            "motion": self.pixels(walks).reshape(len(walked), steps, *self.sample.array),
            "walk_labels": walked,
            "neighbours": self.pixels(near).reshape(pairs, 2, *self.sample.array),
            "neighbours_labels": near.reshape(pairs, 2),
            "neighbours_distance": np.linspace(1, 2, pairs),
        }

    def page(self, *sections: Section) -> str:
        return render(self.experiment, self.artifacts, sections)

    def summary(self) -> str:
        return summary_markdown(self.experiment, self.artifacts)


def part(page: str, place: str) -> str:
    """One section of the page."""
    return page[page.index(f'<section id="{place}"') :].split("</section>")[0]


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return Example(tmp_path)


@pytest.fixture
def clips(tmp_path: Path) -> Example:
    return Example(tmp_path, sample=CLIP, dtype="float32")


@pytest.mark.parametrize("sample", [IMAGE, CLIP])
def test_the_page_asks_for_nothing_and_runs_nothing(elements_of: Any, tmp_path: Path, sample: SampleShape) -> None:
    elements = elements_of(Example(tmp_path, sample=sample).page())
    assert not elements.of("script", "link", "iframe", "object", "embed", "form", "base")
    for _, attributes in elements.found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        places = [attributes.get(name) or "#" for name in ("src", "href", "srcset", "action")]
        assert all(place.startswith(("data:image/", "#")) for place in places)


def test_names_and_symptoms_are_shown_as_text(elements_of: Any, tmp_path: Path) -> None:
    page = Example(tmp_path, classes=HOSTILE, symptoms=["<b>Too sure</b>"]).page(Section("<i>title</i>", "<p>its</p>"))
    elements = elements_of(page)
    assert not elements.of("script", "b", "i")
    assert not [image for image in elements.of("img") if "onerror" in image]
    for name in (*HOSTILE, "<i>title</i>", "<b>Too sure</b>."):
        assert name in elements.text
    assert "<p>its</p>" in page


def test_equal_input_gives_equal_bytes(clips: Example) -> None:
    assert clips.page() == clips.page()
    assert clips.summary() == clips.summary()


@pytest.mark.parametrize("sample", [IMAGE, CLIP])
def test_headings_descend_in_order_and_pictures_and_tables_are_named(
    elements_of: Any, tmp_path: Path, sample: SampleShape
) -> None:
    elements = elements_of(Example(tmp_path, sample=sample).page())
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("alt" in image for image in elements.of("img"))
    assert all(heading.get("scope") in ("row", "col") for heading in elements.of("th"))
    assert all(drawing.get("aria-label") or drawing.get("aria-hidden") for drawing in elements.of("svg"))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in elements.of("a")} <= {f"#{name}" for name in ids}


def test_the_headline_says_what_the_samples_are_worth(elements_of: Any, example: Example) -> None:
    lead = elements_of(part(example.page(), "results")).text
    assert "names the right class of 71.2% of 266 real test images (95% interval 68.0% to 74.0%)" in lead
    assert "the judge, one like it that was trained on real samples, of 96.2%" in lead
    assert "The judge takes 87.5% of the generated samples for the class that was intended, and 95.5% of" in lead
    assert "There is no sign of copying" in lead


@pytest.mark.parametrize(
    ("nearer", "compared", "verdict"),
    [
        ((0.6, 0.05), 400, "There are signs of copying: 60.0% of the generated samples are nearer"),
        ((0.6, 0.05), 100, "Whether they are copies cannot be told with so few samples"),
        ((0.52, 0.05), 400, "There is no sign of copying"),
        ((0.52, 0.3), 400, "Whether they are copies cannot be told from samples like these"),
        ((0.3, 0.05), 400, "Whether they are copies cannot be told, because training samples look unlike new ones"),
    ],
)
def test_copies_are_told_by_what_is_nearer_and_only_from_enough_samples(
    tmp_path: Path, nearer: tuple[float, float], compared: int, verdict: str
) -> None:
    assert verdict in part(Example(tmp_path, nearer=nearer, compared=compared).page(), "copies")


def test_samples_that_lie_near_may_be_of_little_variety_and_are_not_called_copies(tmp_path: Path) -> None:
    near = part(Example(tmp_path / "near", close=0.3).page(), "copies")
    assert "nearer than real ones are. They are copies, or samples of little variety" in near
    assert "no sign of copying" in near
    assert "nearer than real ones are" not in part(Example(tmp_path / "few", close=0.05, compared=100).page(), "copies")


def test_a_judge_that_knows_its_training_samples_by_heart_is_warned_of(tmp_path: Path) -> None:
    assert "every floor is too generous" not in Example(tmp_path / "sound").page()
    page = Example(tmp_path / "overfitted", known=1.0, measured=True)
    metrics = page.artifacts["evaluate"].file("metrics.json")
    measured = read_json(metrics)
    measured["trtr"] |= {"accuracy": 0.8}
    write_json(metrics, measured)
    assert "every floor is too generous" in part(page.page(), "results")
    assert "right on 100.0% of the training samples, which it was trained on, and on 80.0%" in page.page()


def test_a_kernel_distance_is_judged_by_its_error_and_not_by_a_ratio(tmp_path: Path) -> None:
    far, near = (Example(tmp_path / str(e), kernel=(0.4, e)).page() for e in (0.05, 0.5))
    assert "farther apart than real samples are" in part(far, "measures")
    assert "0.4 ± 0.5" in part(near, "measures")
    assert "no difference from real samples beyond chance" in part(near, "measures")


def test_its_commands_do_not_count_on_being_the_newest_run(example: Example) -> None:
    again = part(example.page(), "again")
    assert "latest" not in again
    assert "recurra generate RUN --out FOLDER" in again
    assert "recurra run RECOGNISER.yaml data.augment.gan=example.yaml" in again


def test_every_measure_stands_beside_its_floor_and_a_verdict(example: Example) -> None:
    table = part(example.page(), "measures")
    cells = '<td class="n">(.*?)</td><td class="n">(.*?)</td><td>(.*?)</td>'
    rows = re.findall(f'<th scope="row">(.*?) <span.*?{cells}', table)
    assert ("Fréchet distance", "12.5", "3.25", "3.8 times as far apart as real samples") in rows
    assert ("Kernel distance", "0.4 ± 0.05", "-0.01 ± 0.001", "farther apart than real samples are") in rows
    assert ("Recall", "55.0%", "93.0%", "38 points below real samples: some of the real variety is missing") in rows


def test_it_says_that_its_distances_are_no_published_ones(elements_of: Any, example: Example) -> None:
    assert "is not a published FID" in " ".join(elements_of(part(example.page(), "reading")).text.split()).replace(
        " it ", " "
    )


def test_what_was_not_measured_is_a_dash_and_no_number(elements_of: Any, tmp_path: Path) -> None:
    page = Example(tmp_path, measured=False, sample=CLIP).page()
    assert "not measured" in part(page, "measures")
    assert "could not be told" in part(page, "copies")
    assert not re.search(r"\b(nan|None|inf)\b", elements_of(page).text)
    assert "Fréchet distance" not in part(page, "learning").split('<p class="caption">')[0].split("</p>", 1)[1]


def test_each_class_has_generated_samples_beside_real_ones(elements_of: Any, example: Example) -> None:
    samples = elements_of(part(example.page(), "samples"))
    words = [image["alt"] for image in samples.of("img")]
    assert words.count("generated cat") == 9
    assert words.count("generated cat, taken for eel") == 1
    assert words.count("real dog") == 10
    assert words.count("real eel") == 9  # there is no tenth


def test_a_clip_is_a_looped_film_with_a_still_and_a_strip(clips: Example) -> None:
    page = part(clips.page(), "samples")
    films = re.findall(r'<img src="data:image/gif;base64,([^"]+)"[^>]*class="moving', page)
    assert len(films) == 3 * 8 - 1
    with Image.open(io.BytesIO(base64.b64decode(films[0]))) as film:
        assert (getattr(film, "n_frames", 1), film.info["loop"]) == (CLIP.frames, 0)
    assert page.count('class="still') == len(films)
    assert page.count('class="strip whole"') == 6
    assert 'id="hold"' in page


def test_those_who_want_no_motion_see_stills(clips: Example) -> None:
    style = clips.page().split("<style>")[1].split("</style>")[0]
    reduced = style[style.rindex("@media (prefers-reduced-motion: reduce)") :]
    assert ".film .moving, .hold { display: none; }" in reduced
    assert ".film .still:not(:only-child) { display: block; }" in reduced


def test_float_clips_are_on_one_scale_whose_ends_are_written(clips: Example) -> None:
    page = clips.page()
    ends = re.findall(r"black is (-?[\d.]+) and less, white is (-?[\d.]+) and more", page)
    assert len(set(ends)) == 1
    assert 0 <= float(ends[0][0]) < 1 < float(ends[0][1]) < 2


def test_the_clips_motion_is_beside_that_of_real_ones(clips: Example, tmp_path: Path) -> None:
    tables = part(clips.page(), "motion")
    assert tables.count('class="total"') == 2
    assert tables.count('<th scope="row">') == 2 * (1 + 3)
    short = Example(tmp_path / "short", sample=SampleShape("clip", 2, 8, 8, 1)).page()
    assert part(short, "motion").count("<table>") == 1


def test_images_have_no_motion_and_no_films(example: Example) -> None:
    page = example.page()
    assert "image/gif" not in page
    assert 'id="motion"' not in page
    assert "#motion" not in page


def test_the_samples_of_each_kept_epoch_are_a_row_with_the_judged_one_marked(tmp_path: Path) -> None:
    page = part(Example(tmp_path, epochs=20).page(), "learning")
    rows = re.findall(r'<tr( class="tested")?><th scope="row" class="n">(\d+)', page)
    assert [int(epoch) for _, epoch in rows] == list(range(1, 17))
    assert page.count('<td><span class="film') == 16 * 10


def test_curves_join_the_epochs_that_were_measured(tmp_path: Path) -> None:
    page = part(Example(tmp_path, epochs=9, measure_every=3).page(), "learning")
    frechet = page[page.index("<h3>Fréchet distance") : page.index("<h3>Kernel distance")]
    line = re.search(r'<path d="([^"]+)" class="curve', frechet)
    assert line is not None
    assert line[1].count("L") == 2
    assert "from 30 to 10" in frechet
    right = page[page.index("<h3>How often") : page.index("<h3>Fréchet distance")]
    assert right.count('class="level"') == 1


def test_a_relativistic_loss_has_one_line_of_who_was_right(tmp_path: Path) -> None:
    page = part(Example(tmp_path, settings={"loss": "relativistic"}).page(), "learning")
    assert "on pairs" in page
    assert "on generated samples" not in page


def test_intended_classes_are_beside_those_that_the_judge_sees(elements_of: Any, example: Example) -> None:
    page = part(example.page(), "intended")
    assert "intended ↓" in page
    assert "cat taken for dog: 5 of 45 (11.1%)" in page
    assert "cat for dog (11.1%)" in elements_of(page).text


def test_every_order_of_the_classes_has_every_class(example: Example) -> None:
    bodies = re.findall(r'<tbody class="by-(\w+)">(.*?)</tbody>', part(example.page(), "classes"), re.DOTALL)
    assert [name for name, _ in bodies] == ["trts", "class", "tstr", "diversity"]
    assert all(sorted(re.findall('scope="row">(.*?)<', body)) == ["cat", "dog", "eel"] for _, body in bodies)


def test_a_judge_that_guesses_is_warned_of(example: Example) -> None:
    metrics = example.artifacts["evaluate"].file("metrics.json")
    measured = read_json(metrics)
    measured["trtr"]["accuracy"] = 0.3
    write_json(metrics, measured)
    assert "what it says about generated ones means little" in part(example.page(), "results")


def test_one_class_and_one_epoch_are_enough(elements_of: Any, tmp_path: Path) -> None:
    example = Example(tmp_path, classes=["only"], epochs=1)
    page = example.page()
    assert "1 epoch." in elements_of(page).text
    assert part(page, "learning").count('class="dot') == 11
    assert example.summary()


def test_many_classes_of_large_clips_stay_a_small_page(tmp_path: Path) -> None:
    large = SampleShape("clip", 6, 40, 40, 3)
    many = Example(tmp_path, classes=[f"class {n}" for n in range(30)], sample=large, epochs=1)
    page = many.page()
    assert part(page, "samples").count("<h3>") == 30
    assert len(page) < 3_000_000
    assert len(many.summary().encode()) < 180_000


def test_it_names_all_that_it_was_made_from(elements_of: Any, example: Example) -> None:
    text = elements_of(example.page()).text
    for artifact in example.artifacts.values():
        assert f"{artifact.stage}/{artifact.key}" in text
    assert example.artifacts["train"].sha256("best.safetensors") in text
    assert "Generator" in text
    assert "Frame discriminator" in text


def test_its_commands_hold_the_same_experiment(elements_of: Any, example: Example) -> None:
    text = elements_of(example.page()).text
    file = re.search(r"cat > example\.yaml <<'END'\n(.*?)END\nrecurra run example\.yaml", text, re.DOTALL)
    assert file is not None
    assert Experiment(**yaml.safe_load(file[1])) == example.experiment


def test_the_dashboard_summary_is_small_and_shows_samples_and_curves(tmp_path: Path) -> None:
    summary = Example(tmp_path, classes=HOSTILE, sample=CLIP, symptoms=["<b>too sure</b>"]).summary()
    pictures = re.findall(r"!\[[^]]*\]\(data:image/png;base64,([^)]*)\)", summary)
    assert len(pictures) == 2
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for data in pictures)
    assert len(summary.encode()) < 180_000
    assert re.search(r"(?<!\\)<(script|img|b)", summary) is None
    assert "| Recall | 55.0% | 93.0% |" in summary


def test_the_dashboard_table_has_headline_and_classes(example: Example) -> None:
    table = {row["metric"]: row["value"] for row in metrics_table(example.metrics())}
    assert (table["tstr"], table["frechet"]) == (0.7125, 12.5)
    assert {"trts: cat", "tstr: dog", "diversity: eel"} <= set(table)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_a_complaint(browsed: Any, tmp_path: Path, scheme: str) -> None:
    shown = browsed(Example(tmp_path / "store", classes=HOSTILE, sample=CLIP).page(), scheme)
    assert "<title>example · recurra report</title>" in shown.stdout
    # Chromium logs every refused style, script, picture and request to the console.
    assert "CONSOLE" not in shown.stderr
