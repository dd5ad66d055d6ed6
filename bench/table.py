"""The results as tables to read, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.contest import Contest, Entry, Result
from bench.loading import Loading
from bench.scenario import BATCH
from recurra.environment import environment

FRAMEWORKS = ("torch", "lightning", "tensorflow", "keras")
WIDTH = 110


def machine(device: str) -> dict[str, str]:
    """The processor, its cores, and every version that matters."""
    found = {**environment(), "device": device}
    for name in FRAMEWORKS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def show(about: dict[str, str], contests: Sequence[Contest], loading: Sequence[Loading], quick: bool) -> None:
    """Prints everything: with colours on a terminal, as plain text elsewhere."""
    console = Console()
    if console.width < WIDTH:
        console.width = WIDTH
    versions = ("recurra", "python", "numpy", "pyarrow", *FRAMEWORKS)
    lines = [
        f"{about['processor']}; {about['platform']}; on the {about['device'].upper()}",
        ", ".join(f"{name} {about[name]}" for name in versions if name in about),
    ]
    console.print(*lines, sep="\n", highlight=False, soft_wrap=True)
    console.print(*map(_training, contests), *([_loading(loading)] if loading else []))
    if quick:
        console.print("\nMade with --quick: rounds this short show that it runs, not how fast.")


def _table(title: str, texts: Sequence[str], numbers: Sequence[str], caption: str) -> Table:
    table = Table(
        title=f"\n{title}",
        caption=caption,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="dim",
    )
    for name in texts:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, no_wrap=True, justify="right")
    return table


def _training(contest: Contest) -> Table:
    rounds = len(contest.results[0].ours.rounds)
    memory = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in contest.memory.items())
    gans = contest.results[0].scenario.network == "gan"
    what, unit, per = ("GANs ", "steps/s", BATCH) if gans else ("", "samples/s", 1)
    losses = "a step trains discriminators and generator; loss: of the discriminators, " if gans else "loss: "
    table = _table(
        f"Training {what}with {contest.ours.name}: batches of {BATCH}, medians of {rounds} rounds in turns",
        ("network", "contender"),
        (unit, "ratio", "of the rounds", "target", "loss"),
        f"ratio: {contest.ours.name} trains so many times as fast; {losses}the last round's mean\n"
        f"peak memory: {memory}",
    )
    for result in contest.results:
        for entry in (result.ours, *result.rivals):
            ours = entry is result.ours
            table.add_row(
                result.scenario.name if ours else "",
                entry.name,
                f"{entry.rate / per:,.{1 if gans else 0}f}",
                *_compared([] if ours else result.ratios(entry), entry.target),
                f"{entry.rounds[-1].loss:.3f}",
                end_section=entry is result.rivals[-1],
            )
    return table


def _loading(loading: Sequence[Loading]) -> Table:
    rounds = len(loading[0].parquet)
    table = _table(
        f"Loading {loading[0].samples:,} images 28x28x1 from cached files: medians of {rounds} rounds in turns",
        ("from disk",),
        ("Parquet, ms", "np.load, ms", "ratio", "of the rounds", "target"),
        "ratio: Parquet is loaded so many times as fast",
    )
    for each in loading:
        times = [f"{median(seconds) * 1000:,.0f}" for seconds in (each.parquet, each.npy)]
        table.add_row(each.name, *times, *_compared(each.ratios, each.target))
    return table


def _compared(ratios: Sequence[float], target: float | None) -> tuple[str, str, str]:
    """The median ratio, the range over the rounds, and the target with what became of it."""
    if not ratios:
        return "", "", ""
    middle = median(ratios)
    met = "" if target is None else f">= {target:g} {'met' if middle >= target else 'missed'}"
    return f"{middle:.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}", met


def as_json(
    about: dict[str, str], contests: Sequence[Contest], loading: Sequence[Loading], quick: bool
) -> dict[str, Any]:
    """Everything that was measured, round by round."""
    return {
        "machine": about,
        "quick": quick,
        "batch_size": BATCH,
        "training": [_result_json(contest, result) for contest in contests for result in contest.results],
        "loading": [{**asdict(each), "ratios": each.ratios, "ratio": each.ratio} for each in loading],
    }


def _result_json(contest: Contest, result: Result) -> dict[str, Any]:
    return {
        "scenario": result.scenario.name,
        "samples": result.scenario.samples,
        "recurra": _entry_json(contest, result.ours),
        "rivals": [
            {
                **_entry_json(contest, rival),
                "ratios": result.ratios(rival),
                "ratio": result.ratio(rival),
                "target": rival.target,
            }
            for rival in result.rivals
        ],
    }


def _entry_json(contest: Contest, entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "samples_per_second": entry.rate,
        "rounds": [asdict(each) for each in entry.rounds],
        "peak_memory": contest.memory[entry.name],
    }
