"""A comparison sets networks and backends beside each other fairly, and says no more than its numbers do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from recurra import stages
from recurra.checkpoint import write_arrays
from recurra.comparison import probing
from recurra.comparison.answer import told
from recurra.comparison.caveats import caveats
from recurra.comparison.concluding import comparison_inputs, conclude
from recurra.comparison.findings import Findings, find
from recurra.comparison.pairs import Pair, pairs
from recurra.comparison.parity import Parity, largest_part
from recurra.comparison.plan import Cell, Plan, Variant, planned
from recurra.comparison.probing import GRADIENT, LOGITS, LOSS, read_probe
from recurra.comparison.record import Comparison
from recurra.comparison.results import Answers, Results, read_rows, write_rows
from recurra.comparison.significance import holm, kappa, mcnemar
from recurra.comparison.summary import Measured, Summary
from recurra.contract import Batches, StepRecords
from recurra.dataset import Dataset
from recurra.durable import write_json
from recurra.errors import InputError, RecurraError
from recurra.experiment import Augment, Data, Evaluate, Experiment, Model, Train
from recurra.home import Home
from recurra.intervals import Interval, over_seeds
from recurra.metrics import measure
from recurra.pairing import Answered
from recurra.predictions import PredictionWriter, softmax
from recurra.progress import Silent
from recurra.store import Artifact, Store
from recurra.training import write_history

BACKENDS, MODELS = ("torch", "tensorflow"), ("cnn", "rnn")


def experiment(**fields: Any) -> Experiment:
    train = fields.pop("train", Train(epochs=4, dropout=0.25))
    return Experiment(name="mine", data=Data(source="digits"), train=train, **fields)


def plan(
    backends: Sequence[str] = BACKENDS, models: Sequence[str] = MODELS, seeds: Sequence[int] = (0, 1, 2), **fields: Any
) -> Plan:
    settings = {"backends": tuple(backends), "models": tuple(models), "seeds": tuple(seeds)}
    return Plan.model_validate({"experiment": experiment(**fields), **settings})


# The plan


def test_the_runs_differ_in_backend_network_and_seed_alone() -> None:
    of = plan()
    cells = list(of.cells())
    assert len({cell.role() for cell in cells}) == len(cells) == 12
    for cell in cells:
        run = of.run_of(cell)
        assert (run.backend, run.model.kind, run.seed) == (cell.backend, cell.model, cell.seed)
        model = run.model.model_copy(update={"kind": of.experiment.model.kind})
        assert run.model_copy(update={"backend": "torch", "model": model, "seed": 0}) == of.experiment
        assert Experiment.model_validate(run.model_dump(mode="json")) == run


def test_the_first_seed_is_whole_before_the_second_begins() -> None:
    assert [cell.seed for cell in plan().cells()] == [0] * 4 + [1] * 4 + [2] * 4


def test_every_backend_is_probed_with_the_weights_that_the_first_one_trained() -> None:
    of = plan(seeds=(7, 8))
    probes = {probe.role: probe for probe in of.probes()}
    assert list(probes) == [f"{model}-seed-7-probe-{backend}" for model in MODELS for backend in BACKENDS]
    other = probes["rnn-seed-7-probe-tensorflow"]
    assert other.trained == Cell(backend="torch", model="rnn", seed=7)
    assert (of.probing(other).backend, of.probing(other).seed) == ("tensorflow", 7)
    assert not list(plan(backends=["torch"]).probes())


@pytest.mark.parametrize(
    ("change", "backends", "models", "seeds", "said"),
    [
        ({}, ("torch", "torch"), ("cnn",), (0,), "--backends: backend torch is given twice"),
        ({}, (), ("cnn",), (0,), "--backends: one backend at least is needed"),
        ({}, ("troch",), ("cnn",), (0,), "backend 'troch' is not installed"),
        ({}, ("torch",), ("fushion",), (0,), "--models: 'fushion' is no recogniser; known: cnn, rnn, fusion. Did you"),
        ({}, ("torch",), ("gan",), (0,), "--models: a GAN recognises nothing"),
        ({}, ("torch",), ("cnn", "cnn"), (0,), "--models: model cnn is given twice"),
        ({}, ("torch",), ("cnn",), (-1,), "--seeds: a seed lies from 0 to 4294967295, found -1"),
        ({}, ("torch",), ("cnn",), (3, 3), "--seeds: seed 3 is given twice"),
        ({"model": Model(kind="gan")}, ("torch",), ("cnn",), (0,), "model.kind: a comparison is of recognisers"),
        ({"data": Data(source="digits", augment=Augment(gan="g"))}, ("torch",), ("cnn",), (0,), "data.augment.gan: a"),
        ({"train": Train(batch_size="auto")}, ("torch",), ("cnn",), (0,), "train.batch_size: auto is found when a"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    change: dict[str, Any], backends: Sequence[str], models: Sequence[str], seeds: Sequence[int], said: str
) -> None:
    of = experiment(train=Train(epochs=4)).model_copy(update=change)
    with pytest.raises(InputError) as refused:
        planned(of, backends, models, seeds)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


# Significance


def test_mcnemars_test_is_the_throw_of_a_coin() -> None:
    # Ten answers that only one had right, one of them the first's: 2 (C(10, 0) + C(10, 1)) / 2^10.
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1.0


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemars_test_is_scipys_and_knows_no_sides(one: int, other: int) -> None:
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(one, other) == pytest.approx(expected)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_holms_correction_by_hand() -> None:
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04, which is raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_kappa_is_sklearns(said: list[tuple[int, int]]) -> None:
    first, second = np.array(said).T
    if set(first) == set(second) and len(set(first)) == 1:
        assert kappa(first, second, 4) is None
    else:
        assert kappa(first, second, 4) == pytest.approx(cohen_kappa_score(first, second))


# Pairs


def answers_of(right: Mapping[Cell, Sequence[int]]) -> dict[Cell, Answers]:
    """Of two classes; every sample is of class 0."""
    return {
        cell: Answers(
            Answered(np.arange(len(correct)), np.array(correct, bool), np.zeros(len(correct), np.int32)),
            1 - np.array(correct, np.int32),
        )
        for cell, correct in right.items()
    }


def drawn(of: Plan, accuracies: Mapping[str, float], samples: int = 400) -> dict[Cell, Answers]:
    """Answers to the same samples; each network is right as often as said, the same of both backends' most."""
    right = {}
    for cell in of.cells():
        easy = np.random.default_rng(cell.seed).random(samples)
        noise = np.random.default_rng([cell.seed, *cell.backend.encode()]).normal(0, 0.01, samples)
        right[cell] = easy + noise < accuracies[cell.model]
    return answers_of(right)


