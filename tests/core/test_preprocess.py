"""From a source to a dataset."""

import numpy as np
import pytest

from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.preprocess import prepare, preprocess, preprocess_settings, repeat_refusals
from recurra.progress import Silent
from recurra.readers import Form, Refused, open_source
from recurra.survey import in_order


class Notes(Silent):
    def __init__(self):
        self.lines, self.tasks = [], []

    def begin(self, task, total, unit, done=0):
        self.tasks.append([task, total, done])

    def advance(self, done, **values):
        self.tasks[-1][2] = done

    def note(self, line):
        self.lines.append(line)


def experiment(seed=0, **data) -> Experiment:
    return Experiment.model_validate({"name": "x", "seed": seed, "data": {"source": "x", **data}})


def made(source, folder, progress=None, seed=0, threads=None, **data):
    folder.mkdir(exist_ok=True, parents=True)
    return preprocess(source, experiment(seed, **data), folder, progress or Silent(), threads)


def test_every_sample_lands_once_in_one_split(images, tmp_path):
    dataset = made(images, tmp_path)
    sources = [source for split in dataset.splits.values() for source in split.sources()]
    assert sorted(sources) == sorted(images.samples.sources)
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 43, "validation": 5, "test": 12}
    train = dataset.splits["train"]
    rows = [images.samples.sources.index(source) for source in train.sources()]
    assert (train.pixels() == np.stack([images.arrays[row] for row in rows])).all()
    assert (train.labels() == images.samples.labels[rows]).all()


def test_statistics_are_those_of_the_training_split_alone(images, tmp_path):
    dataset = made(images, tmp_path, normalise={"scale": "standard"})
    train = dataset.splits["train"].pixels()
    assert dataset.summary["statistics"]["mean"][0] == pytest.approx(train.mean(dtype=np.float64), rel=1e-12)
    assert dataset.normalisation.apply(train).std() == pytest.approx(1, abs=1e-5)


def test_clips_get_the_median_length_of_the_training(clips, tmp_path):
    dataset = made(clips, tmp_path)
    lengths = dataset.splits["train"].lengths()
    assert (dataset.sample.kind, dataset.sample.frames) == ("clip", int(np.median(lengths) + 0.5))
    first = clips.samples.sources.index(dataset.splits["train"].sources()[0])
    index = ((np.arange(dataset.sample.frames) + 0.5) * lengths[0] / dataset.sample.frames).astype(int)
    assert (dataset.splits["train"].pixels()[0] == clips.arrays[first][index]).all()


def test_the_background_is_removed_before_frames_are_dropped(clips, tmp_path):
    dataset = made(clips, tmp_path, normalise={"remove": "clip_mean"}, clip={"frames": 2})
    first = clips.arrays[clips.samples.sources.index(dataset.splits["test"].sources()[0])]
    expected = (first - first.mean(dtype=np.float64))[[len(first) // 4, 3 * len(first) // 4]]
    assert dataset.splits["test"].pixels()[0] == pytest.approx(expected, abs=1e-5)


def test_the_number_of_threads_does_not_change_a_byte(clips, tmp_path):
    for threads in (1, 5):
        made(clips, tmp_path / str(threads), threads=threads)
    for file in (tmp_path / "1").iterdir():
        assert file.read_bytes() == (tmp_path / "5" / file.name).read_bytes()


def test_images_of_different_sizes_need_a_size(source_of, tmp_path):
    arrays = [np.zeros((1, 4 + (row == 7), 5, 1), np.uint8) for row in range(20)]
    source = source_of(arrays, [row % 2 for row in range(20)])
    with pytest.raises(InputError, match=r"'a/0000.png' is 4x5 and 'b/0007.png' is 5x5; set data.size"):
        made(source, tmp_path)
    assert made(source, tmp_path, size=3).sample.array == (1, 3, 3, 1)


def test_one_colour_sample_makes_all_colour_and_one_float_sample_all_float(source_of, tmp_path):
    arrays = [np.full((1, 4, 4, 1), 9, np.uint8) for _ in range(18)]
    arrays += [np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4, 4, 1), np.float32)]
    dataset = made(source_of(arrays, [row % 2 for row in range(20)]), tmp_path)
    assert (dataset.sample.channels, dataset.dtype) == (3, np.float32)


