"""`recurra config`: an experiment with every default filled in, and the schema of experiment files."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from recurra_flows.cli import output

app = App(name="config", help="Show an experiment resolved, or the fields there are.")


@app.command
def show(file: Path, /, *overrides: str, json: output.Json = False) -> int:
    """Print the experiment with every default filled in.

    Parameters
    ----------
    file
        The experiment file (YAML).
    overrides
        Fields to set otherwise, such as train.epochs=20.
    """
    from recurra.config import load_experiment, resolved_yaml

    experiment = load_experiment(file, overrides)
    if json:
        output.emit(experiment.model_dump(mode="json"))
    else:
        print(resolved_yaml(experiment), end="")
    return 0


@app.command
def schema() -> int:
    """Print the JSON schema of experiment files, for editors and other programs."""
    from recurra.config import json_schema

    output.emit(json_schema())
    return 0
