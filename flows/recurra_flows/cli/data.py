"""`recurra data`: what a source holds, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from recurra_flows.cli import output

_NAMED = 3
"""Samples that are named of those refused for one reason; the first of all are in the JSON."""
app = App(name="data", help="Look at a source before training on it.")


@app.command
def inspect(source: str, /, *overrides: str, out: Path | None = None, json: output.Json = False) -> int:
    """Show a source's classes, counts, shapes, value ranges, and what of it cannot be used.

    Parameters
    ----------
    source
        A path, or a name: digits, moving-digits, fashion-mnist, mnist, cifar10.
    overrides
        Fields of `data` to set, such as data.size=64 or data.kind=clips.
    out
        Where to write a contact sheet (PNG).
    """
    from recurra.config import apply_override, validate
    from recurra.contact_sheet import contact_sheet
    from recurra.inspection import inspect
    from recurra.stages import open_source

    output.check_out(out, ".png")
    values: dict[str, Any] = {"name": "inspect", "data": {"source": source}}
    for override in overrides:
        apply_override(values, override)
    experiment = validate(values, "data inspect")
    with output.reserved(json):
        opened = open_source(experiment)
        found = inspect(opened, experiment.data, experiment.seed)
        if out is not None:
            contact_sheet(opened, out)
    if json:
        output.emit({"source": source, **found, "contact_sheet": str(out) if out else None})
    else:
        _show(source, found, out)
    return 0


def _show(source: str, found: Mapping[str, Any], out: Path | None) -> None:
    print(f"{source}: {found['samples']:,} {found['kind']}s in {len(found['classes'])} classes")
    for shape in found["shapes"]:
        size = f"{shape['height']}x{shape['width']}, {shape['channels']} channels, {shape['dtype']}"
        print(f"  {shape['samples']:,} of {size}")
    if found["lengths"]:
        print("  frames: {shortest} to {longest}, median {median:g}".format(**found["lengths"]))
    for part in found["values"]:
        low, high, mean = (_numbers(part[name]) for name in ("low", "high", "mean"))
        print(f"  values ({part['dtype']}): {low} to {high}, mean {mean}")
    print()
    splits = found["splits"] or found["own_splits"]
    columns = [name or "samples" for name in splits]
    rows = [[name, *(counts[i] for counts in splits.values())] for i, name in enumerate(found["classes"])]
    output.table(["class", *columns], rows, right=columns)
    _remarks(found)
    if out:
        print(f"contact sheet {out}")


def _remarks(found: Mapping[str, Any]) -> None:
    for name, text in (("refused", "cannot be used"), ("not_samples", "are no samples")):
        if found[name]["count"]:
            print(f"{found[name]['count']:,} {text}:")
            for reason, count in found[name]["reasons"].items():
                first = [each["source"] for each in found[name]["first"] if each["reason"] == reason][:_NAMED]
                named = f" ({', '.join(first)}{', ...' if count > len(first) else ''})" if first else ""
                print(f"  {count:,}: {reason}{named}")
    for note in found["notes"]:
        print(f"note: {note}")
    for problem in found["problems"]:
        print(f"problem: {problem}")


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
