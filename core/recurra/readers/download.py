"""Files that are fetched once, when asked for by name, from the first mirror that answers, and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recurra.errors import InputError
from recurra.home import Home
from recurra.store import file_sha256


@dataclass(frozen=True)
class Remote:
    """One published file."""

    name: str
    sha256: str


def folder_of(dataset: str, home: Path | None = None) -> Path:
    """Where a dataset's files lie: downloads/DATASET in the home folder. Files put there by hand count as fetched."""
    return (home or Home.default().path) / "downloads" / dataset


def fetched(dataset: str, remote: Remote, mirrors: tuple[str, ...], home: Path | None = None) -> Path:
    """The file, on this disk and with the right sha256. An InputError in one line where it cannot be had."""
    path = folder_of(dataset, home) / remote.name
    if not path.is_file():
        _fetch(dataset, path, remote, mirrors)
    elif file_sha256(path) != remote.sha256:
        raise InputError(
            f"{path}: not the published file (its sha256 is not {remote.sha256}); remove it to fetch it again"
        )
    return path


def _fetch(dataset: str, path: Path, remote: Remote, mirrors: tuple[str, ...]) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    reason = ""
    for mirror in mirrors:
        try:
            pooch.retrieve(f"{mirror}{remote.name}", f"sha256:{remote.sha256}", path.name, path.parent)
            return
        except Exception as error:  # of requests, urllib3, the file system or the checksum: the next mirror may do
            reason = type(error).__name__
    hosts = ", ".join(mirrors)
    raise InputError(
        f"{dataset}: {remote.name} could not be fetched from {hosts} ({reason}); without a network, put it at {path}"
    )
