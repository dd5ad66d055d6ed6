"""`recurra doctor`: is everything there that a run needs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra.wording import size
from recurra_flows.cli import output


def doctor(*, json: output.Json = False) -> int:
    """Say what is installed, which devices there are, what is missing and the command that mends it.

    The exit status is 1 where no run is possible: no backend can be used, the home folder cannot be written to, or
    Prefect is missing or its API does not answer. Other problems (one backend of two, little space) leave it 0.
    """
    from recurra.home import Home
    from recurra_flows.checkup import checkup

    with output.reserved(json):
        found = checkup(Home.default())
    if json:
        output.emit(found)
    else:
        _show(found)
    return 0 if found["ready"] else 1


def _show(found: Mapping[str, Any]) -> None:
    print(f"recurra {found['recurra']}, Python {found['python']}, {found['platform']}\n")
    output.table(
        ("backend", "state", "versions", "can", "devices"),
        [
            (
                backend["name"],
                "usable" if backend["usable"] else "not usable",
                ", ".join(f"{name} {number}" for name, number in backend["versions"].items()),
                ", ".join(backend["capabilities"]),
                ", ".join(f"{device['name']} ({device['description']})" for device in backend["devices"]),
            )
            for backend in found["backends"]
        ],
    )
    home, prefect = found["home"], found["prefect"]
    print(f"\nhome     {home['path']} ({home['filesystem']}, {size(home['free'])} free)")
    print(f"prefect  {prefect['version']}, API: {prefect['api']}, home: {prefect['home']}")
    for problem in found["problems"]:
        print(f"\nproblem  {problem['what']}\nmend     {problem['mend']}")
    if not found["problems"]:
        print("\nNothing is missing.")
