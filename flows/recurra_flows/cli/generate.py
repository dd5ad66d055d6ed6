"""`recurra generate`: samples of a run's GAN, as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recurra_flows.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra.run import Run

MOST = 10_000_000
"""Samples in all; more is a slip."""


def generate(
    run: str,
    /,
    *,
    out: Path,
    per_class: int = 100,
    classes: list[str] | None = None,
    seed: int | None = None,
    format: Literal["auto", "png", "gif", "npy", "parquet"] = "auto",
    backend: str | None = None,
    json: output.Json = False,
) -> int:
    """Make labelled samples with a run's GAN, into a folder that is new or empty: whole, or not at all.

    Parameters
    ----------
    run
        The run's id, its beginning, its folder, or `latest`.
    out
        The folder: one folder of files for each class in it, or one table (parquet).
    per_class
        Samples of each class.
    classes
        Only these, with commas between them; can be given several times, and a class whose name has a comma is then
        named alone.
    seed
        The same seed makes the same samples; left out: the experiment's. More of a class leaves the first as they are.
    format
        auto: png for 8-bit images, npy for clips and grey float images, parquet for float images in colour.
    backend
        The backend that generates, where it is not to be the one that was trained; the weights are the same.
    """
    from recurra.errors import InputError
    from recurra.home import Home
    from recurra.run import Run

    if per_class < 1:
        raise InputError(f"--per-class {per_class}: expected 1 or more")
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError(f"--seed {seed}: expected 0 to {2**32 - 1}")
    output.check_out_folder(out)
    with output.reserved(json):
        answer = _generated(Run.open(Home.default(), run), out, per_class, classes, seed, format, backend)
    if json:
        output.emit(answer)
    else:
        _show(answer)
    return 0


def _generated(
    run: Run,
    out: Path,
    per_class: int,
    classes: list[str] | None,
    seed: int | None,
    format: str,
    backend: str | None,
) -> dict[str, Any]:
    from recurra.capabilities import able_backend
    from recurra.dataset import Dataset
    from recurra.errors import InputError
    from recurra.progress import for_stream
    from recurra_flows.leased import asked, leased, within
    from recurra_flows.workers import kept_log, run_worker

    experiment = run.experiment
    if experiment.model.kind != "gan":
        raise InputError(
            f"generate: run {run.id} is no GAN, its model.kind is {experiment.model.kind}; `recurra predict` uses it"
        )
    experiment = experiment.model_copy(update={"backend": backend or experiment.backend})
    able_backend(experiment)  # what is not there is said before anything is done
    dataset, training = run.artifact("preprocess"), run.artifact("train")
    named = Dataset.open(dataset.path).classes
    seed = experiment.seed if seed is None else seed
    request = {
        "experiment": within(experiment).model_dump(mode="json"),
        "store": str(run.home.store.root),
        "artifacts": {"dataset": [dataset.stage, dataset.key], "training": [training.stage, training.key]},
        "counts": _counts(named, classes, per_class),
        "seed": seed,
        "out": str(out.absolute()),
        "format": format,
    }
    what = f"recurra generate {run.id}"
    with kept_log("generate", output.DEBUG.get()) as log, leased(asked(experiment, 1), what, output.say):
        answer = run_worker("export", request, for_stream(sys.stderr), log)
    return {"run": str(run.folder), "backend": experiment.backend, "seed": seed, "out": str(out), **answer}


def _counts(named: tuple[str, ...], wanted: list[str] | None, per_class: int) -> list[int]:
    """Samples of each class; an InputError for a class that there is not, or for too many in all."""
    from recurra.errors import InputError, nearest

    chosen = named if wanted is None else tuple(_chosen(named, wanted))
    for name in chosen:
        if name not in named:
            shown = ", ".join(named[:20]) + (", ..." if len(named) > 20 else "")
            raise InputError(f"--classes: no class '{name}', there are {shown}.{nearest(name, named)}")
    if not chosen:
        raise InputError("--classes: names no class")
    total = per_class * len(set(chosen))
    if total > MOST:
        raise InputError(
            f"--per-class {per_class}: {total:,} samples in all, {MOST:,} are the most; ask for fewer of each class, or"
            " several times with other --seed"
        )
    return [per_class if name in chosen else 0 for name in named]


def _chosen(named: tuple[str, ...], wanted: list[str]) -> Iterator[str]:
    for each in wanted:
        if each in named:
            yield each
        else:
            yield from (name.strip() for name in each.split(",") if name.strip())


def _show(answer: dict[str, Any]) -> None:
    for note in answer["notes"]:
        output.say(f"note: {note}")
    classes = len(answer["classes"])
    what = f"{answer['samples']:,} samples of {classes} class{'' if classes == 1 else 'es'}"
    where = "samples.parquet" if answer["format"] == "parquet" else f"CLASS/000000.{answer['format']}, ..."
    print(f"{what} in {answer['out']}: {where}")
