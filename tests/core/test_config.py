"""The experiment file: what is right is read, what is wrong is one line that names the field and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recurra.config import json_schema, load_experiment, resolved_yaml, validate
from recurra.errors import InputError

MINIMAL = "data: {source: digits}\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my exp.yaml"
    path.write_text(text)
    return path


def test_a_minimal_file_has_the_documented_defaults(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, MINIMAL))
    assert experiment.name == "my-exp"
    assert (experiment.train.epochs, experiment.train.batch_size, experiment.train.learning_rate) == (10, 32, 1e-3)
    assert (experiment.model.cnn.channels, experiment.model.rnn.units) == ((32, 64), 128)


def test_overrides_reach_any_depth_and_create_optional_parts(tmp_path: Path) -> None:
    overrides = ["train.early_stopping.patience=2", "model.cnn.channels=[8, 16]", "backend=tensorflow", "data.size=28"]
    experiment = load_experiment(write(tmp_path, MINIMAL), overrides)
    assert experiment.train.early_stopping is not None
    assert experiment.train.early_stopping.patience == 2
    assert experiment.model.cnn.channels == (8, 16)
    assert experiment.data.size == (28, 28)


GAN = "data: {source: x}\nmodel: {kind: gan}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: {source: digits}\ntrian: {}", "trian: unknown field. Did you mean 'train'?"),
        ("data: {source: x, normalise: {scal: unit}}", "data.normalise.scal: unknown field. Did you mean 'scale'?"),
        ("data: {source: x}\ntrain: {qqqqq: 1}", "train.qqqqq: unknown field. train has: epochs, batch_size"),
        ("data: {source: x}\ntrain: {epochs: 0}", "train.epochs: input should be greater than or equal to 1, found 0"),
        (
            "data: {source: x}\nmodel: {kind: gnn}",
            "model.kind: input should be 'cnn', 'rnn', 'fusion' or 'gan', found 'gnn'",
        ),
        ("data: {source: x, validation_group: {pattern: '('}}", "data.validation_group.pattern: not a regular expr"),
        ("data: {source: x, validation_group: {}}", "name exactly one of folder, pattern, column"),
        ("data: {source: x}\nmodel: {cnn: {kernel: 4}}", "model.cnn: an even kernel needs padding: valid"),
        ("data: {source: x}\ntrain: 5", "train: expected fields (epochs, batch_size"),
        ("data: {source: x}\nname: ../../etc", "name: expected letters, digits, dot, dash and underscore"),
        ("data: {source: x}\ndevice: cuda", "device: expected auto, cpu, gpu or gpu:N, found 'cuda'"),
        (GAN + "train: {monitor: val_loss}", "train.monitor has no meaning for a GAN"),
        (GAN + "train: {dropout: 0.5}", "train.dropout has no meaning for a GAN"),
        (GAN + "evaluate: {top_k: 2}", "evaluate.top_k has no meaning for a GAN"),
        (GAN + "evaluate: {calibration_bins: 9}", "evaluate.calibration_bins has no meaning for a GAN"),
        (
            GAN + "evaluate: {gan: {recogniser: {train: {gan: {r1: 2}}}}}",
            "evaluate.gan.recogniser: train.gan.r1 has no meaning for the recogniser that judges a GAN",
        ),
        ("data: {source: x}\ntrain: {gan: {r1: 2}}", "train.gan.r1 has no meaning without model.kind: gan"),
        ("data: {source: x}\nevaluate: {gan: {neighbours: 5}}", "evaluate.gan.neighbours has no meaning without"),
        (
            "data: {source: x, augment: {generated: 2}}",
            "data.augment.generated has no meaning without data.augment.gan",
        ),
        ("data: {source: x, augment: {gan: ''}}", "data.augment.gan: string should have at least 1 character"),
        ("model: {}", "data: missing, and needed"),
        ("data: [", "not valid YAML: line 1, column 8"),
        ("data: {source: x}\ndata: {source: y}", "line 2, column 1: 'data' is given twice"),
        ("data: {source: !!python/object:os.system x}", "not valid YAML: line 1"),
        ("- a", "expected fields such as `data:` and `model:`, found a list"),
        ("", "found nothing"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_field(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_experiment(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [GAN, MINIMAL])
def test_settings_at_their_defaults_may_be_written_out(tmp_path: Path, text: str) -> None:
    experiment = load_experiment(write(tmp_path, text))
    assert validate(experiment.model_dump(mode="json"), "all of them") == experiment


@pytest.mark.parametrize("override", ["train.epochs", "=3", "train.epochs=[", "train.epochz=3"])
def test_a_wrong_override_is_refused_in_one_line(tmp_path: Path, override: str) -> None:
    with pytest.raises(InputError, match=r"epoch|override"):
        load_experiment(write(tmp_path, MINIMAL), [override])


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    with pytest.raises(InputError, match=r"no such experiment file. Did you mean 'my exp.yaml'\?"):
        load_experiment(tmp_path / "my_exp.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8 text"):
        load_experiment(path)


def test_the_resolved_form_reads_back_to_the_same(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, MINIMAL), ["train.clip_norm=1", "data.size=[8, 9]"])
    assert validate(yaml.safe_load(resolved_yaml(experiment)), "again") == experiment


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path: Path) -> None:
    assert load_experiment(write(tmp_path, MINIMAL), ["train.learning_rate=1e-4"]).train.learning_rate == 1e-4


def test_groups_named_like_numbers_stay_text(tmp_path: Path) -> None:
    text = "data: {source: x, validation_group: {pattern: '^(.)', hold_out: [20170209]}}"
    group = load_experiment(write(tmp_path, text)).data.validation_group
    assert group is not None
    assert group.hold_out == ("20170209",)


def test_the_schema_describes_every_field_and_forbids_others() -> None:
    schema = json_schema()
    assert schema["required"] == ["data"]
    assert schema["additionalProperties"] is False
    assert "description" in schema["$defs"]["Cnn"]["properties"]["pool"]
