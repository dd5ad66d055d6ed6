"""Checks the space of a sweep against the fields of the experiment, before anything runs."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from recurra.config import validate
from recurra.errors import InputError
from recurra.experiment import PARTS, Experiment, Part
from recurra.store import canonical
from recurra.sweep.space import Choice, Range, shown

IDLE = {
    "name": "it changes nothing that is measured",
    "device": "it changes nothing that is measured",
    "data.compression": "it changes nothing that is measured",
    "evaluate": "a sweep looks at the validation split alone, and this is of the test",
    "train.checkpoint_seconds": "it changes nothing that is measured",
    "train.devices": "it changes nothing that is measured",
    "train.keep": "it changes nothing that is learnt",
}
"""Fields that a sweep would learn nothing of."""
UNFAIR = {
    "seed": "the best seed is luck, and promises nothing of another; `recurra compare --seeds` shows what it changes",
    "train.monitor": "trials are compared by it",
    **dict.fromkeys(
        (
            "data.source", "data.reader", "data.kind", "data.columns", "data.test_fraction", "data.test_group",
            "data.validation_fraction", "data.validation_group", "data.max_refused", "data.max_pixels",
        ),
        "trials would be measured on other samples",
    ),
    "data.augment.gan": "a sweep is of trainings on real samples",
    "data.augment.generated": "a sweep is of trainings on real samples",
}  # fmt: skip
"""Fields whose trials could not be compared."""
_COMBINATIONS = 10_000
"""Looked at to find one that is valid."""


def checked(experiment: Experiment, swept: Sequence[Range | Choice], origin: str) -> tuple[Range | Choice, ...]:
    """The dimensions, their values as the fields hold them; an InputError that names the first wrong one."""
    if not swept:
        raise InputError(
            "a sweep needs a field that varies, such as train.learning_rate=1e-4..1e-2 or model.rnn.units=64,128,256"
        )
    found = tuple(_checked(experiment, each, origin) for each in swept)
    kinds = [str(kind) for each in found if each.field == "model.kind" for kind in each.values()]
    for each in found:
        _used(each, kinds or [experiment.model.kind])
    _one_valid(experiment, found, origin)
    return found


def varied(experiment: Experiment, settings: Mapping[str, Any], origin: str) -> Experiment:
    """The experiment with other values of some fields (dotted name -> value); an InputError where it is refused."""
    values = experiment.model_dump(mode="json")
    for field, value in settings.items():
        _set(values, field, value)
    return validate(values, origin)


def _checked(experiment: Experiment, given: Range | Choice, origin: str) -> Range | Choice:
    for refused in (IDLE, UNFAIR):
        for name, why in refused.items():
            if given.field == name or given.field.startswith(f"{name}."):
                raise InputError(f"{given.field} cannot be swept: {why}")
    for value in given.ends:
        _check(experiment, given.field, value, origin)
    field = _field(given.field)
    return _numbers(given, field) if isinstance(given, Range) else _options(given, field)


def _check(experiment: Experiment, dotted: str, value: Any, origin: str) -> None:
    """An InputError where the field does not take the value, whatever other fields hold."""
    values, place = experiment.model_dump(mode="json"), tuple(dotted.split("."))
    _set(values, dotted, value)
    try:
        Experiment.model_validate(values)
    except ValidationError as error:
        # What only the part around the field refuses can be right beside another field's other value.
        own = [fault for fault in error.errors() if fault["loc"][: len(place)] == place]
        if own or any(fault["type"] not in ("value_error", "assertion_error") for fault in error.errors()):
            validate(values, origin)


def _field(dotted: str) -> FieldInfo:
    part: type[Part] = Experiment
    *above, last = dotted.split(".")
    for name in above:
        part = next(_parts(part.model_fields[name].annotation))
    return part.model_fields[last]


def _parts(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _parts(inner)


def _kinds(annotation: Any) -> Iterator[type]:
    """The plain types that an annotation admits."""
    if annotation in (int, float, bool, str):
        yield annotation
    if typing.get_origin(annotation) is not tuple:
        for inner in typing.get_args(annotation):
            yield from _kinds(inner)


def _numbers(given: Range, field: FieldInfo) -> Range:
    kinds = set(_kinds(field.annotation)) & {int, float}
    if not kinds:
        raise InputError(
            f"{given.field}: a range is of numbers, and this field has none; name its choices: {given.field}=X,Y"
        )
    if float in kinds:
        return given
    ends = {name: getattr(given, name) for name in ("low", "high", "step")}
    broken = [number for number in ends.values() if number is not None and number != int(number)]
    if broken:
        raise InputError(f"{given.field}: {shown(broken[0])} is no whole number, and the field takes no other")
    whole = {name: None if number is None else int(number) for name, number in ends.items()}
    return given.model_copy(update={**whole, "whole": True})


def _options(given: Choice, field: FieldInfo) -> Choice:
    adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
    options = tuple(adapter.dump_python(adapter.validate_python(option), mode="json") for option in given.options)
    texts = [canonical(option) for option in options]
    twice = [option for option, text in zip(options, texts, strict=True) if texts.count(text) > 1]
    if twice:
        raise InputError(f"{given.field}: {shown(twice[0])} is given twice")
    return given.model_copy(update={"options": options})


def _used(each: Range | Choice, kinds: Sequence[str]) -> None:
    """An InputError for a part of the network that no network of the sweep has, and for a network that is no
    recogniser.
    """
    if "gan" in kinds:
        raise InputError("model.kind: a sweep is of a recogniser (cnn, rnn, fusion)")
    where, _, rest = each.field.partition(".")
    part = rest.partition(".")[0]
    if where == "model" and part != "kind" and not any(part in PARTS[kind] for kind in kinds):
        raise InputError(f"{each.field} has no meaning for model.kind: {' or '.join(kinds)}; leave it out")


def _one_valid(experiment: Experiment, swept: Sequence[Range | Choice], origin: str) -> None:
    """An InputError where no combination of values makes a valid experiment: what is wrong with the first."""
    fields, first = [each.field for each in swept], None
    for values in islice(product(*(each.ends for each in swept)), _COMBINATIONS):
        try:
            varied(experiment, dict(zip(fields, values, strict=True)), origin)
            return
        except InputError as error:
            first = first or error
    assert first is not None
    raise first


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for name in parents:
        if not isinstance(values.get(name), dict):
            values[name] = {}
        values = values[name]
    values[last] = value
