"""What the form of a deployment in the dashboard offers, on top of what the models say themselves.

Prefect makes the form from the JSON schema of a flow's parameters. It shows an `enum` as a drop-down and an object
without properties as one field of JSON. Backends are known only where they are installed; and the settings of a GAN
would make the form of a recogniser twice as long.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from recurra.experiment import Experiment
from recurra.registry import entries

FIRST = ("name", "backend", "model", "train", "seed", "device", "data", "evaluate")
"""The order of an experiment's parts in the form: what is changed most comes first."""
FOLDED = {"model": "gan", "train": "gan", "evaluate": "gan"}
"""Part of an experiment -> what of it is one field of JSON: a GAN's settings alone."""


class _Backend:
    """Marks the name of a backend."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A choice of those that are installed."""
        return _chosen(handler(schema))


class _Experiment:
    """Marks an experiment that is filled in by hand."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The experiment's own, with a choice of backends, in another order, and a GAN's settings folded."""
        made = handler(schema)
        whole = handler.resolve_ref_schema(made)
        parts = whole["properties"]
        for part, name in FOLDED.items():
            fields = handler.resolve_ref_schema(parts[part])["properties"]
            if "$ref" in fields[name]:  # it is asked for once for each flow
                fields[name] = _folded(fields[name], handler)
        parts["backend"] = _chosen(parts["backend"])
        whole["properties"] = {name: parts[name] for name in dict.fromkeys((*FIRST, *parts))}
        return made


BackendName = Annotated[str, _Backend()]
FilledExperiment = Annotated[Experiment, _Experiment()]


def filled(experiment: Experiment) -> dict[str, Any]:
    """The experiment as the form is filled in with it: all fields but a GAN's, where they are at their defaults."""
    values = experiment.model_dump(mode="json")
    for part, name in FOLDED.items():
        of = getattr(experiment, part)
        if getattr(of, name) == type(of).model_fields[name].get_default(call_default_factory=True):
            del values[part][name]
    return values


def _chosen(field: dict[str, Any]) -> dict[str, Any]:
    """The field of text with the backends that can be used here; a default that cannot stays a choice, and the run
    then says what is wrong with it.
    """
    names = [entry.name for entry in entries() if not entry.problem]
    default = field.get("default")
    return field | {"enum": [*names, *([default] if default and default not in names else [])]} if names else field


def _folded(field: dict[str, Any], handler: GetJsonSchemaHandler) -> dict[str, Any]:
    of = handler.resolve_ref_schema({"$ref": field["$ref"]})
    said = " ".join(field.get("description", of.get("description", "")).split())
    # Without a default the field is empty, and not a page of what nobody has changed.
    return {"type": "object", "title": of["title"], "description": f"{said} As JSON; empty: as it is."}
