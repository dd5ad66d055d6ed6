"""Puts the backend `exact` together: the template's layers, optimiser and classifier, and this folder's networks."""

from __future__ import annotations

from pathlib import Path

import recurra

OWN = Path(__file__).parent
TEMPLATE = Path(recurra.__file__).parent / "template" / "package" / "src" / "[[module]]"


def install(folder: Path) -> Path:
    """The folder, with a distribution `exact-backend` in it as pip would leave one."""
    package = folder / "exact_backend"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("layers", "adam", "classifier"):
        (package / f"{name}.py").write_text((TEMPLATE / f"{name}.py").read_text())
    (package / "frames.py").write_text((TEMPLATE / "network.py").read_text())
    for name in ("plugin", "network", "recurrent", "faults"):
        (package / f"{name}.py").write_text((OWN / f"{name}.py").read_text())
    info = folder / "exact_backend-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: exact-backend\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[recurra.backends]\nexact = exact_backend.plugin\n")
    return folder
