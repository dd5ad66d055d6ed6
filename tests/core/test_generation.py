"""Generated samples: as a dataset, beside real ones, and as files."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from recurra.contract import GanSpec
from recurra.errors import InputError
from recurra.experiment import Experiment, Gan, Model, Rnn
from recurra.export import export, folder_names
from recurra.generation import generate, per_class, samples
from recurra.generators import BuiltGan, gan_spec_for, numbered
from recurra.joining import join
from recurra.preprocess import preprocess
from recurra.progress import Silent
from recurra.readers import open_source


@dataclass
class Flat:
    """A generator of flat frames: their brightness is the class's and, a little, the content code's."""

    spec: GanSpec

    def generate(self, latents, labels):
        level = 0.2 + 0.2 * labels + 0.01 * np.tanh(latents.content[:, 0])
        return np.broadcast_to(
            level.astype(np.float32)[:, None, None, None, None], (len(labels), *self.spec.sample.array)
        )


def experiment(**fields):
    model = Model(kind="gan", gan=Gan(content=2, noise=1), rnn=Rnn(units=2))
    return Experiment(name="made", data={"source": "memory"}, model=model, **fields)


def dataset_of(source, folder):
    folder.mkdir()
    return preprocess(source, experiment(), folder, Silent())


def built_on(dataset):
    spec = gan_spec_for(experiment(), dataset)
    return BuiltGan(Flat(spec), None, "cpu", spec)  # type: ignore[arg-type]


@pytest.fixture
def real(images, tmp_path):
    return dataset_of(images, tmp_path / "real")


@pytest.fixture
def made(real, tmp_path, monkeypatch):
    monkeypatch.setattr("recurra.generation.trained_gan", lambda *_: built_on(real))
    folder = tmp_path / "made"
    folder.mkdir()
    return generate(experiment(), real.folder, folder, np.array([30, 20, 10]), folder, Silent())


def test_bounds_are_what_the_normalisation_makes_of_8_bit_values(real):
    assert gan_spec_for(experiment(), real).bounds == ((0.0, 1.0),)


def test_float_data_has_no_bounds(clips, tmp_path):
    assert gan_spec_for(experiment(), dataset_of(clips, tmp_path / "clips")).bounds is None


def test_asking_for_more_of_each_class_leaves_the_first_samples_as_they_are(real):
    few = {
        n: p
        for b in samples(built_on(real), real, np.array([2, 3, 1]), 0)
        for n, p in zip(b.numbers, b.pixels, strict=True)
    }
    many = {
        n: p
        for b in samples(built_on(real), real, np.array([9, 9, 9]), 0)
        for n, p in zip(b.numbers, b.pixels, strict=True)
    }
    assert sorted(few) == [0, 1, 2, 3, 4, 7]
    assert all((many[number] == pixels).all() for number, pixels in few.items())


def test_samples_are_numbered_within_their_class():
    assert numbered(np.array([1, 0, 1, 1, 2]), 3).tolist() == [1, 0, 4, 7, 2]


def test_a_generated_dataset_stands_for_the_real_one(real, made):
    assert (made.classes, made.sample, made.dtype) == (real.classes, real.sample, real.dtype)
    assert made.normalisation == real.normalisation
    share = len(real.splits["validation"]) / len(real.splits["train"])
    assert made.count("train").tolist() == [30, 20, 10]
    assert made.count("validation").tolist() == [round(30 * share), round(20 * share), round(10 * share)]
    means = [made.splits["train"].pixels()[made.splits["train"].labels() == label].mean() for label in range(3)]
    assert means == pytest.approx([51, 102, 153], abs=3)
    assert made.splits["train"].sources()[:2] == ["generated/a/000000", "generated/b/000000"]


def test_as_many_samples_of_each_class_judge_a_gan_as_there_are_to_train_on(real):
    assert per_class(experiment(), real).tolist() == real.count("train").tolist()
    chosen = experiment(evaluate={"gan": {"per_class": 7}})
    assert per_class(chosen, real).tolist() == [7, 7, 7]


def test_a_joined_dataset_has_more_to_train_on_and_the_same_tests(real, made, tmp_path):
    (tmp_path / "joined").mkdir()
    joined = join(real.folder, made.folder, tmp_path / "joined", Silent())
    assert joined.count("train").tolist() == (real.count("train") + made.count("train")).tolist()
    for split in ("validation", "test"):
        assert (joined.splits[split].pixels() == real.splits[split].pixels()).all()
        assert joined.splits[split].sources() == real.splits[split].sources()
    own = len(real.splits["train"])
    assert (joined.splits["train"].pixels()[:own] == real.splits["train"].pixels()).all()
    assert (joined.splits["train"].pixels()[own:] == made.splits["train"].pixels()).all()
    assert joined.normalisation == real.normalisation


def some(dataset, count=2):
    return list(samples(built_on(dataset), dataset, np.full(len(dataset.classes), count), 0))


def test_images_are_written_as_png_in_folders_of_their_classes(real, tmp_path):
    out = tmp_path / "out"
    assert export(some(real), real, out) == []
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.png")) == [
        f"{name}/00000{number}.png" for name in "abc" for number in (0, 1)
    ]
    expected = some(real)[0].pixels[1, 0, :, :, 0]
    assert (np.asarray(Image.open(out / "b" / "000000.png")) == expected).all()
    assert not list(tmp_path.glob(".out-*"))


def test_float_clips_keep_their_values_and_are_read_again_as_a_source(clips, tmp_path):
    real = dataset_of(clips, tmp_path / "real")
    export(some(real), real, tmp_path / "out")
    written = np.load(tmp_path / "out" / "a" / "000001.npy")
    assert written.dtype == np.float32
    assert (written == some(real)[0].pixels[2]).all()
    data = experiment().data.model_copy(update={"source": str(tmp_path / "out"), "kind": "clips"})
    assert open_source(data.source, data).classes == ("a", "b")


def test_a_gif_of_float_clips_says_that_its_values_were_scaled(clips, tmp_path):
    real = dataset_of(clips, tmp_path / "real")
    notes = export(some(real), real, tmp_path / "out", "gif")
    assert "scaled" in notes[0]
    assert Image.open(tmp_path / "out" / "a" / "000000.gif").format == "GIF"


def test_a_table_explains_itself_and_is_a_source(real, tmp_path):
    export(some(real), real, tmp_path / "out", "parquet")
    path = tmp_path / "out" / "samples.parquet"
    table = pq.read_table(path)
    assert table["label"].to_pylist() == ["a", "b", "c"] * 2
    about = table.schema.field("image").metadata
    shape, dtype = json.loads(about[b"recurra.shape"]), about[b"recurra.dtype"].decode()
    first = np.frombuffer(table["image"][0].as_py(), dtype).reshape(shape)
    assert (first == some(real)[0].pixels[0, 0]).all()
    data = experiment().data.model_copy(update={"source": str(path)})
    source = open_source(str(path), data)
    assert (source.classes, source.kind, len(source.samples)) == (("a", "b", "c"), "image", 6)


@pytest.mark.parametrize(("wanted", "message"), [("png", "these samples are clips")])
def test_a_format_that_cannot_hold_the_samples_is_refused(clips, tmp_path, wanted, message):
    real = dataset_of(clips, tmp_path / "real")
    with pytest.raises(InputError, match=message):
        export(some(real), real, tmp_path / "out", wanted)


def test_a_folder_that_is_not_empty_is_left_alone(real, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="there already"):
        export(some(real), real, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_what_fails_half_way_leaves_nothing(real, tmp_path):
    def broken():
        yield some(real)[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        export(broken(), real, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out-*"))


def test_class_names_become_folders_within_the_one_that_was_asked_for():
    names = ["T-shirt/top", "..", "", "50%", "50%25", "a\nb"]
    folders = folder_names(names)
    assert folders[:2] == ["T-shirt%2Ftop", "%2E%2E"]
    assert len({*folders}) == len(names)
    assert not any("/" in folder for folder in folders)


@given(st.lists(st.text(max_size=5), unique=True, max_size=8))
def test_no_two_classes_share_a_folder_even_where_cases_are_one(names):
    assert len({folder.casefold() for folder in folder_names(names)}) == len(names)


def test_samples_of_oddly_named_classes_are_read_again_and_a_note_says_their_folders(real, tmp_path):
    odd = replace(real, classes=(".cat", "train", "Test"))
    (note,) = export(some(odd), odd, tmp_path / "out")
    assert note.endswith("'.cat' is %2Ecat, 'train' is %74rain, 'Test' is %54est")
    data = experiment().data.model_copy(update={"source": str(tmp_path / "out")})
    source = open_source(data.source, data)
    assert (sorted(source.classes), len(source.samples)) == (["%2Ecat", "%54est", "%74rain"], 6)


@pytest.mark.parametrize(
    ("channels", "wanted", "ending", "notes"),
    [(1, "auto", "npy", 0), (3, "auto", "parquet", 0), (1, "npy", "npy", 0), (3, "npy", "npy", 1)],
)
def test_float_images_are_read_again_as_images(source_of, tmp_path, channels, wanted, ending, notes):
    pixels = np.random.default_rng(0).random((60, 1, 8, 8, channels)).astype(np.float32)
    real = dataset_of(source_of(list(pixels), [row % 3 for row in range(60)]), tmp_path / "real")
    said = export(some(real), real, tmp_path / "out", wanted)
    assert len(said) == notes
    assert {path.suffix for path in (tmp_path / "out").rglob("*.*")} == {f".{ending}"}
    kind = "images" if any("data.kind: images" in line for line in said) else "auto"
    data = experiment().data.model_copy(update={"source": str(tmp_path / "out"), "kind": kind})
    assert open_source(data.source, data).kind == "image"


def test_8_bit_clips_keep_their_equal_frames(source_of, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 4, 8, 8, 1), dtype=np.uint8)
    real = dataset_of(source_of(list(pixels), [row % 3 for row in range(30)], kind="clip"), tmp_path / "real")
    export(some(real), real, tmp_path / "out")  # every frame of a sample is the same
    assert np.load(tmp_path / "out" / "a" / "000000.npy").shape == (4, 8, 8, 1)
    assert "equal frames" in export(some(real), real, tmp_path / "gifs", "gif")[0]
