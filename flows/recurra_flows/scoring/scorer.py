"""A pass over an inbox with a run's network, for the command and the flow: it lists, has workers score, and commits.

The protocol by which each file is scored exactly once: `recurra.scoring`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recurra.champion.record import PREFIX
from recurra.dataset import Dataset
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.progress import Progress
from recurra.readers.names import escaped
from recurra.registry import backend_entry
from recurra.run import Run
from recurra.scoring.one_pass import OnePass
from recurra.scoring.scores import Scores
from recurra.scoring.settings import Scoring
from recurra.scoring.tally import Tally
from recurra_flows.leased import within
from recurra_flows.scoring.work import Work

Leasing = Callable[[Experiment, str, Callable[[], None]], None]
"""Runs work with the devices of an experiment; the text says what it is."""


def name_of(home: Home, source: str, settings: Scoring) -> str:
    """Under which name the scores are kept, and told of: the settings', the champion's, or the experiment's of the run;
    the source itself where there is no such run.
    """
    if name := _chosen(source, settings):
        return name
    with suppress(InputError):
        return Run.open(home, source).experiment.name
    return source


def _chosen(source: str, settings: Scoring) -> str | None:
    """The name that hangs on no run."""
    return settings.name or (source.removeprefix(PREFIX) if source.startswith(PREFIX) else None)


class Scorer:
    """Scores the files of an inbox with a source: a run's id, its beginning, its folder, `latest`, or `champion:NAME`.

    A champion is looked up for each pass, a run once.
    """

    def __init__(self, home: Home, source: str, inbox: Path, settings: Scoring, debug: bool = False) -> None:
        self.home, self.source, self.settings, self.debug = home.made(), source, settings, debug
        self.run, self.inbox, self.follows = self._run(), inbox.resolve(), source.startswith(PREFIX)
        if not self.inbox.is_dir():
            raise InputError(f"{escaped(str(inbox))}: no folder; name the one that new files come into")
        self.scores = Scores(home, _chosen(source, settings) or self.run.experiment.name)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block nobody else scores under this name; InputError where somebody does."""
        with self.scores.held():
            yield

    def once(self, progress: Progress, leasing: Leasing) -> Tally:
        """One pass; the scores are held. Nothing is started where nothing is new."""
        began = time.monotonic()
        if self.follows:
            self.run = self._run()
        experiment, dataset = self._experiment(), self._dataset()
        tally = Tally(self.scores.name, self.run.id, experiment.backend, str(self.scores.folder))
        self.scores.accept(self.inbox, dataset.sample.kind, dataset.classes, self.follows)
        one = OnePass(self.scores, self.inbox, dataset.sample.kind, self.settings, tally)
        todo = one.begin()
        if len(todo):
            work = Work(one, todo, self._request(experiment), progress, self.debug)
            leasing(experiment, f"recurra score {self.scores.name}", work.through)
        one.end()
        tally.seconds = time.monotonic() - began
        return tally

    def _run(self) -> Run:
        run = Run.open(self.home, self.source)
        if run.experiment.model.kind == "gan":
            raise InputError(f"score: run {run.id} is a GAN, which recognises nothing; name a recogniser's run")
        return run

    def _experiment(self) -> Experiment:
        experiment = self.run.experiment
        experiment = experiment.model_copy(update={"backend": self.settings.backend or experiment.backend})
        backend_entry(experiment.backend)  # what is not installed is said before anything is done
        return experiment

    def _dataset(self) -> Dataset:
        """The dataset that the run's network was trained on; its bytes are checked only where there is work."""
        made = "preprocess" in self.run.done()
        artifact = self.run.home.store.peek(*self.run.place("preprocess")) if made else None
        return Dataset.open((artifact or self.run.artifact("preprocess")).path)

    def _request(self, experiment: Experiment) -> dict[str, Any]:
        """What the worker needs besides the files; every byte of the network is checked."""
        places = {"dataset": self.run.artifact("preprocess"), "training": self.run.artifact("train")}
        return {
            "experiment": within(experiment).model_dump(mode="json"),
            "store": str(self.run.home.store.root),
            "artifacts": {name: [artifact.stage, artifact.key] for name, artifact in places.items()},
            "run": self.run.id,
            "inbox": str(self.inbox),
        }