def test_a_pair_counts_the_answers_that_one_alone_had_right() -> None:
    of = plan(models=["cnn"], seeds=[0, 1])
    first, second = ([cell for cell in of.cells() if cell.backend == backend] for backend in BACKENDS)
    right = [(first[0], [1, 1, 0, 0]), (second[0], [1, 0, 0, 0]), (first[1], [1, 1, 1, 0]), (second[1], [1, 0, 0, 1])]
    (pair,) = pairs(of, answers_of(dict(right)), 2)
    assert pair.differences == (0.25, 0.25)
    assert (pair.only_first, pair.only_second) == (3, 1)
    assert pair.p == pair.adjusted == pytest.approx(2 * 5 / 16)
    assert pair.agreement == 4 / 8
    turned = pair.facing(pair.second)
    assert (turned.differences, turned.only_first, turned.first) == ((-0.25, -0.25), 1, pair.second)
    assert turned.over_samples == Interval(-pair.over_samples.high, -pair.over_samples.low)
    assert turned.facing(pair.first) == pair


def test_pairs_that_differ_in_one_thing_come_first() -> None:
    of = plan()
    found = pairs(of, drawn(of, {"cnn": 0.9, "rnn": 0.7}), 2)
    assert [pair.alone for pair in found] == [True] * 4 + [False] * 2
    verdicts = {(pair.first.words, pair.second.words): pair.verdict for pair in found}
    assert verdicts["cnn on torch", "rnn on torch"] == "better"
    assert verdicts["cnn on torch", "cnn on tensorflow"] == "none"
    assert all(pair.adjusted >= pair.p for pair in found)


