"""What varies in a sweep is read from the command line and checked against the fields, before anything runs."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError
from recurra.experiment import Data, Experiment
from recurra.sweep.fields import checked, varied
from recurra.sweep.space import Choice, Range, separated

EXPERIMENT = Experiment(name="mine", data=Data(source="digits"))


def space_of(*settings: str) -> tuple[Range | Choice, ...]:
    return checked(EXPERIMENT, separated(settings)[1], "my.yaml")


def test_ranges_choices_and_overrides_are_told_apart() -> None:
    overrides, swept = separated([
        "train.learning_rate=1e-4..1e-2", "model.rnn.units=64,128", "train.epochs=20", "model.cnn.channels=[8, 16]",
        "data.source=../digits", "data.augment.shift=-1..x/y",
    ])  # fmt: skip
    assert [each.field for each in swept] == ["train.learning_rate", "model.rnn.units"]
    assert [each.partition("=")[0] for each in overrides] == [
        "train.epochs", "model.cnn.channels", "data.source", "data.augment.shift",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "words", "size"),
    [
        ("train.learning_rate=1e-4..1e-2", "0.0001 to 0.01, logarithmic", None),
        ("train.learning_rate=1e-3..1e-2", "0.001 to 0.01", None),
        ("train.learning_rate=log:1e-3..1e-2", "0.001 to 0.01, logarithmic", None),
        ("train.dropout=0..0.5:0.1", "0 to 0.5 in steps of 0.1", 6),
        ("train.dropout=0..0.35:0.1", "0 to 0.3 in steps of 0.1", 4),
        ("train.epochs=1e1..2e1", "10 to 20", 11),
        ("train.epochs=1..20:5", "1 to 16 in steps of 5", 4),
        ("train.early_stopping.patience=3..9", "3 to 9", 7),
        ("model.rnn.cell=lstm,gru", "lstm or gru", 2),
        ("model.cnn.channels=[8],[16,32]", "[8] or [16, 32]", 2),
        ("train.clip_norm=null,1,5", "null, 1 or 5", 3),
        ("data.size=16,28", "[16, 16] or [28, 28]", 2),
    ],
)
def test_a_setting_says_what_is_searched(setting: str, words: str, size: int | None) -> None:
    (found,) = space_of(setting)
    assert (found.words, found.size) == (words, size)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.lerning_rate=1e-4..1e-2", "my.yaml: train.lerning_rate: unknown field. Did you mean 'learning_rate'?"),
        ("learning_rate=1,2", "my.yaml: learning_rate: unknown field. Did you mean 'train.learning_rate'?"),
        ("train.dropout=0..1", "my.yaml: train.dropout: input should be less than 1, found 1"),
        ("train.epochs=1,0", "my.yaml: train.epochs: input should be greater than or equal to 1, found 0"),
        ("train.epochs=1..9:0.5", "train.epochs: 0.5 is no whole number"),
        ("train.epochs=5..1", "train.epochs: 5..1 is no range; expected A..B with A below B"),
        ("train.epochs=1..3:5", "train.epochs: the step 5 does not fit into 1..3"),
        ("train.learning_rate=1e-4..x", "train.learning_rate: '1e-4..x' is no range; expected A..B, log:A..B"),
        ("train.learning_rate=1..2,3", "train.learning_rate: '1..2,3' is no range"),
        ("train.learning_rate=log:0..1", "train.learning_rate: log:0..1 begins at 0"),
        ("train.learning_rate=log:0.1..1:0.1", "train.learning_rate: a range is logarithmic or has a step"),
        ("data.size=8..16", "data.size: a range is of numbers, and this field has none"),
        ("model.rnn.bidirectional=0..1", "model.rnn.bidirectional: a range is of numbers"),
        ("model.rnn.cell=lstm,gru,lstm", "model.rnn.cell: lstm is given twice"),
        ("model.gan.noise=3,4", "model.gan.noise has no meaning for model.kind: fusion"),
        ("model.kind=cnn,gan", "model.kind: a sweep is of a recogniser"),
        ("model.cnn.kernel=2,4", "my.yaml: model.cnn: an even kernel needs padding: valid"),
        ("seed=1,2", "seed cannot be swept: the best seed is luck"),
        ("train.monitor=val_loss,val_accuracy", "train.monitor cannot be swept: trials are compared by it"),
        ("data.validation_fraction=0.1,0.2", "data.validation_fraction cannot be swept: trials would be measured on"),
        ("evaluate.top_k=1,2", "evaluate.top_k cannot be swept"),
        ("train.epochs=3", "a sweep needs a field that varies"),
    ],
)
def test_what_cannot_be_searched_is_one_line_with_the_field(setting: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        space_of(setting)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_field_has_one_place() -> None:
    for twice in (("train.epochs=1,2", "train.epochs=3..4"), ("train.epochs=1,2", "train.epochs=7")):
        with pytest.raises(InputError, match=r"train\.epochs is given twice"):
            separated(twice)
    with pytest.raises(InputError, match=r"model\.cnn\.kernel is a part of model\.cnn"):
        separated(["model.cnn={kernel: 3},{kernel: 5}", "model.cnn.kernel=3,5"])


def test_values_that_are_right_only_together_are_no_reason_to_refuse() -> None:
    space = space_of("model.cnn.kernel=2,3", "model.cnn.padding=same,valid")
    assert [each.size for each in space] == [2, 2]
    assert varied(EXPERIMENT, {"model.cnn.kernel": 2, "model.cnn.padding": "valid"}, "x").model.cnn.kernel == 2
    with pytest.raises(InputError, match="an even kernel needs padding: valid"):
        varied(EXPERIMENT, {"model.cnn.kernel": 2}, "x")


@given(low=st.floats(1e-6, 1.0), width=st.floats(1e-4, 5.0), log=st.booleans(), share=st.floats(0, 1))
def test_a_range_reads_back_and_its_numbers_stay_within_it(low: float, width: float, log: bool, share: float) -> None:
    (found,) = space_of(f"train.learning_rate={'log:' if log else ''}{low!r}..{low + width!r}")
    assert isinstance(found, Range)
    assert math.isclose(space_of(found.spelled)[0].ends[1], found.high, rel_tol=1e-9)
    drawn = found.low + share * (found.high - found.low)
    assert found.low <= found.settled(drawn) <= found.high
    assert math.isclose(found.settled(drawn), drawn, rel_tol=1e-4, abs_tol=2e-4 * width)
    assert found.settled(found.settled(drawn)) == found.settled(drawn)


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=6, unique=True), st.integers(1, 50))
def test_whole_numbers_read_back(options: list[int], step: int) -> None:
    (choice,) = space_of(f"model.rnn.units={','.join(map(str, options))}")
    assert choice.values() == tuple(options)
    assert space_of(choice.spelled) == (choice,)
    (steps,) = space_of(f"model.rnn.units=1..{1 + 4 * step}:{step}")
    assert steps.values() == tuple(range(1, 2 + 4 * step, step))
    assert space_of(steps.spelled) == (steps,)


@given(st.lists(st.lists(st.integers(1, 64), min_size=1, max_size=3), min_size=2, max_size=4, unique_by=tuple))
def test_lists_read_back(options: list[list[int]]) -> None:
    (choice,) = space_of(f"model.cnn.channels={','.join(map(str, options))}")
    assert list(choice.values()) == options
    assert space_of(choice.spelled) == (choice,)


@given(st.text(max_size=30))
def test_no_text_is_worse_than_refused(text: str) -> None:
    with suppress(InputError):
        space_of(f"train.learning_rate={text}")
