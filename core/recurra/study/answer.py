"""The answer of a study in one sentence, from its comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.study.comparison import SUBJECTS, Comparison, Verdict
from recurra.wording import listed, points

QUESTION = "Do generated training samples help the recogniser?"
_TELLING = (("generated", "real"), ("classical", "real"), ("both", "classical"))
"""The comparisons that the answer is of, the one that was asked for first."""


def answer(comparisons: Sequence[Comparison]) -> str:
    """What was found at which part of the training data, for generated samples and, where tried, classical ones."""
    parts = []
    for arm, against in _TELLING:
        found = [each for each in comparisons if (each.arm, each.against) == (arm, against)]
        if found:
            parts.append(f"{SUBJECTS[arm, against]} {_clauses(found)}")
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def part(fraction: float) -> str:
    """0.05 -> 5%, of the training data."""
    return f"{100 * fraction:.6g}%"


def _clauses(found: Sequence[Comparison]) -> str:
    """Of one pair of arms, over all fractions."""
    alike = {each.verdict for each in found}
    if len(alike) == 1 and len(found) > 1 and not alike & {"helps", "harms"}:
        return f"{_WORDS[found[0].verdict][found[0].arm == 'classical']} at any of {len(found)} fractions"
    clauses = [_clause(verdict, [each for each in found if each.verdict == verdict]) for verdict in _WORDS]
    return f"{listed([clause for clause in clauses if clause])} of the training data"


_WORDS: dict[Verdict, tuple[str, str]] = {
    "helps": ("help", "helps"),
    "harms": ("harm", "harms"),
    "none": ("make no difference that can be seen", "makes no difference that can be seen"),
    "unknown": ("cannot be told from chance with one seed", "cannot be told from chance with one seed"),
}
"""Verdict -> what is said of several things, and of one."""


def _clause(verdict: Verdict, found: Sequence[Comparison]) -> str:
    if not found:
        return ""
    places = [part(each.fraction) for each in found]
    if verdict in ("helps", "harms"):
        places = [f"{place} ({points(each.mean)} points)" for place, each in zip(places, found, strict=True)]
    return f"{_WORDS[verdict][found[0].arm == 'classical']} at {listed(places)}"