def one(*differences: float, samples: tuple[float, float], p: float) -> Pair:
    ends = Variant("torch", "cnn"), Variant("torch", "rnn")
    return Pair(*ends, differences, over_seeds(differences), Interval(*samples), 30, 5, p, p, 0.9, 0.8)


@pytest.mark.parametrize(
    ("pair", "verdict", "said"),
    [
        (
            one(0.02, 0.021, 0.022, samples=(0.01, 0.03), p=0.001),
            "better",
            "cnn on torch is better than rnn on torch (",
        ),
        (one(-0.02, -0.021, -0.022, samples=(-0.03, -0.01), p=0.001), "worse", "is worse than"),
        (one(0.02, 0.021, 0.022, samples=(0.01, 0.03), p=0.2), "none", "no difference can be seen"),
        (one(0.0, 0.02, 0.04, samples=(0.01, 0.03), p=0.001), "none", "more seeds could tell whether others do"),
        (one(0.02, 0.021, 0.022, samples=(-0.01, 0.05), p=0.001), "none", "no difference can be seen"),
        (one(0.02, samples=(0.01, 0.03), p=0.0001), "unknown", "these two networks differ (+2.0 points"),
        (one(0.02, samples=(-0.01, 0.03), p=0.6), "unknown", "these two networks cannot be told apart"),
    ],
)
def test_a_difference_must_hold_for_other_seeds_other_samples_and_all_pairs(
    pair: Pair, verdict: str, said: str
) -> None:
    assert pair.verdict == verdict
    assert said in pair.words
    assert ("one seed does not tell of others" in pair.words) == (verdict == "unknown")


# Parity


def test_a_gradient_is_measured_by_the_largest_of_its_own_array() -> None:
    theirs = {
        "gradient.small": np.array([1e-6, 0.0]),
        "gradient.large": np.array([100.0]),
        "gradient.none": np.zeros(2),
    }
    ours = {
        **theirs,
        "gradient.small": np.array([2e-6, 0.0]),
        "gradient.large": np.array([100.1]),
        "logits": np.ones(3),
    }
    assert largest_part(ours, theirs) == ("small", pytest.approx(0.5))


# The probe


class Linear:
    """A classifier of one matrix, with the optimiser's state that every backend shows."""

    def __init__(self, kernel: np.ndarray) -> None:
        self.kernel = kernel
        self.state: dict[str, Any] = {}

    def logits(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1) @ self.kernel

    def train_steps(self, batches: Batches) -> StepRecords:
        assert batches.learning_rates.tolist() == [0.0]
        x, y = batches.x[0].reshape(batches.y.shape[1], -1), batches.y[0]
        p = softmax(x @ self.kernel)
        moment = np.float32(0.1) * (x.T @ (p - np.eye(10)[y]) / len(y)).astype(np.float32)
        self.state = {"adam.step": np.int64(1), "adam.m.output.kernel": moment, "adam.v.output.kernel": moment**2}
        return StepRecords(np.array([-np.log(p[np.arange(len(y)), y]).mean()], np.float32), np.array([0]))

    def training_state(self) -> dict[str, Any]:
        return self.state


