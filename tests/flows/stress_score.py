"""Files come into an inbox in portions while `recurra score` and its worker are killed, and each is scored once.

    python tests/flows/stress_score.py RUN IMAGES [FILES] [KILLS] [BATCH]     (500, 10, 4)

RUN is a run in RECURRA_HOME, IMAGES a folder of image files. Some files that cannot be read are put among them. What is
checked comes from the Parquet files alone, read with pandas and pyarrow; and every answer is compared with that of
`recurra predict` for the same file.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow.dataset as ds

COMMAND = [sys.executable, "-c", "import sys; from recurra_flows.cli import main; sys.exit(main())"]
WHO = ("parent", "worker", "both")


class Feed:
    """Puts files into the inbox, some at a time; every 25th cannot be read."""

    def __init__(self, images: Path, files: int, inbox: Path) -> None:
        found = sorted(path for path in images.rglob("*") if path.is_file())
        assert len(found) >= files, f"{images} has {len(found)} files"
        self.waiting, self.inbox, self.good, self.bad = found[:files], inbox, dict[str, Path](), set[str]()

    def put(self, count: int) -> None:
        """So many of those that are left."""
        now, self.waiting = self.waiting[:count], self.waiting[count:]
        for path in now:
            number = len(self.good)
            name = f"{number % 5}/{number:05}{path.suffix}"
            (self.inbox / name).parent.mkdir(parents=True, exist_ok=True)
            beside = self.inbox / f".{path.name}"
            shutil.copyfile(path, beside)
            beside.rename(self.inbox / name)
            self.good[name] = path
            if number % 25 == 0:
                self.bad.add(f"bad/{number:05}.png")
                (self.inbox / "bad").mkdir(exist_ok=True)
                (self.inbox / f"bad/{number:05}.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")


def workers(of: psutil.Process) -> list[psutil.Process]:
    """Its workers."""
    try:
        return [child for child in of.children() if "recurra_flows.worker" in child.cmdline()]
    except psutil.Error:
        return []


def killed(process: subprocess.Popen[str], who: str, moment: Callable[[], bool]) -> bool:
    """Kills the parent, its worker or both when the moment has come; whether there was something to kill."""
    parent = psutil.Process(process.pid)
    while process.poll() is None:
        found = workers(parent)
        if moment() and (found or who == "parent"):
            victims = [*(found if who != "parent" else []), *([parent] if who != "worker" else [])]
            for victim in victims:
                with suppress(psutil.NoSuchProcess):
                    victim.send_signal(signal.SIGKILL)
            return True
        time.sleep(0.002)
    return False


def after(seconds: float) -> Callable[[], bool]:
    """A moment that comes after some time."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun >= seconds


def while_committing(folder: Path, parts: int, seconds: float) -> Callable[[], bool]:
    """A moment that comes some time after so many more parts are there."""
    before, then = _parts(folder), list[Callable[[], bool]]()

    def come() -> bool:
        if not then and _parts(folder) >= before + parts:
            then.append(after(seconds))
        return bool(then) and then[0]()

    return come


def _parts(folder: Path) -> int:
    return len(list((folder / "predictions").glob("*/*.parquet")))


def check(folder: Path, feed: Feed, expected: dict[str, tuple[int, float]]) -> dict[str, Any]:
    """AssertionError unless every file is there exactly once."""
    predictions = pd.read_parquet(folder / "predictions")
    again = ds.dataset(folder / "predictions", partitioning="hive").to_table()
    ledger = pd.read_parquet(folder / "ledger")
    assert Counter(predictions["file"]) == Counter(again["file"].to_pylist()) == Counter(feed.good.keys())
    assert Counter(ledger["file"]) == Counter([*feed.good, *feed.bad])
    outcomes = dict(zip(ledger["file"], ledger["outcome"], strict=True))
    assert {name for name, outcome in outcomes.items() if outcome == "refused"} == feed.bad
    assert {str(path.relative_to(folder / "refused")) for path in (folder / "refused").rglob("*.png")} == feed.bad
    for row in predictions.itertuples():
        predicted, confidence = expected[str(feed.good[str(row.file)])]
        assert row.predicted == predicted
        assert abs(row.confidence - confidence) < 1e-4
    parts = len(list((folder / "predictions").rglob("*.parquet")))
    return {"predictions": len(predictions), "ledger": len(ledger), "refused": len(feed.bad), "parts": parts}


def main(run: str, images: str, files: int = 500, kills: int = 10, batch: int = 4) -> None:
    """Feeds, kills, checks; prints what it did."""
    chance, done, passes, ends = random.Random(0), Counter[str](), 0, Counter[int]()
    with tempfile.TemporaryDirectory() as scratch:
        inbox, seconds = Path(scratch, "inbox"), 0.0
        inbox.mkdir()
        feed = Feed(Path(images), files, inbox)
        out = Path(scratch, "expected.parquet")
        subprocess.run(
            [*COMMAND, "predict", run, *map(str, feed.waiting), "--out", str(out)], check=True, capture_output=True
        )
        table = pd.read_parquet(out)
        expected = {str(row.source): (int(row.predicted), float(row.confidence)) for row in table.itertuples()}
        name, portion = f"stress-{os.getpid()}", -(-files // (kills + 2))
        command = [
            *COMMAND,
            "score",
            run,
            str(inbox),
            "--name",
            name,
            "--settle",
            "0.05s",
            "--batch",
            str(batch),
            "--json",
        ]
        begun, folder = time.monotonic(), Path(os.environ.get("RECURRA_HOME") or "data", "scores", name)
        while feed.waiting or done.total() < kills:
            feed.put(portion)
            if not feed.waiting and passes > 10 * kills:
                raise AssertionError("too few kills met anything")
            time.sleep(0.1)
            start, number = time.monotonic(), done.total()
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            # The first one takes its time, which the others are killed within: anywhere, or while parts are committed.
            early = chance.random() < 0.5
            moment = (
                after(chance.uniform(0, seconds))
                if early
                else while_committing(folder, chance.randint(1, 4), chance.uniform(0, 0.1))
            )
            if passes and number < kills and killed(process, WHO[number % len(WHO)], moment):
                done[f"{WHO[number % len(WHO)]}, {'at any time' if early else 'while committing'}"] += 1
            process.communicate()
            ends[process.returncode] += 1
            seconds = seconds if passes else time.monotonic() - start
            passes += 1
        time.sleep(0.2)
        last = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        home = Path(last["folder"])
        found = check(home, feed, expected)
    shutil.rmtree(home)
    took = f"{passes + 1} passes (ended with {dict(ends)}) in {time.monotonic() - begun:.0f} s"
    print(f"{files} files, kills {dict(done)}, {took}")
    print(f"each exactly once: {found}")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
