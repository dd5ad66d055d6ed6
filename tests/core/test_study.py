"""A study compares what differs in one thing only, and says no more than its numbers do."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra import stages
from recurra.dataset import Dataset
from recurra.durable import write_json
from recurra.errors import InputError
from recurra.experiment import Augment, Data, EarlyStopping, Evaluate, Experiment, Model, Train
from recurra.home import Home
from recurra.intervals import Interval, over_samples, over_seeds
from recurra.metrics import measure
from recurra.pairing import Answered
from recurra.predictions import PredictionWriter
from recurra.store import Artifact, Store
from recurra.study.answer import answer
from recurra.study.comparison import Comparison, compared
from recurra.study.concluding import conclude
from recurra.study.findings import Findings, effects_of, find
from recurra.study.plan import Plan, as_on_all, equal_steps, more_epochs, planned, steps_of
from recurra.study.record import Study
from recurra.study.results import Results, read_rows, write_rows
from recurra.wording import points

CLASSICAL = Augment(shift=1)


def experiment(augment: Augment = CLASSICAL, **fields: Any) -> Experiment:
    data = Data(source="digits", augment=augment.model_copy(update={"gan": "gan.yaml"}))
    return Experiment(name="study", data=data, model=Model(kind="cnn"), train=Train(epochs=8), **fields)


def plan(augment: Augment = CLASSICAL, fractions: Sequence[float] = (0.1,), seeds: Sequence[int] = (0, 1, 2)) -> Plan:
    gan = Experiment(name="gan", data=Data(source="digits"), model=Model(kind="gan"))
    return Plan(experiment=experiment(augment), gan=gan, fractions=tuple(fractions), seeds=tuple(seeds))


def answered(correct: Sequence[int], samples: Sequence[int] | None = None) -> Answered:
    numbers = np.arange(len(correct)) if samples is None else np.array(samples)
    return Answered(numbers, np.array(correct, bool), np.zeros(len(correct), np.int32))


# The plan


def test_the_arms_of_a_cell_differ_in_their_training_data_and_augmentation_alone() -> None:
    of = plan()
    cell = next(of.cells())
    arms = {arm: of.recogniser(cell, arm, 100, 100) for arm in of.arms}
    assert [(arm, each.data.augment.gan, each.data.augment.shift) for arm, each in arms.items()] == [
        ("real", None, 0),
        ("generated", "gan.yaml", 0),
        ("classical", None, 1),
        ("both", "gan.yaml", 1),
    ]
    plain = [each.model_copy(update={"data": of.data(cell).data}) for each in arms.values()]
    assert all(each == plain[0] for each in plain)


def test_the_gan_sees_the_fraction_and_the_seed_of_its_cell_and_keeps_its_own_augmentation() -> None:
    of = plan(fractions=(0.25,), seeds=(7,))
    of = of.model_copy(
        update={"gan": of.gan.model_copy(update={"data": of.gan.data.model_copy(update={"augment": Augment(shift=2)})})}
    )
    cell = next(of.cells())
    gan, real = of.generator(cell, 323), of.data(cell)
    assert (gan.seed, gan.data.train_fraction, gan.data.augment) == (7, 0.25, Augment(shift=2))
    settings = [stages.preprocess_inputs(each, stages.open_source(each)) for each in (gan, real)]
    assert settings[0] == settings[1]


def test_without_classical_augmentation_there_are_two_arms() -> None:
    of = plan(Augment())
    assert of.arms == ("real", "generated")
    assert of.comparisons == (("generated", "real"),)
    assert of.trainings == 3 * (2 + 2)


@pytest.mark.parametrize(
    ("train", "real", "trained_on", "epochs"),
    [
        (Train(epochs=10, batch_size=32), 320, 640, 5),
        (Train(epochs=10, batch_size=32), 320, 320, 10),
        (Train(epochs=10, batch_size=32), 65, 130, 6),  # 3 steps an epoch and 5: 30 steps and 30
        (Train(epochs=10, batch_size=32), 320, 3_200, 1),
        (Train(epochs=7, batch_size=32), 320, 640, 3),  # not 3.5, which would be more
    ],
)
def test_with_more_samples_there_are_fewer_epochs(train: Train, real: int, trained_on: int, epochs: int) -> None:
    assert equal_steps(train, real, trained_on).epochs == epochs


@given(st.integers(1, 300), st.integers(1, 64), st.integers(1, 5000), st.floats(0.1, 10))
def test_no_arm_takes_more_steps_and_none_lacks_a_whole_epoch(epochs: int, batch: int, real: int, share: float) -> None:
    train, trained_on = Train(epochs=epochs, batch_size=batch), real + max(1, round(real * share))
    allowed = steps_of(train, real)
    if allowed < steps_of(train, trained_on, 1):
        with pytest.raises(InputError, match=r"raise train\.epochs"):
            equal_steps(train, real, trained_on)
        return
    taken = steps_of(equal_steps(train, real, trained_on), trained_on)
    assert allowed - steps_of(train, trained_on, 1) < taken <= allowed


def test_warm_up_and_patience_keep_their_steps() -> None:
    train = Train(epochs=20, batch_size=10, warmup_epochs=4, early_stopping=EarlyStopping(patience=6))
    scaled = equal_steps(train, 100, 200)
    assert (scaled.warmup_epochs, scaled.epochs) == (2, 10)
    assert scaled.early_stopping == EarlyStopping(patience=3)


@pytest.mark.parametrize(
    ("change", "fractions", "seeds", "said"),
    [
        ({}, (0.5, 1.5), (0,), "--fractions: a fraction of the training data lies above 0 and is 1 at most, found 1.5"),
        ({}, (0.0,), (0,), "--fractions: a fraction"),
        ({}, (math.nan,), (0,), "--fractions: "),
        ({}, (0.5, 0.5), (0,), "--fractions: fraction 0.5 is given twice"),
        ({}, (), (0,), "--fractions: one fraction at least is needed"),
        ({}, (0.5,), (1, 1), "--seeds: seed 1 is given twice"),
        ({}, (0.5,), (-1,), "--seeds: a seed lies from 0 to 4294967295, found -1"),
        ({}, (0.5,), (), "--seeds: one seed at least is needed"),
        ({"train_fraction": 0.5}, (0.5,), (0,), "data.train_fraction: 0.5 is set, and a study sets it"),
        ({"augment": Augment()}, (0.5,), (0,), "data.augment.gan: a study needs a GAN"),
        ({"augment": Augment(gan="latest")}, (0.5,), (0,), "data.augment.gan: 'latest' is a run"),
    ],
)
def test_what_cannot_be_studied_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    fractions: Sequence[float],
    seeds: Sequence[int],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gan.yaml").write_text("data: {source: digits}\nmodel: {kind: gan}\n")
    of = experiment()
    of = of.model_copy(update={"data": of.data.model_copy(update=change)})
    with pytest.raises(InputError) as refused:
        planned(of, Home(tmp_path), fractions, seeds)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


# Intervals, by hand


def test_the_interval_over_seeds_is_students() -> None:
    # mean 2, s = 1, t(2 degrees of freedom, 0.975) = 4.302653: 2 +- 4.302653 / sqrt(3)
    interval = over_seeds([1.0, 2.0, 3.0])
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)
    assert over_seeds([0.9]) is None


def test_the_interval_over_samples_is_that_of_resampling_rows() -> None:
    random = np.random.default_rng(0)
    differences = random.choice([-1, 0, 0, 0, 1, 1], (200, 3)).astype(np.int8)
    interval = over_samples(differences, np.ones((200, 3), bool))
    means = differences.mean(1)[random.integers(0, 200, (20_000, 200))].mean(1)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.004)


def test_samples_that_only_some_seeds_have_count_in_these() -> None:
    # Seed 0 tests samples 0 to 3 and seed 1 samples 2 to 5; every answer of a seed is alike: no resample differs.
    pairs = [
        (answered([1, 1, 1, 1], [0, 1, 2, 3]), answered([0, 0, 0, 0], [0, 1, 2, 3])),
        (answered([1, 1, 1, 1], [2, 3, 4, 5]), answered([1, 1, 1, 1], [2, 3, 4, 5])),
    ]
    found = compared(1.0, "generated", "real", pairs)
    assert found.differences == (1.0, 0.0)
    assert found.over_samples == Interval(0.5, 0.5)


@given(st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3), min_size=1, max_size=60))
def test_the_bootstrap_lies_within_the_answers_and_holds_still(rows: list[list[int]]) -> None:
    differences = np.array(rows, np.int8)
    tested = np.ones(differences.shape, bool)
    interval = over_samples(differences, tested)
    means = differences.mean(1)
    assert means.min() - 1e-9 <= interval.low <= interval.high <= means.max() + 1e-9
    assert interval == over_samples(differences[::-1], tested)
    if len(set(means.tolist())) == 1:
        assert interval.low == pytest.approx(interval.high)


# Verdicts


def comparison(*differences: float, samples: tuple[float, float], arm: str = "generated") -> Comparison:
    return Comparison(0.1, arm, "real", differences, over_seeds(differences), Interval(*samples))


@pytest.mark.parametrize(
    ("found", "verdict", "said"),
    [
        (comparison(0.02, 0.02, 0.02, samples=(0.01, 0.03)), "helps", "helps (+2.0 points, 95% interval +1.0 to +3.0)"),
        (comparison(-0.02, -0.02, -0.02, samples=(-0.03, -0.01)), "harms", "harms (−2.0 points"),
        # Sure for these networks, and not for other seeds.
        (
            comparison(0.00, 0.02, 0.04, samples=(0.01, 0.03)),
            "none",
            "a gain of up to 7.0 points or a loss of up to 3.0",
        ),
        # The same for every seed, and not sure for other samples.
        (comparison(0.02, 0.02, 0.02, samples=(-0.01, 0.05)), "none", "or a loss of up to 1.0 points could hide"),
        (comparison(0.02, samples=(0.01, 0.03)), "unknown", "one seed cannot tell"),
        (comparison(0.0, 0.0, samples=(0.0, 0.0)), "none", "every answer is equally right"),
    ],
)
def test_an_effect_must_hold_for_other_seeds_and_for_other_samples(found: Comparison, verdict: str, said: str) -> None:
    assert found.verdict == verdict
    assert said in found.words
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_the_answer_is_one_sentence_over_all_fractions() -> None:
    helps = comparison(0.02, 0.02, samples=(0.01, 0.03))
    none = Comparison(1.0, "generated", "real", (0.0, 0.01), over_seeds((0.0, 0.01)), Interval(-0.01, 0.02))
    classical = comparison(-0.02, -0.02, samples=(-0.03, -0.01), arm="classical")
    assert answer([helps, none, classical]) == (
        "Generated samples help at 10% (+2.0 points) and make no difference that can be seen at 100% of the training"
        " data; classical augmentation harms at 10% (−2.0 points) of the training data."
    )


def test_a_difference_of_nothing_has_no_sign() -> None:
    assert [points(value) for value in (0.0213, -0.0213, 0.0001, -0.0001)] == ["+2.1", "−2.1", "0.0", "0.0"]


# From artifacts


class Trainings:
    """The artifacts of a study, as its stages leave them: real datasets, and answers drawn with given accuracies."""

    def __init__(self, store: Store, plan: Plan, accuracies: dict[str, float], best_epoch: int = 2) -> None:
        self.store, self.plan, self.best_epoch = store, plan, best_epoch
        self.artifacts: dict[str, Artifact] = {}
        for cell in plan.cells():
            dataset = stages.preprocess(plan.data(cell), store).artifact
            self.artifacts[cell.role("preprocess")] = dataset
            # Any dataset of the kind can stand for the generated one.
            self.artifacts[cell.role("augment")] = stages.augment(store, dataset, dataset).artifact
            self._made(cell.role("gan"), "train", lambda folder: self._trained(folder, symptoms=["it collapsed"]))
            for arm in plan.arms:
                self._made(cell.role(arm, "train"), "train", self._trained)
                draws = np.random.default_rng([cell.seed, *arm.encode()])
                self._made(
                    cell.role(arm, "evaluate"),
                    "evaluate",
                    lambda folder, arm=arm, draws=draws, dataset=dataset: self._answered(
                        folder, Dataset.open(dataset.path), accuracies[arm], draws
                    ),
                )

    def _made(self, role: str, stage: str, make: Any) -> None:
        self.artifacts[role] = self.store.obtain(stage, {"role": role}, make).artifact

    def _trained(self, folder: Path, **more: Any) -> None:
        record = {"epochs_done": 4, "best_epoch": self.best_epoch, "seconds": 2.5}
        write_json(folder / "train.json", record | more)

    @staticmethod
    def _answered(folder: Path, dataset: Dataset, accuracy: float, draws: np.random.Generator) -> None:
        test = dataset.splits["test"]
        labels, right = test.labels(), draws.random(len(test)) < accuracy
        logits = np.eye(10, dtype=np.float32)[np.where(right, labels, (labels + 1) % 10)] * 3
        with PredictionWriter(folder / "predictions.parquet", dataset.classes) as writer:
            writer.write(np.arange(len(labels)), test.sources(), labels, logits)
        write_json(folder / "metrics.json", measure(labels, logits, dataset.classes, Evaluate(), 0).to_json())


ACCURACIES = {"real": 0.6, "generated": 0.8, "classical": 0.8, "both": 0.8}


def test_what_was_found_is_what_the_artifacts_hold(tmp_path: Path) -> None:
    of = Trainings(Store(tmp_path), plan(fractions=(0.1, 1.0)), ACCURACIES)
    findings, rows = find(Results(of.plan, of.artifacts))
    assert len(rows) == 2 * 3 * 4
    both = next(row for row in rows if (row.fraction, row.seed, row.arm) == (0.1, 0, "both"))
    real = next(row for row in rows if (row.fraction, row.seed, row.arm) == (0.1, 0, "real"))
    assert (both.real, both.generated) == (real.real, real.real) == (129, 129)
    assert both.steps == 4 * math.ceil(258 / 32)
    assert both.training == of.artifacts["0.1-seed-0-both-train"].key
    verdicts = {(each.fraction, each.arm, each.against): each.verdict for each in findings.comparisons}
    assert verdicts[0.1, "generated", "real"] == verdicts[1.0, "both", "real"] == "helps"
    assert verdicts[1.0, "both", "classical"] == "none"
    assert not findings.same_test  # digits have no test split of their own
    assert any("it collapsed" in line for line in findings.warnings)
    assert Findings.from_json(json.loads(json.dumps(findings.to_json(), allow_nan=False))) == findings
    write_rows(tmp_path / "rows.parquet", rows)
    assert read_rows(tmp_path / "rows.parquet") == rows


def test_its_conclusion_is_an_artifact_that_is_made_once(tmp_path: Path) -> None:
    of = Trainings(Store(tmp_path), plan(), ACCURACIES)
    first, second = (conclude(of.plan, of.store, of.artifacts) for _ in range(2))
    assert (first.hit, second.hit) == (False, True)
    assert set(first.artifact.files) == {"study.parquet", "study.json", "report.html", "summary.md"}
    assert pq.read_table(first.artifact.file("study.parquet")).num_rows == 3 * 4
    assert "helps" in first.artifact.file("summary.md").read_text()


def test_networks_that_were_still_learning_and_a_lone_seed_are_told(tmp_path: Path) -> None:
    of = Trainings(Store(tmp_path), plan(Augment(), seeds=(0,)), ACCURACIES, best_epoch=4)
    findings, _ = find(Results(of.plan, of.artifacts))
    text = " ".join(findings.warnings)
    assert "still learning" in text
    assert "One seed" in text
    assert "two arms" in text
    assert "cannot be told from chance" in findings.answer


def test_a_seed_whose_test_split_has_other_samples_is_compared_with_itself(tmp_path: Path) -> None:
    of = Trainings(Store(tmp_path), plan(), ACCURACIES)
    results = Results(of.plan, of.artifacts)
    per_seed = [results.answered(0.1)["real", seed].samples for seed in of.plan.seeds]
    shared = set(per_seed[0].tolist()) & set(per_seed[1].tolist())
    assert 0 < len(shared) < len(per_seed[0])


def test_on_a_fraction_a_recogniser_has_more_epochs() -> None:
    train = Train(epochs=60)
    assert more_epochs(train, 0.25**0.5).epochs == 120
    assert more_epochs(train, 1.0) == train


@pytest.mark.parametrize(
    ("batch", "real", "fraction", "epochs", "every"),
    [
        (16, 17, 0.05, 660, 55),  # 2 steps an epoch, 22 on all 340 samples
        (32, 320, 0.1, 600, 50),
        (64, 20, 0.5, 60, 5),  # 1 step an epoch, as on all
        (16, 340, 1.0, 60, 5),
    ],
)
def test_a_gan_takes_as_many_steps_on_a_fraction_as_on_all(
    batch: int, real: int, fraction: float, epochs: int, every: int
) -> None:
    train = Train.model_validate({"epochs": 60, "batch_size": batch, "gan": {"measure_every": 5}})
    part = as_on_all(train, real, fraction)
    assert (part.epochs, part.gan.measure_every) == (epochs, every)
    assert steps_of(part, real) == steps_of(train, round(real / fraction))


def test_every_experiment_of_a_cell_is_one_that_a_file_could_hold() -> None:
    of = plan(fractions=(0.1,), seeds=(0,))
    cell = next(of.cells())
    for each in (of.generator(cell, 129), of.data(cell), *(of.recogniser(cell, arm, 129, 258) for arm in of.arms)):
        assert Experiment.model_validate(each.model_dump(mode="json")) == each


def test_a_class_of_few_test_samples_is_not_sure_because_the_seeds_agree(tmp_path: Path) -> None:
    of = Trainings(Store(tmp_path), plan(Augment(), seeds=(0, 1)), ACCURACIES)
    results = Results(of.plan, of.artifacts)
    labels = np.repeat(np.arange(10, dtype=np.int32), 5)
    before, after = np.zeros(50, bool), np.arange(50) % 5 == 0  # one sample in five is right now, for every seed
    answers = {
        (arm, seed): Answered(np.arange(50), right, labels)
        for arm, right in (("real", before), ("generated", after))
        for seed in (0, 1)
    }
    for effect in effects_of(results, 0.1, answers):
        assert (effect.before, effect.difference, effect.support) == (0, 0.2, 5)
        assert effect.interval is not None
        assert 0.0 in effect.interval


def test_a_study_says_itself_what_it_cannot_give(tmp_path: Path) -> None:
    study = Study.begin(Home(tmp_path), plan(), Path("mine.yaml"))
    assert study.experiment.name == "study"
    assert (study.gan.model.kind, study.running) == ("gan", False)
    with pytest.raises(InputError, match=r"^study .*was not made; the same `recurra augment mine\.yaml \.\.\.` makes"):
        study.artifact("study")
    with study.held():
        held = "from recurra.home import Home; from recurra.study.record import Study; import sys, pathlib;"
        code = f"{held} next(Study.all(Home(pathlib.Path(sys.argv[1])))).held().__enter__()"
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert f"study {study.id} is still running" in done.stderr
