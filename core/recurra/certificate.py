"""The certificate of a backend: what the conformance kit found, on which versions, within which tolerances."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recurra.contract import CONTRACT, Backend
from recurra.environment import environment
from recurra.errors import InputError
from recurra.registry import Entry

SCHEMA = "recurra.certificate/1"
OUTCOMES = ("passed", "skipped", "expected", "failed")


def certificate(
    entry: Entry, backend: Backend, checks: Sequence[Mapping[str, Any]], versions: Mapping[str, str], selection: str
) -> dict[str, Any]:
    """Everything, with a digest over itself. `selection` says which checks were left out; empty: none.

    The verdict is `passed` where no check failed; `partial` where that holds of those that were run, and some were not;
    else `failed`.
    """
    counts = Counter(check["outcome"] for check in checks)
    verdict = "failed" if counts["failed"] or not counts["passed"] else "partial" if selection else "passed"
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "backend": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "contract": list(backend.contract),
        "capabilities": sorted(backend.capabilities),
        "verdict": verdict,
        "selection": selection,
        "counts": {outcome: counts[outcome] for outcome in OUTCOMES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "recurra": {"contract": CONTRACT, "kit": kit_digest(), **environment()},
        "versions": dict(versions),
        "checks": [dict(check) for check in checks],
    }
    return {**found, "sha256": digest(found)}


def digest(found: Mapping[str, Any]) -> str:
    """sha256 of a certificate without its digest, as JSON with sorted keys."""
    own = {name: value for name, value in found.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(own, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def kit_digest() -> str:
    """sha256 of the kit's own modules: two certificates with the same one were held to the same."""
    modules = sorted((Path(__file__).parent / "conformance").glob("*.py"))
    return hashlib.sha256(b"".join(module.name.encode() + module.read_bytes() for module in modules)).hexdigest()


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