def test_a_probe_has_the_logits_the_loss_and_its_gradient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = experiment(train=Train(dropout=0.5, clip_norm=0.1, devices=2))
    artifact = stages.preprocess(asked, Store(tmp_path)).artifact
    dataset, network = Dataset.open(artifact.path), Linear(np.random.default_rng(0).normal(0, 0.1, (64, 10)))
    built: list[Train] = []

    def trained(experiment: Experiment, *_: Any) -> Any:
        built.append(experiment.train)
        return SimpleNamespace(classifier=network, device="cpu")

    monkeypatch.setattr(probing, "trained", trained)
    probing.probe(asked, artifact.path, tmp_path / "weights", tmp_path, Silent())
    found, train = read_probe(tmp_path / "probe.safetensors"), dataset.splits["train"]
    assert (built[0].dropout, built[0].clip_norm, built[0].devices) == (0.0, None, 1)
    assert found[LOGITS].shape == (len(dataset.splits["test"]), 10)
    x, y = dataset.normalisation.apply(train.pixels(tmp_path)[:64]).reshape(64, -1), train.labels()[:64]

    def loss(kernel: np.ndarray) -> float:
        return float(-np.log(softmax(x @ kernel)[np.arange(64), y]).mean())

    step = 1e-4 * np.random.default_rng(1).normal(size=(64, 10))
    rise = loss(network.kernel + step) - loss(network.kernel - step)
    assert 2 * (found["gradient.output.kernel"] * step).sum() == pytest.approx(rise, rel=1e-4)
    assert found[LOSS] == pytest.approx(loss(network.kernel), rel=1e-6)


def test_a_probe_is_made_anew_for_another_backend_and_not_for_how_was_trained(lone: Trainings) -> None:
    dataset, training = (lone.artifacts[f"torch-cnn-seed-0-{role}"] for role in ("preprocess", "train"))
    training = replace(training, files={"best.safetensors": {"size": 1, "sha256": "a"}})
    asked = experiment()
    inputs = stages.probe_inputs(asked, dataset, training)
    longer = asked.model_copy(update={"train": Train(dropout=0.0, epochs=9)})
    assert stages.probe_inputs(longer, dataset, training) == inputs
    assert stages.probe_inputs(asked.model_copy(update={"backend": "tensorflow"}), dataset, training) != inputs
    others = replace(training, files={"best.safetensors": {"size": 1, "sha256": "b"}})
    assert stages.probe_inputs(asked, dataset, others) != inputs


# From artifacts


