"""What a source holds, and a picture of it."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from recurra.contact_sheet import contact_sheet
from recurra.experiment import Data, Experiment
from recurra.inspection import inspect
from recurra.preprocess import preprocess
from recurra.progress import Silent


def test_a_summary_counts_shapes_lengths_values_and_splits(clips):
    summary = inspect(clips, Data(source="x"))
    assert json.loads(json.dumps(summary)) == summary
    assert summary["own_splits"] == {"test": [4, 4], "train": [16, 16]}
    assert summary["shapes"] == [{"height": 4, "width": 4, "channels": 1, "dtype": "float32", "samples": 40}]
    assert (summary["lengths"]["shortest"], summary["lengths"]["longest"]) == (3, 9)
    assert summary["values"][0]["mean"][0] == pytest.approx(20, abs=0.2)
    assert sum(summary["splits"]["test"]) == 8


def test_only_some_samples_are_decoded_but_their_refusals_are_told(images):
    images.broken = frozenset(range(60))
    summary = inspect(images, Data(source="x"), sampled=10)
    assert len(images.decoded) == 10
    assert summary["refused"]["reasons"] == {"is cut short": 10}


def test_what_would_stop_preprocessing_is_among_the_problems(source_of):
    arrays = [np.zeros((1, 4 + row % 2, 5, 1), np.uint8) for row in range(20)]
    source = source_of(arrays, [row % 2 for row in range(20)])
    summary = inspect(source, Data.model_validate({"source": "x", "test_group": {"pattern": "no such"}}))
    assert [problem[:15].rstrip("f") for problem in summary["problems"]] == ["data.test_group", "data.size: "] or (
        len(summary["problems"]) == 2
    )


def test_a_contact_sheet_is_a_small_png_of_source_or_dataset(images, clips, tmp_path):
    for name, source in (("images", images), ("clips", clips)):
        (tmp_path / name).mkdir()
        experiment = Experiment(name="x", data=Data(source="x"))
        dataset = preprocess(source, experiment, tmp_path / name, Silent())
        for of in (source, dataset):
            data = contact_sheet(of, tmp_path / "sheet.png")
            assert (tmp_path / "sheet.png").read_bytes() == data
            assert Image.open(io.BytesIO(data)).format == "PNG"


def test_a_contact_sheet_of_noise_keeps_to_its_limit(source_of):
    noise = np.random.default_rng(0).integers(0, 256, (80, 1, 100, 100, 3), dtype=np.uint8)
    source = source_of(list(noise), [row % 8 for row in range(80)])
    assert len(contact_sheet(source, max_bytes=50_000)) <= 50_000
