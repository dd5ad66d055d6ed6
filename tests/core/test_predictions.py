"""Predictions come back as they were written, however they were cut into blocks, or not at all."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError
from recurra.predictions import Predictions, PredictionWriter, softmax

CLASSES = ("cat", "dog", 'ünï, "quoted"')


def write(path: Path, labels: np.ndarray | None, logits: np.ndarray, cuts: list[int], labelled: bool = True) -> None:
    edges = [0, *sorted(min(cut, len(logits)) for cut in cuts), len(logits)]
    with PredictionWriter(path, CLASSES, labelled) as writer:
        for start, stop in pairwise(edges):
            rows = np.arange(start, stop)
            part = None if labels is None else labels[start:stop]
            writer.write(rows, [f"sample {row}" for row in rows], part, logits[start:stop])


def answers(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(count, 3)).astype(np.float32)
    return generator.integers(-1, 3, count), logits


@settings(max_examples=15, deadline=None)
@given(count=st.integers(0, 40), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_the_rows_are_the_samples_however_they_were_cut(
    tmp_path_factory: pytest.TempPathFactory, count: int, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("predictions") / "p.parquet"
    labels, logits = answers(count)
    write(path, labels, logits, cuts)
    columns = pq.read_table(path).to_pydict()
    assert columns["sample"] == list(range(count))
    assert columns["label"] == [None if label < 0 else label for label in labels]
    assert columns["class"] == [None if label < 0 else CLASSES[label] for label in labels]
    assert columns["predicted"] == logits.argmax(1).tolist()
    assert columns["correct"] == [None if y < 0 else y == p for y, p in zip(labels, logits.argmax(1), strict=True)]
    np.testing.assert_allclose(np.reshape(columns["probabilities"], (count, 3)), softmax(logits), rtol=1e-6)


def test_the_file_names_its_classes_and_counts_its_samples(tmp_path: Path) -> None:
    labels, logits = answers(5)
    write(tmp_path / "p.parquet", labels, logits, [])
    predictions = Predictions(tmp_path / "p.parquet")
    assert (predictions.classes, predictions.samples) == (CLASSES, 5)
    assert sum(len(block) for block in predictions.blocks(["sample"])) == 5


def test_the_surest_mistakes_come_first(tmp_path: Path) -> None:
    labels, logits = answers(500, seed=2)
    write(tmp_path / "p.parquet", labels, logits, [100, 350])
    confidence, wrong = softmax(logits).max(1), (labels >= 0) & (labels != logits.argmax(1))
    expected = sorted(np.flatnonzero(wrong), key=lambda row: -confidence[row])[:20]
    assert Predictions(tmp_path / "p.parquet").mistakes(20)["sample"].to_pylist() == expected


def test_csv_has_a_probability_for_each_class_by_name(tmp_path: Path) -> None:
    labels, logits = answers(4)
    write(tmp_path / "p.csv", labels, logits, [2])
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    probabilities = [[float(row[f"p_{name}"]) for name in CLASSES] for row in rows]
    np.testing.assert_allclose(probabilities, softmax(logits), rtol=1e-5)
    assert [row["predicted_class"] for row in rows] == [CLASSES[n] for n in logits.argmax(1)]


@pytest.mark.parametrize("name", ["p.parquet", "p.csv"])
def test_without_labels_the_columns_of_the_truth_are_left_out(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, None, answers(3)[1], [], labelled=False)
    text = (tmp_path / name).read_text() if name == "p.csv" else str(pq.read_schema(tmp_path / name).names)
    assert "predicted_class" in text
    assert "label" not in text
    assert "correct" not in text


def break_off(path: Path) -> None:
    with PredictionWriter(path, CLASSES) as writer:
        writer.write(np.arange(2), ["a", "b"], np.zeros(2, np.int64), np.zeros((2, 3), np.float32))
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["p.parquet", "p.csv"])
def test_what_breaks_off_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("earlier")
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "earlier"


def test_equal_predictions_are_equal_bytes(tmp_path: Path) -> None:
    labels, logits = answers(50)
    for name in ("a.parquet", "b.parquet"):
        write(tmp_path / name, labels, logits, [20])
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    labels, logits = answers(200)
    path = tmp_path / "p.parquet"
    write(path, labels, logits, [])
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"p\.parquet: damaged"):
        list(Predictions(path).blocks())


def test_softmax_of_huge_logits_is_finite_and_sums_to_one() -> None:
    found = softmax(np.array([[1e30, 0.0], [-5e4, -5e4]], np.float32))
    np.testing.assert_allclose(found, [[1.0, 0.0], [0.5, 0.5]])


@pytest.mark.parametrize(("name", "fault"), [("p.txt", "not '.txt'"), ("missing/p.csv", "cannot be written")])
def test_a_place_that_cannot_hold_predictions_is_refused(tmp_path: Path, name: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault), PredictionWriter(tmp_path / name, CLASSES):
        pass


def test_another_file_is_not_taken_for_predictions(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="not a file of predictions"):
        Predictions(tmp_path / "p.parquet")
