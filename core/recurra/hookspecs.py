"""The hooks that a plugin may implement. Few and coarse: a hook hands over an object, and the object does the work.

`docs/plugins.md` has an example of each; an implementation takes as many of the arguments as it likes, by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from recurra.contract import Backend
    from recurra.experiment import Experiment
    from recurra.readers import Reader
    from recurra.report import Section
    from recurra.run import Run
    from recurra.store import Artifact

PROJECT = "recurra"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def recurra_backend() -> Backend | None:
    """The backend of this plugin. Called only when the backend is asked for by its entry point's name."""


@hookspec
def recurra_readers() -> Iterable[Reader]:  # type: ignore[empty-body]
    """Readers of further kinds of source."""


@hookspec
def recurra_epoch_end(experiment: Experiment, record: Mapping[str, Any]) -> None:
    """After each epoch, in the process that trains: one row of the history."""


@hookspec
def recurra_stage_end(run: Run, stage: str, artifact: Artifact) -> None:
    """After each stage of a run, hit or miss. `stage` is its role in the run, `artifact.stage` the store's name."""


@hookspec
def recurra_report_sections(experiment: Experiment, artifacts: Mapping[str, Artifact]) -> Iterable[Section]:  # type: ignore[empty-body]
    """Further sections of the report, from the artifacts of its stages by role (preprocess, train, evaluate; more of a
    GAN, and of generated samples: `recurra.run_record.stages_of`)."""
