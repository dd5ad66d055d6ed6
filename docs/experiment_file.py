"""Writes docs/experiment-file.md from the experiment's own fields: python docs/experiment_file.py."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import typing
from pathlib import Path

from pydantic import BaseModel

from recurra import config, experiment

PAGE = Path(__file__).with_name("experiment-file.md")
OPENING = """# The experiment file

One YAML file describes an experiment. Every field has a default but `data.source`; `recurra config show FILE` prints
the file with all of them filled in, and `recurra config schema` the JSON schema, which an editor can use to complete
and check. Any field can be set on the command line: `recurra run my.yaml train.epochs=20 model.cnn.channels=[16,32]`.

This page is made from the code (`python docs/experiment_file.py`).
"""


def docstrings(part: type[BaseModel]) -> dict[str, str]:
    """The text below each field."""
    body = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def choices(annotation: object) -> str:
    """`a`, `b` for a Literal."""
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation)) + ". "
    return ""


def default(value: object) -> str:
    """A default as it would stand in the file."""
    return "" if value is None else f"`{json.dumps(value)}`".replace('"', "")


def rows(part: type[BaseModel], prefix: str) -> list[str]:
    """A table row for each field that holds a value."""
    texts, lines = docstrings(part), []
    for name, field in part.model_fields.items():
        if config._parts(field.annotation):
            continue
        needed = field.is_required() and name != "name"
        shown = "needed" if needed else default(None if field.is_required() else field.default)
        lines.append(f"| `{prefix}{name}` | {shown} | {choices(field.annotation)}{texts.get(name, '')} |")
    return lines


def sections(part: type[BaseModel], prefix: str = "", about: str = "") -> list[str]:
    """The part's own table, below what its field says and what it says itself; then its parts'."""
    title, texts = prefix.rstrip(".") or "The experiment", docstrings(part)
    text = " ".join(f"{part.__doc__ or ''} {about}".split())
    lines = [f"## {title}", "", text, "", "| field | default | |", "| --- | --- | --- |", *rows(part, prefix), ""]
    for name, field in part.model_fields.items():
        for inner in config._parts(field.annotation):
            lines += sections(inner, f"{prefix}{name}.", texts.get(name, ""))
    return lines


def page() -> str:
    """The whole page."""
    return OPENING + "\n" + "\n".join(sections(experiment.Experiment)).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
