"""Reads an experiment file: YAML, dotted overrides, and one clear line for whatever is wrong with them."""

from __future__ import annotations

import reprlib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from recurra.errors import InputError, nearest
from recurra.experiment import Experiment, Part

M = TypeVar("M", bound=BaseModel)
_LARGEST = 1_000_000
"""Bytes; an experiment file is a page of text."""
_MOST_VALUES = 100_000
"""Values, with what aliases repeat counted each time: a few lines can otherwise stand for thousands of millions."""


class _Loader(yaml.SafeLoader):
    """YAML without its trap for people: a key given twice is refused rather than the first one dropped."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "expected a field's name", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_experiment(path: Path, overrides: Sequence[str] = (), settings: Mapping[str, Any] | None = None) -> Experiment:
    """The experiment that the file, the overrides (`train.epochs=20`) and the settings (`{"train.epochs": 20}`)
    describe; an InputError in one line.
    """
    values = read_fields(path, "an experiment file", "`data:` and `model:`")
    values.setdefault("name", _slug(path.stem))
    for override in overrides:
        apply_override(values, override)
    for dotted, value in (settings or {}).items():
        _put(values, dotted.split("."), value)
    return validate(values, str(path))


def validate(values: dict[str, Any], origin: str) -> Experiment:
    """The experiment that the values describe; an InputError that names `origin` and the first wrong fields."""
    return validated(Experiment, values, origin)


def validated(whole: type[M], values: Any, origin: str) -> M:
    """The model of that class; an InputError that names `origin` and the first wrong fields."""
    try:
        return whole.model_validate(values)
    except ValidationError as error:
        lines = [_line(fault, whole) for fault in error.errors()]
        more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
        raise InputError(f"{origin}: {'; '.join(lines[:3])}{more}") from None


def read_fields(path: Path, noun: str, such_as: str) -> dict[str, Any]:
    """The fields in a YAML file, which is `noun` and has fields `such_as`; an InputError where it holds none."""
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: {path.stat().st_size:,} bytes is too long for {noun}")
        values = _loaded(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = nearest(path.name, [p.name for p in path.parent.glob("*.y*ml")]) if path.parent.is_dir() else ""
        raise InputError(f"{path}: no such {noun.split(' ', 1)[1]}.{near}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text, expected {noun} (YAML)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read as {noun} ({error.strerror or error})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {_yaml_fault(error)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected fields such as {such_as}, found {_kind(values)}")
    return values


def _loaded(text: str) -> Any:
    """The values in YAML text; a ValueError where its aliases repeat more than an experiment can hold."""
    values = yaml.load(text, _Loader)
    waiting, count = [values], 0
    while waiting:
        value, count = waiting.pop(), count + 1
        if count > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES:,} values; take out its aliases (*)")
        if isinstance(value, (dict, list)):
            waiting += value.values() if isinstance(value, dict) else value
    return values


def _yaml_fault(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return place + " ".join((getattr(error, "problem", None) or str(error)).split())


def _kind(value: Any) -> str:
    return {type(None): "nothing", list: "a list", str: "text"}.get(type(value), f"a {type(value).__name__}")


def _slug(stem: str) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem)
    return kept.strip("-._")[:80] or "experiment"


def apply_override(values: dict[str, Any], override: str) -> None:
    """Sets the field that `train.epochs=20` names, in the values of an experiment file."""
    dotted, value = parsed_override(override)
    _put(values, dotted.split("."), value)


def parsed_override(override: str) -> tuple[str, Any]:
    """The dotted name and the value of `train.epochs=20`."""
    dotted, equals, text = override.partition("=")
    dotted = dotted.strip()
    if not equals or not all(dotted.split(".")):
        raise InputError(f"override '{override}': expected FIELD=VALUE, such as train.epochs=20")
    try:
        return dotted, _loaded(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"override '{override}': not valid YAML: {_yaml_fault(error)}") from None


def _put(values: dict[str, Any], names: Sequence[str], value: Any) -> None:
    *parents, last = names
    place = values
    for parent in parents:
        if not isinstance(place.get(parent), dict):
            place[parent] = {}
        place = place[parent]
    place[last] = value


def _parts(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation admits (`EarlyStopping | None` -> EarlyStopping)."""
    if isinstance(annotation, type) and not typing.get_args(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return [part for inner in typing.get_args(annotation) for part in _parts(inner)]
    return []


def _fields(location: Sequence[Any], part: type[BaseModel]) -> list[str]:
    """The names of the fields that may stand where `location` ends, within `part`."""
    names = iter(location)
    for name in names:
        field = next((field for own, field in part.model_fields.items() if name in (own, field.alias)), None)
        annotation = field.annotation if field else None
        if typing.get_origin(annotation) is dict:  # what its values are; the next name is a key
            annotation = typing.get_args(annotation)[1]
            next(names, None)
        inner = _parts(annotation)
        if not inner:
            return []
        part = inner[0]
    return [field.alias or own for own, field in part.model_fields.items()]


def _paths(name: str, part: type[BaseModel], above: str = "") -> list[str]:
    """The dotted names of all fields of that name, such as train.epochs for epochs."""
    found = [f"{above}{name}"] if above and name in part.model_fields else []
    for own, field in part.model_fields.items():
        for inner in _parts(field.annotation):
            found += _paths(name, inner, f"{above}{own}.")
    return found


def _line(fault: Any, whole: type[BaseModel]) -> str:
    location = [name for name in fault["loc"] if not (isinstance(name, str) and name.startswith("function-"))]
    dotted = ".".join(map(str, location)) or "the file"
    if fault["type"] == "extra_forbidden":
        known = _fields(location[:-1], whole)
        place = ".".join(map(str, location[:-1])) or _noun(whole)
        elsewhere = _paths(str(location[-1]), whole)
        hint = f" Did you mean '{elsewhere[0]}'?" if elsewhere else nearest(str(location[-1]), known)
        hint = hint or f" {place} has: {', '.join(known)}."
        return f"{dotted}: unknown field.{hint}"
    if fault["type"] == "missing":
        return f"{dotted}: missing, and needed"
    message = fault["msg"].removeprefix("Value error, ").replace(" after validation", "")
    message = message.replace("tuple", "list").replace("Tuple", "List")
    if fault["type"] == "string_pattern_mismatch":
        message = f"expected {_described(location, whole)}"
    if fault["type"] in ("model_type", "model_attributes_type"):
        message = f"expected fields ({', '.join(_fields(location, whole))})"
    found = fault.get("input")
    shown = "" if isinstance(found, (dict, BaseModel)) else f", found {_short(found)}"
    return f"{dotted}: {message[:1].lower()}{message[1:]}{shown}"


def _noun(whole: type[BaseModel]) -> str:
    name = whole.__name__.lower()
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _described(location: Sequence[Any], whole: type[BaseModel]) -> str:
    field = whole.model_fields.get(str(location[0])) if location else None
    text = field.description if field and field.description else "another form"
    return text[:1].lower() + text[1:].split(";")[0].rstrip(".")


def _short(value: Any) -> str:
    text = reprlib.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def json_schema() -> dict[str, Any]:
    """The JSON schema of experiment files, for editors (YAML language server) and other programs."""
    schema = Experiment.model_json_schema(mode="validation")
    schema["required"] = ["data"]  # the name may be left out: the file's own is taken
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "recurra experiment", **schema}


def resolved_yaml(experiment: Part) -> str:
    """The experiment with every default filled in, as YAML that reads back to the same."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
