"""The GAN whose samples an experiment adds to its training split: what `data.augment.gan` names, made to fit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra import stages
from recurra.config import load_experiment
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.run import Run, run_folders
from recurra.store import difference, key_of, leaves

if TYPE_CHECKING:
    from recurra.readers.reader import Source

FIELD = "data.augment.gan"
FILES = (".yaml", ".yml")


def gan_of(experiment: Experiment, home: Home, source: Source | None = None) -> Experiment | None:
    """The experiment of the GAN that `data.augment.gan` names; None where it names none.

    Of a run (its id, the beginning of it, its folder; `latest` is the newest of a GAN) the experiment is taken as it
    is. Its dataset must be this experiment's, because samples of a GAN that saw the test split would give its answers
    away; made by another version it counts as the same. Its training is found in the store, or done again (`again` says
    why). An experiment file gives the network, its training and its judgement; the data, the seed and, unless the file
    names one, the backend and device are this experiment's, so that both have the same dataset. `source` is the
    experiment's, where it is open already.

    InputError: there is no such run or file, it is no GAN, its training did not end, it has other data.
    """
    wanted = experiment.data.augment.gan
    if wanted is None:
        return None
    if _is_file(wanted):
        return _of_file(experiment, Path(wanted))
    return _of_run(experiment, home, wanted, source)


def settled(experiment: Experiment, home: Home) -> Experiment:
    """The experiment with the run that `data.augment.gan` means by its whole id, or by its folder where it lies in
    another home: what `latest` is, or the beginning of an id, is another run tomorrow. Otherwise as it is.
    """
    wanted = experiment.data.augment.gan
    if wanted is None or _is_file(wanted):
        return experiment
    run = _run(home, wanted)
    named = run.id if run.home.path == home.path else str(run.folder.absolute())
    augment = experiment.data.augment.model_copy(update={"gan": named})
    return experiment.model_copy(update={"data": experiment.data.model_copy(update={"augment": augment})})


def again(experiment: Experiment, home: Home, inputs: Mapping[str, Any]) -> str:
    """Why the GAN of the run that `data.augment.gan` names has to be trained again, in a line; empty where it has not,
    or where a file is named. `inputs` are what its training is made from now.
    """
    wanted = experiment.data.augment.gan
    if wanted is None or _is_file(wanted) or home.store.peek("train", key_of(inputs)):
        return ""
    why = home.store.explain("train", inputs)
    with suppress(InputError):
        run = Run.open(home, wanted)
        if run.home.path != home.path:
            why = f"{run.home.path} has its training, and not this home"
    return f"{FIELD}: the GAN of run {Path(wanted).name} is trained again ({why})"


def _is_file(wanted: str) -> bool:
    return Path(wanted).suffix.lower() in FILES


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
    run = _run(home, wanted)
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


def _run(home: Home, wanted: str) -> Run:
    try:
        return _newest(home) if wanted == "latest" else Run.open(home, wanted)
    except InputError as error:
        raise InputError(f"{FIELD} (a run, or an experiment file, .yaml): {error}") from None


def _newest(home: Home) -> Run:
    """The newest run of a GAN; those that cannot be read are passed over."""
    for folder in reversed(run_folders(home)):
        with suppress(InputError):
            run = Run.open(home, str(folder))
            if run.record["model"] == "gan":
                return run
    raise InputError(f"no run 'latest': there is none of a GAN in {home.runs}; `recurra run FILE` makes one")


def _checked(gan: Experiment, origin: str) -> Experiment:
    if gan.model.kind != "gan":
        raise InputError(f"{FIELD}: {origin} is no GAN, its model.kind is {gan.model.kind}")
    return gan


def _difference(experiment: Experiment, home: Home, run: Run, source: Source | None) -> str:
    """What of the run's dataset is not as this experiment's, in words; empty where it is the same, or was made by
    another version from the same.
    """
    inputs = stages.preprocess_inputs(experiment, source or stages.open_source(experiment, home.path))
    stage, key = run.place("preprocess")
    if key == key_of(inputs):
        return ""
    ours, digest = home.store.peek(stage, key_of(inputs)), run.done()["preprocess"]["digest"]
    if ours is not None and ours.digest == digest:
        return ""
    theirs = run.home.store.peek(stage, key)
    if theirs is None or not theirs.inputs:
        return f"what it was made from is not known: {run.home.store.place(stage, key)} is damaged or gone"
    lines = difference(leaves(theirs.inputs), leaves(inputs))
    # The GAN's training is of the dataset as this version makes it, whatever run it is of.
    return "; ".join([line for line in lines if not line.startswith("versions.")][:3])
