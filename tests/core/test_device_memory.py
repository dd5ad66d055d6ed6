"""A device whose memory holds few samples at once: what is tried, what is told, and what goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.blocks import Blocks
from recurra.config import validate
from recurra.contract import Batches, ClassifierSpec, Device, GanBatches, GanRecords, GanSpec, Latents, StepRecords
from recurra.dataset import Dataset
from recurra.durable import read_json
from recurra.errors import DeviceMemoryError, InputError, RecurraError
from recurra.evaluation import evaluate
from recurra.experiment import Experiment
from recurra.generation import generate
from recurra.home import Home
from recurra.judgement import judge_of
from recurra.preprocess import preprocess
from recurra.progress import Silent
from recurra.stages import train_inputs
from recurra.study.plan import planned
from recurra.sweep.fields import checked
from recurra.sweep.space import separated
from recurra.training import train
from recurra.training.fitting import FILE, halves, largest, powers


class Weighing:
    """Weights that count the steps; a DeviceMemoryError where more samples come at once than there is room for."""

    def __init__(self, backend: SmallMemory, spec: ClassifierSpec | GanSpec) -> None:
        self.backend, self.spec, self.steps = backend, spec, 0
        self.given: dict[str, np.ndarray] = {}

    def weights(self) -> dict[str, np.ndarray]:
        return {name: array + np.float32(self.steps) for name, array in self.given.items()}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        self.given, self.steps = dict(weights), 0

    def training_state(self) -> dict[str, np.ndarray]:
        return {}

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        pass

    def _step(self, batches: Batches | GanBatches) -> tuple[int, int]:
        steps, size = batches.y.shape
        self.backend.tried.append(size)
        if size > self.backend.learns:
            raise DeviceMemoryError("gpu:0: full")
        self.steps += steps
        return steps, size


class Recogniser(Weighing):
    """Its logits are the first pixels."""

    def train_steps(self, batches: Batches) -> StepRecords:
        steps, _ = self._step(batches)
        return StepRecords(np.ones(steps, np.float32), np.zeros(steps, np.int64))

    def logits(self, x: np.ndarray) -> np.ndarray:
        return self.features(x)[:, : self.spec.classes]

    def features(self, x: np.ndarray) -> np.ndarray:
        self.backend.asked.append(len(x))
        if len(x) > self.backend.answers:
            raise DeviceMemoryError("gpu:0: full")
        return x.reshape(len(x), -1)


class Gan(Weighing):
    """Its samples are noise."""

    def train_steps(self, batches: GanBatches) -> GanRecords:
        steps, _ = self._step(batches)
        return GanRecords(*(np.full(steps, 0.5, np.float32) for _ in range(5)))

    def generate(self, latents: Latents, labels: np.ndarray) -> np.ndarray:
        self.backend.asked.append(len(labels))
        if len(labels) > self.backend.answers:
            raise DeviceMemoryError("gpu:0: full")
        shade = latents.noise.mean(axis=(1, 2)) + labels
        return np.ones((len(labels), *self.spec.sample.array), np.float32) * shade[:, None, None, None, None]

    def judge(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return np.zeros(x.shape[:2], np.float32), None


class SmallMemory:
    """The backend. `learns`, `answers`: samples that it holds at once; `tried`, `asked`: how many were given."""

    name, contract = "small", (1, 1)
    capabilities = frozenset({"cnn", "rnn", "fusion", "gan", "data-parallel"})

    def __init__(self, learns: int = 10**6, answers: int = 10**6, devices: tuple[str, ...] = ("gpu:0", "cpu")) -> None:
        self.learns, self.answers, self.names = learns, answers, devices
        self.tried: list[int] = []
        self.asked: list[int] = []
        self.built: list[Any] = []
        self.peak: int | None = 5_000_000

    def describe(self) -> dict[str, str]:
        return {}

    def devices(self) -> list[Device]:
        return [Device(name, name) for name in self.names]

    def build(self, spec: ClassifierSpec, device: str, seed: int) -> Recogniser:
        self.built.append(device)
        return Recogniser(self, spec)

    def build_parallel(self, spec: ClassifierSpec, devices: tuple[str, ...], seed: int) -> Recogniser:
        self.built.append(devices)
        return Recogniser(self, spec)

    def build_gan(self, spec: GanSpec, device: str) -> Gan:
        self.built.append(device)
        return Gan(self, spec)

    def peak_memory(self, device: str) -> int | None:
        return self.peak if device.startswith("gpu") else None


def experiment(**changed: Any) -> Experiment:
    """A small recogniser of images on the backend."""
    values = {
        "name": "x",
        "backend": "small",
        "data": {"source": "memory"},
        "model": {"kind": "cnn", "cnn": {"channels": [2]}},
        "train": {"epochs": 2, **changed.pop("train", {})},
        **changed,
    }
    return validate(values, "test")


def small_gan(**train: Any) -> Experiment:
    """A small GAN on the backend."""
    gan = {"channels": [2], "frame_channels": [2], "content": 2, "noise": 2, "embedding": 2}
    return experiment(
        model={"kind": "gan", "gan": gan, "rnn": {"units": 2}},
        train={"gan": {"measured": 50}, **train},
        evaluate={"gan": {"recogniser": {"model": {"kind": "cnn", "cnn": {"channels": [2]}}}}},
    )


class Told(Silent):
    """Keeps what it is told; `stop` ends the training after so many epochs."""

    def __init__(self, stop: int | None = None) -> None:
        self.lines: list[str] = []
        self.stop = stop

    def note(self, line: str) -> None:
        self.lines.append(line)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        if row["epoch"] == self.stop:
            raise KeyboardInterrupt


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> SmallMemory:
    """It, in place of every installed one."""
    found = SmallMemory()
    monkeypatch.setattr("recurra.capabilities.load_backend", lambda _: found)
    return found


@pytest.fixture
def digits(images: Any, tmp_path: Path) -> Dataset:
    """Forty-odd samples to train on."""
    (tmp_path / "dataset").mkdir()
    return preprocess(images, experiment(), tmp_path / "dataset", Silent())


def trained(asked: Experiment, dataset: Dataset, progress: Silent | None = None, judge: Path | None = None) -> Path:
    """The folder of a training of it; `partial` is beside the dataset."""
    place = dataset.folder.parent
    made = place / f"made-{len(list(place.iterdir()))}"
    made.mkdir()
    train(asked, dataset.folder, place / "partial", made, progress or Silent(), judge)
    return made


@given(st.integers(1, 10**6))
def test_powers_of_two_fall_from_the_largest_that_there_are_samples_for(samples: int) -> None:
    sizes = [*powers(samples)]
    assert sizes == [2**n for n in reversed(range(len(sizes)))]
    assert sizes[0] <= min(samples, 256) < 2 * sizes[0] or sizes[0] == 256


@settings(max_examples=20, deadline=None)  # memory is given back in between, which takes its time
@given(st.integers(1, 2000), st.integers(0, 2000))
def test_the_largest_of_the_halves_that_fits_is_found(size: int, room: int) -> None:
    def attempt(tried: int) -> None:
        if tried > room:
            raise DeviceMemoryError("full")

    found = largest(attempt, halves(size))
    assert found == next((half for half in (size >> n for n in range(1, 12)) if 0 < half <= room), None)


def test_a_step_that_does_not_fit_names_a_batch_size_that_does(backend: SmallMemory, digits: Dataset) -> None:
    backend.learns = 9
    with pytest.raises(DeviceMemoryError) as caught:
        trained(experiment(train={"batch_size": 40}), digits)
    assert str(caught.value) == "out of memory on gpu:0 with train.batch_size 40; 5 fits"
    assert backend.tried == [40, 20, 10, 5, 5]
    assert trained(experiment(train={"batch_size": 5}), digits)


def test_a_batch_that_is_larger_than_the_split_is_halved_from_the_split(backend: SmallMemory, digits: Dataset) -> None:
    backend.learns, samples = 16, len(digits.splits["train"])
    with pytest.raises(DeviceMemoryError, match=rf"train\.batch_size 512; {samples // 4} fits$"):
        trained(experiment(train={"batch_size": 512}), digits)
    assert backend.tried[0] == samples


def test_where_no_batch_fits_that_is_said(backend: SmallMemory, digits: Dataset) -> None:
    backend.learns = 0
    with pytest.raises(
        DeviceMemoryError, match=r"train\.batch_size 4, and with every smaller one; use a smaller model"
    ):
        trained(experiment(train={"batch_size": 4}), digits)
    with pytest.raises(DeviceMemoryError, match=r"train\.batch_size 1; use a smaller model"):
        trained(experiment(train={"batch_size": 1}), digits)
    with pytest.raises(DeviceMemoryError, match=r"train\.batch_size: auto: out of memory with a single sample"):
        trained(experiment(train={"batch_size": "auto"}), digits)


def test_auto_trains_with_the_largest_power_of_two_that_fits(backend: SmallMemory, digits: Dataset) -> None:
    backend.learns, told = 13, Told()
    made = trained(experiment(train={"batch_size": "auto"}), digits, told)
    assert backend.tried[:4] == [32, 16, 8, 8]
    assert set(backend.tried[4:]) == {8, len(digits.splits["train"]) % 8}
    assert read_json(made / "train.json")["batch_size"] == 8
    assert told.lines[0] == "train: train.batch_size is 8 (auto)"


class Shrinking(Told):
    """Has the device hold 10 samples from the first note on, or from the end of the first epoch."""

    def __init__(self, backend: SmallMemory, later: bool) -> None:
        super().__init__()
        self.backend, self.later = backend, later

    def note(self, line: str) -> None:
        super().note(line)
        if not self.later or line.startswith("epoch"):
            self.backend.learns = 10


def test_auto_is_halved_where_the_training_does_not_fit_after_all(backend: SmallMemory, digits: Dataset) -> None:
    told = Shrinking(backend, later=False)
    made = trained(experiment(train={"batch_size": "auto"}), digits, told)
    assert [line for line in told.lines if "auto" in line] == [
        f"train: train.batch_size is {size} (auto)" for size in (32, 16, 8)
    ]
    assert read_json(made / "train.json")["batch_size"] == 8


def test_auto_is_not_changed_within_a_training(backend: SmallMemory, digits: Dataset) -> None:
    with pytest.raises(DeviceMemoryError, match=r"^out of memory on gpu:0 with train\.batch_size 32; 8 fits$"):
        trained(experiment(train={"batch_size": "auto"}), digits, Shrinking(backend, later=True))


def test_a_training_goes_on_with_the_batches_that_it_began_with(backend: SmallMemory, digits: Dataset) -> None:
    asked = experiment(train={"batch_size": "auto"})
    backend.learns = 13
    with pytest.raises(KeyboardInterrupt):
        trained(asked, digits, Told(stop=1))
    backend.learns = 1000
    backend.tried.clear()
    assert read_json(trained(asked, digits) / "train.json")["batch_size"] == 8
    assert max(backend.tried) == 8


def test_without_the_batch_size_that_it_began_with_a_training_starts_again(
    backend: SmallMemory, digits: Dataset
) -> None:
    asked, told, kept = experiment(train={"batch_size": "auto"}), Told(), digits.folder.parent / "partial" / FILE
    undisturbed = (trained(asked, digits) / "last.safetensors").read_bytes()
    flipped = bytearray(kept.read_bytes())
    flipped[-1] ^= 4
    kept.write_bytes(flipped)
    assert (trained(asked, digits, told) / "last.safetensors").read_bytes() == undisturbed
    assert "batch_size.safetensors is damaged" in told.lines[0]
    assert kept.with_name("checkpoint.damaged").exists()


def test_the_number_and_auto_come_to_the_same_weights(backend: SmallMemory, digits: Dataset) -> None:
    backend.learns = 13
    found = trained(experiment(train={"batch_size": "auto"}), digits)
    (digits.folder.parent / "partial" / FILE).unlink()
    (digits.folder.parent / "partial" / "checkpoint.safetensors").unlink()
    number = trained(experiment(train={"batch_size": 8}), digits)
    assert (found / "last.safetensors").read_bytes() == (number / "last.safetensors").read_bytes()


def test_the_key_holds_auto_and_no_number_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.stages.backend_entry", lambda _: SimpleNamespace(versions={}))
    dataset: Any = SimpleNamespace(digest="0")
    keyed = train_inputs(experiment(train={"batch_size": "auto", "devices": 2}), dataset)["settings"]["train"]
    assert keyed["batch_size"] == "auto"
    assert "devices" not in keyed


def test_a_number_is_asked_for_where_auto_is_not_settled() -> None:
    with pytest.raises(InputError, match=r"^train\.batch_size: auto is found when a training begins"):
        _ = experiment(train={"batch_size": "auto"}).train.samples_per_step


def test_evaluation_goes_on_with_smaller_blocks_and_says_so_once(
    backend: SmallMemory, digits: Dataset, tmp_path: Path
) -> None:
    made, whole, halved, told = trained(experiment(), digits), tmp_path / "whole", tmp_path / "halved", Told()
    for folder in (whole, halved):
        folder.mkdir()
    evaluate(experiment(), digits.folder, made / "best.safetensors", whole, Silent())
    backend.answers = 5
    backend.asked.clear()
    evaluate(experiment(), digits.folder, made / "best.safetensors", halved, told)
    assert (halved / "predictions.parquet").read_bytes() == (whole / "predictions.parquet").read_bytes()
    assert told.lines == ["warning: the memory of gpu:0 is full; going on with 3 samples at once"]
    assert backend.asked == [12, 6, 3, 3, 3, 3]


def test_a_single_sample_that_does_not_fit_is_told(backend: SmallMemory, digits: Dataset, tmp_path: Path) -> None:
    made = trained(experiment(), digits)
    backend.answers = 0
    with pytest.raises(DeviceMemoryError, match=r"^out of memory on gpu:0 with a single sample; use a smaller model"):
        evaluate(experiment(), digits.folder, made / "best.safetensors", tmp_path, Silent())
    # It is no step of the training that is too large, so that no other batch size is tried.
    with pytest.raises(DeviceMemoryError, match="with a single sample"):
        trained(experiment(train={"epochs": 3}), digits)


@settings(max_examples=20, deadline=None)  # memory is given back in between, which takes its time
@given(st.integers(0, 40), st.integers(1, 50), st.data())
def test_answers_in_blocks_are_those_of_all_at_once(samples: int, room: int, data: st.DataObject) -> None:
    def ask(block: slice) -> np.ndarray:
        if len(x[block]) > room:
            raise DeviceMemoryError("full")
        return x[block] * 2

    x, told, blocks = np.arange(samples), [], Blocks("gpu:0", lambda line: told.append(line))
    np.testing.assert_array_equal(blocks.answer(ask, samples), x * 2)
    x = np.arange(data.draw(st.integers(0, 40)))
    np.testing.assert_array_equal(blocks.answer(ask, len(x)), x * 2)
    assert len(told) <= 1


def test_a_gan_finds_its_batch_size_and_generates_in_blocks(
    backend: SmallMemory, digits: Dataset, tmp_path: Path
) -> None:
    asked, told, judge = small_gan(batch_size="auto"), Told(), tmp_path / "judge"
    judge.mkdir()
    train(judge_of(asked, "image"), digits.folder, tmp_path / "judges", judge, Silent())
    backend.learns, backend.answers = 20, 30
    made = trained(asked, digits, told, judge / "best.safetensors")
    assert read_json(made / "train.json")["batch_size"] == 16
    backend.asked.clear()
    counts = np.full(len(digits.classes), 20)
    (tmp_path / "samples").mkdir()
    generate(asked, digits.folder, made / "best.safetensors", counts, tmp_path / "samples", told, validation=False)
    assert sum(size for size in backend.asked if size <= 30) == 60
    assert "going on with 30 samples at once" in told.lines[-1]
    with pytest.raises(DeviceMemoryError, match=r"train\.batch_size 40; 20 fits"):
        trained(small_gan(batch_size=40, epochs=3), digits, judge=judge / "best.safetensors")


def test_a_network_that_does_not_fit_is_told_before_any_batch(backend: SmallMemory, digits: Dataset) -> None:
    def full(*_: Any) -> Any:
        raise DeviceMemoryError("gpu:0: full")

    backend.build = full  # type: ignore[method-assign]
    with pytest.raises(DeviceMemoryError, match=r"^out of memory on gpu:0: it does not hold the network itself"):
        trained(experiment(), digits)


def test_the_peak_of_the_device_is_recorded_where_it_is_known(backend: SmallMemory, digits: Dataset) -> None:
    assert read_json(trained(experiment(), digits) / "train.json")["peak_device_memory"] == 5_000_000
    (digits.folder.parent / "partial" / "checkpoint.safetensors").unlink()
    record = read_json(trained(experiment(device="cpu"), digits) / "train.json")
    assert not {"peak_device_memory", "energy_joules"} & record.keys()


@pytest.mark.parametrize(("recogniser", "gan"), [("auto", 32), (32, "auto")])
def test_a_study_counts_steps_beforehand_and_refuses_auto(tmp_path: Path, recogniser: Any, gan: Any) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(f"model: {{kind: gan}}\ndata: {{source: digits}}\ntrain: {{batch_size: {gan}}}\n")
    data = {"source": "digits", "augment": {"gan": str(file)}}
    with pytest.raises(InputError, match=r"^train\.batch_size.*: auto is found when a training begins, and a study"):
        planned(experiment(data=data, train={"batch_size": recogniser}), Home(tmp_path), [1.0], [0])


def test_a_sweep_takes_numbers_and_auto() -> None:
    _, swept = separated(["train.batch_size=16,auto"])
    assert checked(experiment(), swept, "test")[0].values() == (16, "auto")
    _, swept = separated(["train.batch_size=16..64:16"])
    assert checked(experiment(), swept, "test")[0].values() == (16, 32, 48, 64)


def test_a_backend_whose_answers_have_another_shape_is_a_line_that_says_so(
    backend: SmallMemory, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recogniser, "logits", lambda self, x: np.zeros((len(x) + 1, 3), np.float32))
    with pytest.raises(RecurraError, match=r"the backend's answer \(logits\) is of shape .*, expected \[\d+, any\]"):
        trained(experiment(), digits)
    monkeypatch.setattr(Recogniser, "train_steps", lambda self, b: StepRecords(np.zeros(()), np.zeros(len(b.x))))  # type: ignore[arg-type]
    with pytest.raises(RecurraError, match=r"the backend's loss is of shape \[\], expected \[\d+\]"):
        trained(experiment(seed=1), digits)
