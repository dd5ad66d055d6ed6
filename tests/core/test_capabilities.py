"""What a backend lacks is said before anything is made, with the field that asks for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from recurra.capabilities import able_backend
from recurra.config import validate
from recurra.errors import InputError
from recurra.experiment import Experiment


def gan(data: dict[str, Any], recogniser: dict[str, Any]) -> Experiment:
    values = {"model": {"kind": "gan"}, "evaluate": {"gan": {"recogniser": recogniser}}}
    return validate({"name": "x", "data": {"source": "x", **data}, **values}, "test")


CASES = [
    ({"cnn", "rnn", "fusion"}, {}, {}, "model.kind: "),
    ({"gan", "fusion"}, {}, {}, "evaluate.gan.recogniser.model (left out: a cnn for images): "),
    ({"gan", "cnn"}, {}, {}, "evaluate.gan.recogniser.model (left out: a fusion for clips): "),
    ({"gan", "cnn"}, {"kind": "clips"}, {}, "evaluate.gan.recogniser.model (left out: a fusion for clips): "),
    ({"gan", "cnn"}, {"kind": "images"}, {}, None),
    ({"gan", "rnn"}, {}, {"model": {"kind": "rnn"}}, None),
    ({"gan", "rnn"}, {}, {"model": {"kind": "cnn"}}, "evaluate.gan.recogniser.model.kind: "),
    ({"gan", "rnn"}, {}, {"model": {"kind": "rnn"}, "train": {"precision": "bf16"}},
     "evaluate.gan.recogniser.train.precision: "),
]  # fmt: skip


@pytest.mark.parametrize(("able", "data", "recogniser", "field"), CASES)
def test_a_gans_judge_is_asked_for_as_well(
    able: set[str], data: dict[str, Any], recogniser: dict[str, Any], field: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = SimpleNamespace(name="small", capabilities=frozenset(able))
    monkeypatch.setattr("recurra.capabilities.load_backend", lambda _: backend)
    if field is None:
        able_backend(gan(data, recogniser))
        return
    with pytest.raises(InputError) as caught:
        able_backend(gan(data, recogniser))
    assert str(caught.value).startswith(f"{field}backend 'small' has no ")