def test_refused_samples_are_left_out_written_down_and_told(images, tmp_path):
    images.broken, images.headless = frozenset([5]), frozenset([6])
    notes = Notes()
    dataset = made(images, tmp_path, notes)
    assert sum(map(len, dataset.splits.values())) == 58
    assert [(r.row, r.reason) for r in dataset.refused] == [(6, "is cut short"), (5, "is cut short")]
    assert any("2 of 60 samples cannot be used" in line for line in notes.lines)


def test_progress_counts_every_sample_to_the_end(images, tmp_path):
    notes = Notes()
    images.broken = frozenset([5])
    made(images, tmp_path, notes)
    assert notes.tasks == [["survey", 60, 60], ["preprocess", 60, 60]]


def test_a_source_of_which_nothing_can_be_read_says_so(images, tmp_path):
    images.headless = frozenset(range(60))
    with pytest.raises(InputError, match=r"no sample of the source can be used: 'a/0000.png' is cut short"):
        made(images, tmp_path, max_refused=1)


def test_too_many_refused_samples_stop_the_run(images, tmp_path):
    images.broken = frozenset(range(0, 60, 10))
    with pytest.raises(InputError, match=r"6 of 60 samples cannot be used.*0.05.*'a/0000.png' is cut short"):
        made(images, tmp_path)


def test_a_class_whose_samples_are_all_unreadable_stops_the_run(images, tmp_path):
    images.broken = frozenset(range(0, 60, 3))
    with pytest.raises(InputError, match="class 'a' is empty"):
        made(images, tmp_path, max_refused=1)


def test_a_sample_with_values_that_are_no_numbers_is_refused(clips, tmp_path):
    clips.arrays[3][0, 0, 0, 0] = np.nan
    assert "not a number" in made(clips, tmp_path, clip={"fit": "pad"}).refused[0].reason


def test_a_sample_without_a_label_is_refused(images, tmp_path):
    images.samples.labels[0] = -1
    assert made(images, tmp_path).refused[0].reason == "has no label"


def test_samples_to_predict_are_prepared_as_the_dataset_was(clips, tmp_path):
    dataset = made(clips, tmp_path, normalise={"remove": "frame_median"}, size=[5, 3], fit="pad")
    clips.broken = frozenset([2])
    rows, pixels, refused = zip(*prepare(clips, dataset), strict=True)
    prepared = dict(zip(np.concatenate(rows).tolist(), np.concatenate(pixels), strict=True))
    assert [r.row for part in refused for r in part] == [2]
    for source, expected in zip(dataset.splits["test"].sources(), dataset.splits["test"].pixels(), strict=True):
        assert (prepared[clips.samples.sources.index(source)] == expected).all()


def test_a_source_of_another_kind_cannot_be_prepared(images, clips, tmp_path):
    with pytest.raises(InputError, match="holds clips, and the dataset was made from images"):
        next(prepare(clips, made(images, tmp_path)))


def test_floats_are_refused_where_the_dataset_is_of_8_bit_values_unless_they_are_scaled_alike(
    source_of, images, tmp_path, monkeypatch
):
    dataset = made(images, tmp_path)
    level = np.linspace(-1, 256, 30, dtype=np.float32).reshape(1, 6, 5, 1)
    unscaled = source_of([images.arrays[0], level / 255], [0, 1])
    ((first, _, refused), (rows, pixels, _)) = prepare(unscaled, dataset)
    assert (first.tolist(), [(r.row, r.source) for r in refused]) == ([], [(1, "b/0001.png")])
    assert "not 8-bit" in refused[0].reason
    assert "uint8" in refused[0].reason
    assert (rows.tolist(), (pixels[0] == images.arrays[0]).all()) == ([0], True)

    scaled = source_of([level], [0])
    monkeypatch.setattr(scaled, "forms", lambda rows: [Form(1, 6, 5, 1, "float32", scaled=True)])
    ((rows, pixels, refused),) = prepare(scaled, dataset)
    assert (pixels.dtype, refused) == (np.uint8, ())
    assert (pixels[0] == np.clip(np.rint(level), 0, 255)).all()