class Trainings:
    """The artifacts of a comparison, as its stages leave them: real datasets, and answers drawn with given
    accuracies.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        accuracies: Mapping[str, float],
        apart: float = 1e-6,
        **record: Any,
    ) -> None:
        self.store, self.plan, self.record = store, plan, record
        self.artifacts: dict[str, Artifact] = {}
        for cell in plan.cells():
            dataset = stages.preprocess(plan.run_of(cell), store).artifact
            self.artifacts[cell.role("preprocess")] = dataset
            self._made(cell.role("train"), "train", lambda folder, cell=cell: self._trained(folder, cell))
            self._made(
                cell.role("evaluate"),
                "evaluate",
                lambda folder, cell=cell, dataset=dataset: self._answered(folder, cell, dataset, accuracies),
            )
        for probe in plan.probes():
            shift = 0.0 if probe.backend == plan.backends[0] else apart
            self._made(probe.role, "probe", lambda folder, shift=shift: self._probed(folder, shift))

    def _made(self, role: str, stage: str, make: Any) -> None:
        self.artifacts[role] = self.store.obtain(stage, {"role": role}, make).artifact

    def _trained(self, folder: Path, cell: Cell) -> None:
        losses = [2.0, 1.0, 0.5 + 1e-5 * (cell.backend == "tensorflow"), 0.25]
        rows = [
            {"epoch": n, "train_loss": loss, "val_accuracy": 0.6 + 0.01 * n, "train_accuracy": 0.5, "seconds": 0.5}
            for n, loss in enumerate(losses, 1)
        ]
        write_history(folder / "history.parquet", rows)
        write_json(folder / "train.json", {
            "epochs_done": 4, "best_epoch": 3, "seconds": 2.0, "samples_per_second": 640.0, "parameters": 1234,
            "peak_memory": 5_000_000, "device": "cpu", "environment": {"processor": "one", "threads": "2"},
            **self.record,
        })  # fmt: skip

    @staticmethod
    def _answered(folder: Path, cell: Cell, artifact: Artifact, accuracies: Mapping[str, float]) -> None:
        dataset = Dataset.open(artifact.path)
        test = dataset.splits["test"]
        labels, draws = test.labels(), np.random.default_rng([cell.seed, *cell.model.encode()])
        right = draws.random(len(test)) < accuracies[cell.model]
        logits = np.eye(10, dtype=np.float32)[np.where(right, labels, (labels + 1) % 10)] * 3
        with PredictionWriter(folder / "predictions.parquet", dataset.classes) as writer:
            writer.write(np.arange(len(labels)), test.sources(), labels, logits)
        measured = measure(labels, logits, dataset.classes, Evaluate(), 0).to_json()
        write_json(folder / "metrics.json", measured | {"samples_per_second": 9_000.0})

    @staticmethod
    def _probed(folder: Path, shift: float) -> None:
        arrays = {LOGITS: np.eye(10, dtype=np.float32), LOSS: np.ones(1, np.float32)}
        gradient = {f"{GRADIENT}output.bias": np.full(10, 2.0, np.float32)}
        moved = {name: (array + np.float32(shift)).astype(np.float32) for name, array in (arrays | gradient).items()}
        write_arrays(folder / "probe.safetensors", moved)


ACCURACIES = {"cnn": 0.9, "rnn": 0.6}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    """Those of two networks on two backends by three seeds."""
    return Trainings(Store(tmp_path_factory.mktemp("whole")), plan(), ACCURACIES, energy_joules=120.0)


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    """The same by one seed."""
    return Trainings(Store(tmp_path_factory.mktemp("lone")), plan(seeds=(0,)), ACCURACIES)


def test_what_was_found_is_what_the_artifacts_hold(whole: Trainings, tmp_path: Path) -> None:
    of = whole
    findings, evidence = find(Results(of.plan, of.artifacts))
    assert len(evidence.rows) == 12
    row = next(row for row in evidence.rows if (row.backend, row.model, row.seed) == ("tensorflow", "rnn", 1))
    assert row.training == of.artifacts["tensorflow-rnn-seed-1-train"].key
    assert (row.parameters, row.epochs, row.best_epoch, row.energy_joules) == (1234, 4, 3, 120.0)
    cnn = findings.summaries[0]
    accuracies = [row.accuracy for row in evidence.rows if (row.backend, row.model) == ("torch", "cnn")]
    assert (cnn.variant.words, cnn.accuracy.values) == ("cnn on torch", tuple(accuracies))
    assert cnn.interval.low <= cnn.within.low < cnn.accuracy.mean < cnn.within.high <= cnn.interval.high
    assert evidence.confusions[cnn.variant].sum() == 3 * row.test_samples
    assert not findings.same_test  # digits have no test split of their own
    write_rows(tmp_path / "rows.parquet", evidence.rows)
    assert read_rows(tmp_path / "rows.parquet") == list(evidence.rows)
    assert Findings.from_json(json.loads(json.dumps(findings.to_json(), allow_nan=False))) == findings


def test_it_says_which_is_best_and_that_the_backends_are_one(whole: Trainings) -> None:
    findings, _ = find(Results(whole.plan, whole.artifacts))
    best, lead, backends, parity, cost = findings.told
    # Both backends' answers are drawn alike.
    assert best.startswith("Most accurate are cnn on torch and cnn on tensorflow, equally: ")
    assert lead.startswith("Each of them is better than rnn on torch (+")
    assert "not sure" not in lead
    assert "Between backends no difference" in backends
    assert "100.0% of the samples or more" in backends
    assert "the same but for rounding" in parity
    assert "about as long to train" in cost
    assert findings.parities[0].epochs[0] == pytest.approx((0, 0, 1e-5, 0), abs=1e-9)


def variant_with(accuracy: float, model: Any) -> Summary:
    """By one seed."""
    of, one = Measured.of([accuracy]), Measured.of([1.0])
    within = Interval(accuracy - 0.02, accuracy + 0.02)
    return Summary(Variant("torch", model), of, within, one, one, one, 1.0, 1.0, 1, None, 1, (1,), (1,), ("cpu",), None)


@pytest.mark.parametrize(
    ("accuracies", "best", "lead"),
    [
        ((0.9, 0.8, 0.8), "is cnn on torch: 90.0%", "These very networks err more often than it: rnn on torch (+10.0"),
        (
            (0.9, 0.9, 0.8),
            "are cnn on torch and rnn on torch, equally: 90.0%",
            "than each of them: fusion on torch (+10",
        ),
        (
            (0.9, 0.9, 0.9),
            "are cnn on torch, rnn on torch and fusion on torch, equally: 90.0%",
            "All take about as long",
        ),
    ],
)
def test_a_tie_names_all_that_lead(accuracies: Sequence[float], best: str, lead: str) -> None:
    models = ("cnn", "rnn", "fusion")
    of = plan(["torch"], models, seeds=(0,))
    right = {cell: (np.arange(400) < 400 * share).tolist() for cell, share in zip(of.cells(), accuracies, strict=True)}
    summaries = [variant_with(share, model) for share, model in zip(accuracies, models, strict=True)]
    lines = list(told(of, summaries, pairs(of, answers_of(right), 2), ()))
    assert lines[0].startswith(f"Most accurate {best}")
    assert lead in lines[1]


@pytest.mark.parametrize(
    ("apart", "float32", "words"),
    [(1e-6, False, "rounding"), (0.1, True, "more than rounding"), (0.1, False, "not known in bfloat16")],
)
def test_of_bfloat16_it_is_not_said_what_explains_a_difference(apart: float, float32: bool, words: str) -> None:
    parity = Parity("cnn", "tensorflow", "torch", 10, apart, 1.0, 1.0, 0.0, 0.0, "output.kernel", ((0.0,),), float32)
    assert parity.words == words


def test_arithmetic_that_is_off_by_more_than_rounding_is_told(tmp_path: Path) -> None:
    of = Trainings(Store(tmp_path), plan(seeds=(0,)), ACCURACIES, apart=0.01)
    findings, _ = find(Results(of.plan, of.artifacts))
    assert [each.close for each in findings.parities] == [False, False]
    assert findings.parities[0].logits == pytest.approx(0.01, rel=1e-4)
    assert findings.parities[0].gradient == pytest.approx(0.01 / 2.01, rel=1e-4)
    assert any("differ by more than rounding explains" in line for line in findings.told)
    assert any("cnn on tensorflow and rnn on tensorflow differs from torch" in line for line in findings.warnings)


def test_one_seed_tells_of_these_networks_alone(lone: Trainings) -> None:
    findings, _ = find(Results(lone.plan, lone.artifacts))
    assert {pair.verdict for pair in findings.pairs} == {"unknown"}
    assert "One seed" in findings.warnings[0]
    assert "Of other trainings one seed says nothing." in findings.answer
    assert "is better than" not in findings.answer
    assert findings.summaries[0].alike is None


@pytest.mark.parametrize(("backends", "models", "sentences"), [(["torch"], MODELS, 3), (["torch"], ["cnn"], 1)])
def test_a_lone_backend_and_a_lone_network_are_not_compared_with_nothing(
    whole: Trainings, backends: Sequence[str], models: Sequence[str], sentences: int
) -> None:
    findings, _ = find(Results(plan(backends, models), whole.artifacts))
    assert len(findings.told) == sentences
    assert not findings.parities
    assert "ackends" not in findings.answer


def test_trainings_side_by_side_are_counted(lone: Trainings) -> None:
    of, artifacts = plan(["torch"], seeds=(0,)), dict(lone.artifacts)
    times = {"cnn": ("12:00:10", 10.0), "rnn": ("12:00:15", 10.0)}  # from 12:00:00 and from 12:00:05 on

    def rows(changed: dict[str, tuple[str, float]]) -> list[int]:
        for model, (ended, seconds) in changed.items():
            role = f"torch-{model}-seed-0-train"
            moved = {"created": f"2026-01-01T{ended}+00:00", "seconds": seconds}
            artifacts[role] = replace(artifacts[role], **moved)
        return [row.beside for row in Results(of, artifacts).rows()]

    assert rows(times) == [1, 1]
    assert rows({**times, "rnn": ("12:00:20", 10.0)}) == [0, 0]
    assert rows({**times, "rnn": ("12:00:19", 9.5)}) == [0, 0]  # half a second is nothing


@pytest.mark.parametrize(("of_rnn", "beside"), [("a", 1), ("b", 0)])
def test_only_trainings_on_one_machine_are_beside_each_other(
    lone: Trainings, tmp_path: Path, of_rnn: str, beside: int
) -> None:
    of, artifacts = plan(["torch"], seeds=(0,)), dict(lone.artifacts)
    for model, machine in (("cnn", "a"), ("rnn", of_rnn)):
        made = artifacts[role := f"torch-{model}-seed-0-train"]
        record = json.loads(made.file("train.json").read_text())
        (tmp_path / model).mkdir()
        (tmp_path / model / "train.json").write_text(json.dumps(record | {"machine": machine}))
        (tmp_path / model / "history.parquet").write_bytes(made.file("history.parquet").read_bytes())
        artifacts[role] = replace(made, path=tmp_path / model, created="2026-01-01T12:00:00+00:00", seconds=10.0)
    rows = Results(of, artifacts).rows()
    assert [(row.machine, row.beside) for row in rows] == [("a", beside), (of_rnn, beside)]


def test_what_makes_a_comparison_uneven_is_told(whole: Trainings) -> None:
    rows = Results(whole.plan, whole.artifacts).rows()
    rows = [replace(row, device="gpu:0" if row.backend == "torch" else "cpu", beside=row.seed) for row in rows]
    environments = {cell: {"processor": "one", "threads": str(cell.seed)} for cell in whole.plan.cells()}
    text = " ".join(caveats(whole.plan, rows, (), environments))
    assert "8 of 12 trainings ran beside others" in text
    assert "Not all trained on the same device (cpu and gpu)" in text
    assert "The trainings on torch were not all made with the same threads." in text
    assert "Dropout is on" in text
    assert "last epoch" not in text


def test_answers_to_other_test_samples_are_not_compared(whole: Trainings) -> None:
    swapped = whole.artifacts["tensorflow-rnn-seed-0-evaluate"]
    artifacts = {**whole.artifacts, "tensorflow-rnn-seed-1-evaluate": swapped}
    with pytest.raises(RecurraError, match="tensorflow-rnn-seed-1: its test split is not that of the others"):
        Results(whole.plan, artifacts).answers()


def test_its_conclusion_is_an_artifact_that_is_made_once(lone: Trainings) -> None:
    of = lone
    assert set(of.plan.roles()) == set(of.artifacts)
    first, second = (conclude(of.plan, of.store, of.artifacts) for _ in range(2))
    assert (first.hit, second.hit) == (False, True)
    files = {"comparison.parquet", "comparison.json", "report.html", "summary.md"}
    assert set(first.artifact.files) == files
    more = {**of.artifacts, "of-another": of.artifacts["torch-cnn-seed-0-train"]}
    assert comparison_inputs(of.plan, more) == comparison_inputs(of.plan, of.artifacts)


def test_a_comparison_says_itself_what_it_cannot_give(tmp_path: Path) -> None:
    comparison = Comparison.begin(Home(tmp_path), plan(), Path("mine.yaml"))
    assert Comparison.at(Home(tmp_path), comparison.folder).plan == plan()
    assert [each.id for each in Comparison.all(Home(tmp_path))] == [comparison.id]
    with pytest.raises(InputError, match=r"^comparison .*was not made; the same `recurra compare mine\.yaml \.\.\.`"):
        comparison.artifact("comparison")
