"""`recurra score`: the new files of a folder, each recognised once, now or every so often."""

from __future__ import annotations

import json as json_text
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from recurra.errors import InputError, RecurraError
from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.experiment import Experiment
    from recurra.scoring.tally import Tally
    from recurra_flows.scoring.scorer import Scorer

LISTED = 10
"""Refused files that are told by name."""


def score(
    source: str,
    inbox: Path,
    /,
    *,
    every: str | None = None,
    name: str | None = None,
    batch: int = 4096,
    backend: str | None = None,
    settle: str = "5s",
    keep_refused: bool = False,
    json: output.Json = False,
) -> int:
    """Recognise the new files of a folder, each exactly once, whatever is killed when.

    Predictions and a ledger of all files are kept as Parquet, in scores/NAME below the home folder. A file that cannot
    be read is moved there with its reason.

    Parameters
    ----------
    source
        A run's id, its beginning, its folder, or `latest`; or champion:NAME for the network in use.
    inbox
        The folder of images or clips; folders in it too.
    every
        Go on until Ctrl-C, with a pass every 15m (or 30s, 6h, 1d).
    name
        Under which name the scores are kept; left out: the champion's, or the experiment's of the run.
    batch
        Files that are scored and kept together.
    backend
        The backend that answers, where it is not to be the one that was trained; the weights are the same.
    settle
        How long a file must have been left alone before it is read.
    keep_refused
        Leave files that cannot be read where they are.
    """
    from recurra.config import validated
    from recurra.home import Home
    from recurra.scoring.settings import Scoring
    from recurra_flows.scoring.scorer import Scorer

    fields = {"name": name, "batch": batch, "backend": backend, "settle": _seconds("--settle", settle)}
    settings = validated(Scoring, {**fields, "keep_refused": keep_refused}, "score")
    pause = None if every is None else _seconds("--every", every)
    if pause is not None and pause < 1:
        raise InputError(f"--every {every}: expected a second or more")
    with output.reserved(json):
        scorer = Scorer(Home.default(), source, inbox, settings, output.DEBUG.get())
        with scorer.held():
            if pause is None:
                done = _passed(scorer)
            else:
                _for_ever(scorer, pause, json)
    if json:
        output.emit(done.to_json())
    else:
        print(done.line())
    return 0


def _passed(scorer: Scorer) -> Tally:
    """One pass, and what is to be said of it."""
    from recurra.progress import for_stream

    done = scorer.once(for_stream(sys.stderr), _with_lease)
    for line in done.notes:
        output.say(line)
    for each in done.reasons[:LISTED]:
        stays = f" (left where it is: {each['stays']})" if "stays" in each else ""
        output.say(f"{each['file']}: {each['reason']}{stays}")
    if done.refused > LISTED:
        output.say(f"... and {done.refused - LISTED:,} more; the ledger has all of them, with their reasons")
    return done


def _for_ever(scorer: Scorer, pause: float, json: bool) -> NoReturn:
    """A pass every so many seconds, in this process alone: no server is needed for a clock.

    What is wrong at the start is an error. Later, it is told and the next pass tries again.
    """
    begun, passes = time.monotonic(), 0
    while True:
        try:
            _tell(_passed(scorer), json)
        except (RecurraError, OSError) as error:
            if not passes and isinstance(error, InputError):
                raise
            output.say(f"{_now()}  error: {error}; the next pass tries again")
        passes = max(passes + 1, int((time.monotonic() - begun) // pause) + 1)  # one that takes too long costs a turn
        time.sleep(max(0.0, begun + passes * pause - time.monotonic()))


def _tell(done: Tally, json: bool) -> None:
    if json:  # a line each, on the standard output that all else is kept from
        print(json_text.dumps(done.to_json()), file=sys.__stdout__, flush=True)
    else:
        print(f"{_now()}  {done.line()}", flush=True)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _with_lease(experiment: Experiment, what: str, work: Callable[[], None]) -> None:
    from recurra_flows.leased import asked, leased

    with leased(asked(experiment, 1), what, output.say):
        work()


def _seconds(option: str, text: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from recurra_flows.project import Duration

    try:
        return TypeAdapter(Duration).validate_python(text).total_seconds()
    except ValidationError:
        raise InputError(f"{option} {text}: expected a time such as 30s, 15m, 6h or 1d") from None
