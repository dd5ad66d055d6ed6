"""The GAN whose samples an experiment adds to its training split: what `data.augment.gan` names, made to fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recurra import stages
from recurra.config import load_experiment
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.run import Run
from recurra.store import difference, key_of, leaves

if TYPE_CHECKING:
    from recurra.readers.reader import Source

FIELD = "data.augment.gan"
FILES = (".yaml", ".yml")


def gan_of(experiment: Experiment, home: Home, source: Source | None = None) -> Experiment | None:
    """The experiment of the GAN that `data.augment.gan` names; None where it names none.

    A run (its id, the beginning of it, its folder, `latest`) is taken as it is; its dataset must be this experiment's,
    because samples of a GAN that saw the test split would give its answers away. An experiment file gives the network,
    its training and its judgement; the data, the seed and, unless the file names one, the backend and device are this
    experiment's, so that both have the same dataset. `source` is the experiment's, where it is open already.

    InputError: there is no such run or file, it is no GAN, its training did not end, it has other data.
    """
    wanted = experiment.data.augment.gan
    if wanted is None:
        return None
    if Path(wanted).suffix.lower() in FILES:
        return _of_file(experiment, Path(wanted))
    return _of_run(experiment, home, wanted, source)


def _of_file(experiment: Experiment, file: Path) -> Experiment:
    gan = _checked(load_experiment(file), str(file))
    own, ours = gan.data.source, experiment.data.source
    if _place(own) != _place(ours):
        raise InputError(f"{FIELD}: {file} has data.source {own}, this experiment {ours}; they must be the same")
    follows = {name: getattr(experiment, name) for name in ("backend", "device") if name not in gan.model_fields_set}
    data = experiment.data.model_copy(update={"augment": gan.data.augment})
    return gan.model_copy(update={**follows, "seed": experiment.seed, "data": data})


def _place(source: str) -> str:
    try:
        return str(Path(source).expanduser().resolve())
    except (ValueError, RuntimeError):  # no path can have such a name
        return source


def _of_run(experiment: Experiment, home: Home, wanted: str, source: Source | None) -> Experiment:
    try:
        run = Run.open(home, wanted)
    except InputError as error:
        raise InputError(f"{FIELD} (a run, or an experiment file, .yaml): {error}") from None
    gan = _checked(run.experiment, f"run {run.id}")
    if not {"preprocess", "train"} <= run.done().keys():
        raise InputError(f"{FIELD}: run {run.id} did not end its training; `recurra resume {run.id}` goes on with it")
    differs = _difference(experiment, home, run, source)
    if differs:
        raise InputError(
            f"{FIELD}: run {run.id} was trained on another dataset ({differs}), and its samples could give the test"
            " split away; name the GAN's experiment file instead, which is then trained on this dataset"
        )
    return gan


def _checked(gan: Experiment, origin: str) -> Experiment:
    if gan.model.kind != "gan":
        raise InputError(f"{FIELD}: {origin} is no GAN, its model.kind is {gan.model.kind}")
    return gan


def _difference(experiment: Experiment, home: Home, run: Run, source: Source | None) -> str:
    """What of the run's dataset is not as this experiment's, in words; empty where it is the same."""
    inputs = stages.preprocess_inputs(experiment, source or stages.open_source(experiment, home.path))
    stage, key = run.place("preprocess")
    if key == key_of(inputs):
        return ""
    ours, digest = home.store.peek(stage, key_of(inputs)), run.done()["preprocess"]["digest"]
    if ours is not None and ours.digest == digest:
        return ""
    theirs = run.home.store.peek(stage, key)
    lines = difference(leaves(theirs.inputs), leaves(inputs)) if theirs else []
    return "; ".join(lines[:3]) or "what it was made from differs"
