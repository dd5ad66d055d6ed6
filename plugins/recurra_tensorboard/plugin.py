"""The observer: nothing where RECURRA_TENSORBOARD is not set, else a folder of event files for each training.

pip install "recurra[tensorboard]"
RECURRA_TENSORBOARD=logs recurra run experiment.yaml
tensorboard --logdir logs
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.hookspecs import hookimpl

if TYPE_CHECKING:
    from recurra.experiment import Experiment
    from recurra_tensorboard.event_file import EventFile

FOLDER = "RECURRA_TENSORBOARD"
"""The variable that names the folder; without it nothing is written, whatever is installed."""
_files: dict[str, tuple[int, EventFile]] = {}
"""The last epoch and the file of each experiment that this process trains."""

if os.environ.get(FOLDER) and importlib.util.find_spec("tensorboard") is None:
    raise ImportError(f'{FOLDER} is set, and tensorboard is not installed: pip install "recurra[tensorboard]"')


@hookimpl
def recurra_epoch_end(experiment: Experiment, record: Mapping[str, Any]) -> None:
    """Writes the epoch's numbers at the end of the training's file."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return
    epoch, which = int(record["epoch"]), experiment.model_dump_json()
    last, file = _files.get(which, (epoch, None))
    if file is None or epoch <= last:  # the same experiment once more is another training
        file = _begun(experiment, Path(folder).expanduser())
    file.write(epoch, {tag(name): value for name, value in record.items() if name != "epoch"})
    _files[which] = epoch, file


def _begun(experiment: Experiment, folder: Path) -> EventFile:
    from recurra_tensorboard.event_file import EventFile  # imports tensorboard

    now = f"{datetime.now():%Y%m%d-%H%M%S.%f}"
    return EventFile(folder / experiment.name / f"{experiment.backend}-seed{experiment.seed}-{now}")


def tag(name: str) -> str:
    """`loss/val` for `val_loss`, so that TensorBoard draws both splits under one heading."""
    split, _, what = name.partition("_")
    return f"{what}/{split}" if split in ("train", "val") and what else name