def test_what_was_left_out_is_told_again_for_a_dataset_that_is_there(images, tmp_path):
    images.broken, images.refused = frozenset([5]), (Refused(-1, "notes.txt", "is no image"),)
    first, again = Notes(), Notes()
    dataset = made(images, tmp_path, first)
    repeat_refusals(dataset, experiment(), again)
    assert again.lines == first.lines
    assert [line.split(":")[0] for line in again.lines] == [
        "1 of 60 samples cannot be used",
        "1 entries of the source are no samples",
    ]
    with pytest.raises(InputError, match=r"1 of 60 samples cannot be used, and data.max_refused allows 0.01"):
        repeat_refusals(dataset, experiment(max_refused=0.01), again)


def test_a_dataset_of_which_nothing_was_left_out_is_told_nothing_of(images, tmp_path):
    notes = Notes()
    repeat_refusals(made(images, tmp_path), experiment(max_refused=0), notes)
    assert notes.lines == []


def test_a_split_of_the_source_that_cannot_be_used_is_not_drawn_instead(source_of, tmp_path):
    arrays = [np.zeros((1, 4, 4, 1), np.uint8) for _ in range(40)]
    splits = ["test" if row >= 36 else "train" for row in range(40)]
    source = source_of(arrays, [row % 2 for row in range(40)], splits, headless=frozenset(range(36, 40)))
    with pytest.raises(InputError, match="no sample of the source's own test split can be used"):
        made(source, tmp_path, max_refused=1)


def test_the_settings_name_what_matters_and_nothing_else(images, clips):
    plain = preprocess_settings(experiment())
    assert plain == preprocess_settings(experiment(augment={"flip": "both"}))
    assert plain != preprocess_settings(experiment(seed=1))
    assert plain != preprocess_settings(experiment(size=8))
    held = {"validation_fraction": 0}
    assert preprocess_settings(experiment(**held), clips) == preprocess_settings(experiment(seed=1, **held), clips)
    assert "clip" not in preprocess_settings(experiment(), images)["data"]
    named = [{"validation_group": {"folder": 0, "hold_out": "a"}, "validation_fraction": part} for part in (0.1, 0.3)]
    assert preprocess_settings(experiment(**named[0])) == preprocess_settings(experiment(**named[1]))


def test_results_come_in_order_and_only_a_few_are_in_flight():
    started = []
    results = in_order(lambda item: started.append(item) or -item, range(100), threads=3)
    assert [next(results) for _ in range(5)] == [0, -1, -2, -3, -4]
    assert len(started) <= 9


def test_fashion_mnist_becomes_what_was_published(fashion_mnist, tmp_path):
    source = open_source(str(fashion_mnist), experiment().data)
    dataset = preprocess(source, experiment(), tmp_path, Silent())
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 54_000,
        "validation": 6_000,
        "test": 10_000,
    }
    assert dataset.sample.array == (1, 28, 28, 1)
    assert dataset.splits["test"].pixels().mean() == pytest.approx(73.147, abs=1e-3)


def test_thermal_clips_hold_out_a_whole_recording_day(fir_actions, tmp_path):
    data = {"validation_group": {"pattern": r"^(\d+)_", "hold_out": 20170209}, "normalise": {"remove": "frame_median"}}
    source = open_source(str(fir_actions), experiment(**data).data)
    dataset = preprocess(source, experiment(**data), tmp_path, Silent())
    days = {name: set(split.groups() or ()) for name, split in dataset.splits.items()}
    assert days == {"train": {"20170203", "20170206"}, "validation": {"20170209"}, "test": {"20170210"}}
    assert dataset.sample.array == (21, 16, 16, 1)
    assert np.median(dataset.splits["test"].pixels(), (2, 3)).mean() == pytest.approx(0, abs=0.02)
