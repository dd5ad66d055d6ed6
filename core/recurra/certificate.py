"""The certificate of a backend: what the conformance kit found, on which versions, within which tolerances."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from recurra.contract import CONTRACT, Backend
from recurra.environment import environment
from recurra.errors import InputError
from recurra.registry import Entry

SCHEMA = "recurra.certificate/1"
OUTCOMES = ("passed", "skipped", "expected", "failed")
GROUPS = ("import", "forward", "gradients", "optimiser", "dropout", "training", "resume", "requests", "devices", "gan")
"""The groups of checks, in the order of the table."""


def certificate(
    entry: Entry,
    backend: Backend,
    checks: Sequence[Mapping[str, Any]],
    versions: Mapping[str, str],
    selection: str,
    code: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything, with a digest over itself. `selection` says which checks were left out; empty: none. `code` is what
    `code_of` says of the plugin where it was checked.

    The verdict is `failed` where a check failed or a claim is unproven (`unproven`); else `unchecked` where all were
    skipped; `partial` where some were left out; `excepted` where some are declared to fail, and do; `passed`.
    """
    counts = Counter(check["outcome"] for check in checks)
    doubtful = [] if selection else unproven(checks, backend.capabilities)
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "backend": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "code": dict(code),
        "contract": list(backend.contract),
        "capabilities": sorted(backend.capabilities),
        "verdict": _verdict(counts, doubtful, selection),
        "unproven": doubtful,
        "selection": selection,
        "counts": {outcome: counts[outcome] for outcome in OUTCOMES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "recurra": {"contract": CONTRACT, "code": own_digest(), **environment()},
        "versions": dict(versions),
        "checks": [dict(check) for check in checks],
    }
    return {**found, "sha256": digest(found)}


def _verdict(counts: Mapping[str, int], doubtful: Sequence[str], selection: str) -> str:
    if counts["failed"] or doubtful:
        return "failed"
    if not counts["passed"] + counts["expected"]:
        return "unchecked"
    return "partial" if selection else "excepted" if counts["expected"] else "passed"


def unproven(checks: Sequence[Mapping[str, Any]], capabilities: Iterable[str]) -> list[str]:
    """Capabilities that no check which asks for them shows; and groups and capabilities of whose checks more are
    declared to fail than hold: a backend may declare gaps, and not all of what it claims.
    """
    by_claim = {claim: [check for check in checks if claim in check["asks"]] for claim in sorted(capabilities)}
    by_group = {group: [check for check in checks if check["group"] == group] for group in GROUPS}
    return [
        name
        for name, own in (by_claim | by_group).items()
        for count in (Counter(check["outcome"] for check in own),)
        if count["expected"] > count["passed"] or (name in by_claim and not count["passed"])
    ]


def digest(found: Mapping[str, Any]) -> str:
    """sha256 of a certificate without its digest, as JSON with sorted keys; a ValueError where JSON cannot hold it."""
    own = {name: value for name, value in found.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(own, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def own_digest() -> str:
    """sha256 of recurra's own modules: two certificates with the same one were held to the same."""
    return _digest_of(Path(__file__).parent, "*.py")


def code_of(entry: Entry) -> dict[str, Any]:
    """What of a plugin stands here: `sha256` of the files of its top package, which is not imported, and whether its
    distribution is `editable`, so that they may change under one version.
    """
    spec = importlib.util.find_spec(entry.module.partition(".")[0])
    places = [Path(place) for place in (spec.submodule_search_locations or [spec.origin or ""] if spec else [])]
    told = json.loads(distribution(entry.distribution).read_text("direct_url.json") or "{}")
    editable = bool(told.get("dir_info", {}).get("editable"))
    return {"sha256": _digest_of(places[0], "*") if places else "", "editable": editable}


def _digest_of(place: Path, pattern: str) -> str:
    """sha256 over the names and contents of a folder's files, but for compiled ones; or over one file."""
    found = hashlib.sha256()
    for path in sorted(place.rglob(pattern)) if place.is_dir() else [place]:
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(f"{path.relative_to(place).as_posix()}\n{path.stat().st_size}\n".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def read_certificate(path: Path) -> dict[str, Any]:
    """A certificate from a file; an InputError where it is none, or was changed after it was made."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no certificate can be read there ({error})") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise InputError(f"{path}: expected a certificate with schema {SCHEMA}")
    if found.get("sha256") != digest(found):
        raise InputError(f"{path}: the certificate was changed after it was made; run `recurra plugins check` again")
    return found


def merged(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record for each check: of one that passed and then failed in its teardown, the failure."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for check in checks:
        key = check["suite"], check["check"]
        if key not in found or check["outcome"] == "failed":
            found[key] = dict(check)
    return list(found.values())
