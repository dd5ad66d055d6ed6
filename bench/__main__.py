"""The command: python -m bench [--quick] [--only GROUP]... [--json FILE] [--device gpu]."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from recurra.errors import RecurraError

SUMMARY = "How fast recurra trains and loads, against the loops that a user would write."
GROUPS = ("torch", "keras-torch", "tensorflow", "torch-gan", "tensorflow-gan", "loading")
ROUNDS, LOADING_ROUNDS = 5, 15
QUICK_ROUNDS, QUICK_TIMES = 2, 4


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=SUMMARY)
    parser.add_argument("--only", choices=GROUPS, action="append", help="leave out the rest (can be repeated)")
    parser.add_argument("--quick", action="store_true", help="a few short rounds, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's numbers here too")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="what everybody trains on")
    asked = parser.parse_args()
    if asked.json is not None and (asked.json.is_dir() or not asked.json.absolute().parent.is_dir()):
        parser.error(f"--json {asked.json}: expected a file in a folder that exists")
    return asked


def main() -> None:
    """Measures, prints, and writes the JSON."""
    from bench import contenders, contest, loading, table
    from recurra.progress import for_stream

    asked, progress = arguments(), for_stream()
    only, rounds = asked.only or GROUPS, QUICK_ROUNDS if asked.quick else ROUNDS
    contests, loaded = [], []
    for match in contenders.MATCHES:
        rivals = [rival for rival in match.rivals if rival.group in only]
        if rivals:
            scenarios = [each.on(asked.device, QUICK_TIMES if asked.quick else 1) for each in match.scenarios]
            contests.append(contest.hold(match.ours, rivals, scenarios, rounds, progress))
    if "loading" in only:
        samples = loading.SAMPLES // (QUICK_TIMES if asked.quick else 1)
        loaded = loading.measure(samples, rounds if asked.quick else LOADING_ROUNDS, progress)
    about = table.machine(asked.device)
    table.show(about, contests, loaded, asked.quick)
    if asked.json is not None:
        numbers = table.as_json(about, contests, loaded, asked.quick)
        asked.json.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except RecurraError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
