"""The whole judgement of samples whose worth is known, with recognisers and a generator made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.contract import Latents
from recurra.dataset import Dataset
from recurra.experiment import Experiment
from recurra.generation import generate
from recurra.generators import BuiltGan, balanced, gan_spec_for
from recurra.judgement import judge_of, judging
from recurra.judgement.drawing import among
from recurra.judgement.findings import Findings
from recurra.judgement.judging import Bench, pictures
from recurra.judgement.pictures import NO_SAMPLE, table
from recurra.judgement.referee import Referee
from recurra.judgement.sight import NO_ANSWER
from recurra.preprocess import preprocess
from recurra.progress import Silent

CLASSES = 3


class Brightest:
    """Takes a sample for the class whose column of pixels is the brightest; all pixels are features."""

    def logits(self, x: np.ndarray) -> np.ndarray:
        return x.mean(axis=(1, 2, 4))[:, :CLASSES]

    def features(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1)


class Always:
    """Takes everything for class 0."""

    def logits(self, x: np.ndarray) -> np.ndarray:
        return np.tile(np.array([1, 0, 0], np.float32), (len(x), 1))


def drawn(labels: np.ndarray, random: np.random.Generator, frames: int = 1) -> np.ndarray:
    """[N, T, 4, 4, 1] in 0..1, of noise, with a bright column that says the class."""
    x = random.uniform(0, 0.4, (len(labels), frames, 4, 4, 1)).astype(np.float32)
    x[np.arange(len(labels)), :, :, labels] += 0.5
    return x


class Painter:
    """A generator whose samples are like real ones, or all alike, or of the next class."""

    def __init__(self, how: str = "well") -> None:
        self.how = how

    def generate(self, latents: Latents, labels: np.ndarray) -> np.ndarray:
        seeds = (np.abs(latents.content[:, 0]) * 1e6).astype(int) if self.how != "alike" else np.zeros(len(labels), int)
        shown = (labels + 1) % CLASSES if self.how == "mistaken" else labels
        pairs = zip(shown, seeds, strict=True)
        frames = latents.noise.shape[1]
        return np.concatenate([drawn(np.array([y]), np.random.default_rng(s), frames) for y, s in pairs])


def experiment(**gan: Any) -> Experiment:
    return Experiment.model_validate({
        "name": "x",
        "data": {"source": "x", "test_fraction": 0.4, "validation_fraction": 0.0},
        "model": {"kind": "gan", "gan": {"channels": [4], "frame_channels": [4], "clip_channels": [4]}},
        "evaluate": {"gan": {"components": 8, **gan}},
    })  # fmt: skip


@pytest.fixture(params=["image", "clip"])
def real(request: pytest.FixtureRequest, tmp_path: Path, source_of: Any) -> Dataset:
    """300 samples in three classes."""
    labels = balanced(300, CLASSES)
    pixels = drawn(labels, np.random.default_rng(5), 1 if request.param == "image" else 4)
    source = source_of(list(np.rint(pixels * 255).astype(np.uint8)), labels.tolist(), kind=request.param)
    folder = tmp_path / "real"
    folder.mkdir()
    return preprocess(source, experiment(), folder, Silent())


def painted(real: Dataset, how: str) -> BuiltGan:
    network: Any = Painter(how)
    backend: Any = None
    return BuiltGan(network, backend, "cpu", gan_spec_for(experiment(), real))


def judged(real: Dataset, how: str, folder: Path, monkeypatch: pytest.MonkeyPatch, student: Any = None) -> Findings:
    folder.mkdir()
    monkeypatch.setattr("recurra.generation.trained_gan", lambda *_: painted(real, how))
    made = generate(experiment(), real.folder, folder, np.full(CLASSES, 60), folder, Silent())
    judge: Any = Brightest()
    bench = Bench(experiment(), experiment(), real, made.splits["train"], judge, student or judge, Silent())
    return bench.findings()


def test_samples_like_real_ones_come_near_the_floor_of_each_measure(
    real: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(real, "well", tmp_path / "made", monkeypatch).to_json()
    headline = found["headline"]
    assert headline["tstr"] == headline["trtr"] == headline["trts"] == 1
    assert headline["frechet"] < 2 * headline["frechet_floor"] + 0.2
    assert headline["recall"] > 0.7 * headline["recall_floor"]
    assert headline["memorised"] < 0.1
    nearer, kernel = found["memorisation"]["nearer"], found["measures"]["kernel"]
    assert nearer["low"] < 0.5  # and high too, where few samples make a space that follows the training ones
    assert (nearer["compared"], nearer["copies"]) == (120, pytest.approx((1 + 120 / 180) / 2))
    assert abs(kernel["value"] - kernel["floor"]) < 3 * np.hypot(kernel["value_error"], kernel["floor_error"])
    assert found["trtr"]["train_accuracy"] == 1
    assert found["samples"] == {"train": 180, "test": 120, "generated": 180, "compared": 120, "components": 8}


def test_a_generator_whose_samples_are_alike_has_no_recall_and_no_diversity(
    real: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(real, "alike", tmp_path / "made", monkeypatch).to_json()
    assert found["measures"]["recall"]["value"] < 0.05 < 0.5 < found["measures"]["recall"]["floor"]
    assert [one["diversity"] for one in found["per_class"]] == pytest.approx([0, 0, 0], abs=1e-6)
    assert found["headline"]["frechet"] > 3 * found["headline"]["frechet_floor"]


def test_a_generator_that_mistakes_the_label_is_told_by_the_judge(
    real: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(real, "mistaken", tmp_path / "made", monkeypatch).to_json()
    assert found["trts"] == {"accuracy": 0, "floor": 1, "confusion": [[0, 60, 0], [0, 0, 60], [60, 0, 0]]}
    assert [one["trts"] for one in found["per_class"]] == [0, 0, 0]


def test_what_the_judge_sees_is_compared_as_the_mean_of_the_classes(
    real: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = judged(real, "well", tmp_path / "made", monkeypatch)
    # Nine in ten generated samples are of a class that is always recognised: their plain share would be 0.9.
    labels = np.repeat([0, 1, 2], [90, 5, 5])
    generated = replace(findings.generated, labels=labels, seen=np.zeros(100, int), rows=np.arange(100))
    assert replace(findings, generated=generated)._trts()["accuracy"] == pytest.approx(1 / 3)


def test_a_student_that_learnt_nothing_has_the_accuracy_of_chance_and_recall_in_one_class(
    real: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(real, "well", tmp_path / "made", monkeypatch, Always()).to_json()
    assert found["tstr"]["accuracy"] == pytest.approx(1 / 3)
    assert found["headline"]["tstr_low"] < 1 / 3 < found["headline"]["tstr_high"]
    assert [one["tstr"] for one in found["per_class"]] == [1, 0, 0]


def test_the_record_is_strict_json_and_clips_alone_have_motion(
    real: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(real, "well", tmp_path / "made", monkeypatch).to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    if real.sample.kind == "image":
        assert found["motion"] is None
    else:
        change = found["motion"]["change"]["overall"]
        assert (change["ratio"], change["ratio_floor"]) == (pytest.approx(1, abs=0.1), pytest.approx(1, abs=0.1))
        assert len(found["motion"]["jitter"]["per_class"]) == CLASSES


def test_pictures_are_as_the_docstring_lists_them(
    real: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = judged(real, "well", tmp_path / "made", monkeypatch)
    arrays = pictures(findings, painted(real, "well"), real, seed=0)
    shape, count, steps = real.sample.array, *((10, 8) if real.sample.kind == "image" else (4, 5))
    expected = {
        "samples": (CLASSES, count, *shape),
        "samples_seen": (CLASSES, count),
        "real": (CLASSES, count, *shape),
        "real_seen": (CLASSES, count),
        "samples_labels": (CLASSES,),
        "content": (CLASSES, steps, *shape),
        "motion": (CLASSES, steps, *shape),
        "walk_labels": (CLASSES,),
        "neighbours": (count, 2, *shape),
        "neighbours_labels": (count, 2),
        "neighbours_distance": (count,),
    }
    assert {name: array.shape for name, array in arrays.items()} == expected
    assert all(name in str(judging.__doc__) for name in expected)
    assert {name for name, array in arrays.items() if array.dtype == real.dtype} == {
        "samples", "real", "content", "motion", "neighbours",
    }  # fmt: skip
    assert (arrays["samples_seen"] == np.arange(CLASSES)[:, None]).all()
    assert (np.diff(arrays["neighbours_distance"]) >= 0).all()


def test_a_class_with_few_samples_leaves_places_empty(
    real: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recurra.judgement import pictures as module

    monkeypatch.setitem(module.SAMPLES, real.sample.kind, 50)
    findings = judged(real, "well", tmp_path / "made", monkeypatch)
    pixels, seen = module.table(findings.test.split, findings.test.seen, np.arange(CLASSES), first=False)
    assert (seen[:, :40] >= 0).all()
    assert (seen[:, 40:] == -1).all()
    assert not pixels[:, 40:].any()


def referee(real: Dataset, samples: int = 90) -> Referee:
    judge: Any = Brightest()
    return Referee(judge, real, experiment().evaluate.gan, samples)


def test_the_referee_tells_good_samples_from_bad_ones(real: Dataset) -> None:
    own = referee(real)
    labels = balanced(own.count, CLASSES)
    random, frames = np.random.default_rng(9), real.sample.frames
    good = own.measure([(0, drawn(labels, random, frames))], labels).row()
    bad = own.measure([(0, np.tile(drawn(labels[:3], random, frames), (30, 1, 1, 1, 1)))], np.roll(labels, 1)).row()
    assert (good["label_accuracy"], bad["label_accuracy"]) == (1, 0)
    assert good["frechet"] < bad["frechet"]  # type: ignore[operator]
    assert good["kernel"] < bad["kernel"]  # type: ignore[operator]
    assert (bad["recall"], bad["diversity"]) == (pytest.approx(0, abs=0.05), pytest.approx(0, abs=1e-6))
    # Less than 1: noise has no components of its own, and those that were found follow the real samples.
    assert 0.5 < good["diversity"] < 1.1  # type: ignore[operator]


def test_blocks_do_not_change_the_verdict_nor_does_asking_again(real: Dataset) -> None:
    own, labels = referee(real), balanced(90, CLASSES)
    x = drawn(labels, np.random.default_rng(1), real.sample.frames)
    whole = own.measure([(0, x)], labels).row()
    parts = referee(real).measure([(i, x[i : i + 32]) for i in range(0, 90, 32)], labels).row()
    assert parts == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize(("asked", "count"), [(50, 50), (1000, 180), (1, CLASSES)])
def test_the_referee_compares_as_many_as_asked_for_and_there_are(real: Dataset, asked: int, count: int) -> None:
    own = referee(real, asked)
    assert (own.count, len(own.real)) == (count, count)
    assert np.ptp(np.bincount(own.labels)) <= 1


def test_samples_that_are_no_numbers_are_worth_nothing_and_break_nothing(real: Dataset) -> None:
    own, labels = referee(real), balanced(90, CLASSES)
    x = drawn(labels, np.random.default_rng(1), real.sample.frames)
    x[0] = np.nan
    row = own.measure([(0, x)], labels).row()
    assert [row[name] for name in ("frechet", "kernel", "precision", "recall")] == [None] * 4
    assert row["label_accuracy"] == pytest.approx(89 / 90)


def test_of_many_classes_some_are_shown_spread_evenly() -> None:
    assert among(3, 30).tolist() == [0, 1, 2]
    shown = among(1000, 30)
    assert (len(shown), shown[0], shown[-1]) == (30, 0, 999)
    assert set(np.diff(shown).tolist()) <= {34, 35}


def test_a_sample_that_the_judge_cannot_see_is_not_a_missing_one(real: Dataset) -> None:
    split, seen = real.splits["test"], np.full(len(real.splits["test"]), NO_ANSWER)
    _, taken = table(split, seen, np.array([2]), first=True)
    assert (taken == NO_ANSWER).all()
    assert table(split, seen, np.array([7]), first=True)[1].tolist() == [[NO_SAMPLE] * taken.shape[1]]


def test_the_judges_experiment_keeps_the_intervals_that_were_asked_for_and_is_valid_by_itself() -> None:
    asked = experiment(neighbours=5)
    asked = asked.model_copy(update={"evaluate": asked.evaluate.model_copy(update={"bootstrap": 7})})
    found = judge_of(asked, "clip")
    assert (found.evaluate.bootstrap, found.model.kind) == (7, "fusion")
    assert Experiment.model_validate(found.model_dump()) == found
