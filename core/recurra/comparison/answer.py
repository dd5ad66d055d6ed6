"""The answer of a comparison in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recurra.comparison.pairs import Pair
from recurra.comparison.parity import Parity
from recurra.comparison.plan import Plan, Variant
from recurra.comparison.summary import Summary, most_accurate
from recurra.progress import duration
from recurra.wording import listed, percent, plural, points

SLOWER = 1.15
"""Times as long from which one training is said to be slower than another."""
NAMED = 4
"""Variants that a sentence names at most."""


def question(plan: Plan) -> str:
    """What a comparison of these asks."""
    networks, backends = len(plan.models) > 1, len(plan.backends) > 1
    if networks and backends:
        return "Which network is best, and does the backend matter?"
    if networks:
        return "Which network is best?"
    return "Does the backend matter?" if backends else "How good is it?"


def told(plan: Plan, summaries: Sequence[Summary], pairs: Sequence[Pair], parities: Sequence[Parity]) -> Iterator[str]:
    """A sentence or two each: which is the most accurate, what the backend changes, whether they compute the same, what
    it costs.
    """
    best = most_accurate(summaries)
    yield _best(best, len(summaries))
    yield from _lead([each.variant for each in best], pairs)
    if len(plan.backends) > 1:
        yield _backends([pair for pair in pairs if pair.first.model == pair.second.model])
        yield from _parity(parities)
    if len(summaries) > 1:
        yield _cost(summaries)


def _best(best: Sequence[Summary], variants: int) -> str:
    seeds, names = len(best[0].accuracy.values), _plainly([each.variant for each in best])
    over = f"mean of {plural(seeds, 'seed')}, " if seeds > 1 else ""
    low, high = min(each.interval.low for each in best), max(each.interval.high for each in best)
    within = f"95% interval{'s within' if len(best) > 1 else ''} {percent(low)} to {percent(high)}"
    shown = f"{percent(best[0].accuracy.mean)} of the test samples right ({over}{within})"
    if variants == 1:
        return f"{names} has {shown}."
    return f"Most accurate are {names}, equally: {shown}." if len(best) > 1 else f"Most accurate is {names}: {shown}."


def _lead(best: Sequence[Variant], pairs: Sequence[Pair]) -> Iterator[str]:
    """What is sure of the lead of the best one, or of each of several."""
    others = _least_sure(best, pairs)
    if not others:
        return
    if others[0].verdict == "unknown":
        yield _lead_by_one_seed(others, "each of them" if len(best) > 1 else "it")
        return
    better = [pair for pair in others if pair.verdict == "better"]
    level = [pair.second for pair in others if pair.verdict != "better"]
    said = [f"{'each of them' if len(best) > 1 else 'it'} is better than {_named(better)}"] if better else []
    if level:
        names = _plainly(level)
        alone = f"no difference can be seen between it and {names}"
        said.append(f"their lead over {names} is not sure" if len(best) > 1 else alone)
    line = "; ".join(said)
    yield f"{line[0].upper()}{line[1:]}."


def _least_sure(best: Sequence[Variant], pairs: Sequence[Pair]) -> list[Pair]:
    """Each other variant as one of the best faces it: that one whose lead over it is the least sure."""
    faced: dict[Variant, list[Pair]] = {}
    for pair in pairs:
        for one in best:
            if one in (pair.first, pair.second):
                seen = pair.facing(one)
                faced.setdefault(seen.second, []).append(seen)
    return [
        max(own, key=lambda pair: (pair.verdict != "better", pair.adjusted))
        for other, own in faced.items()
        if other not in best
    ]


def _lead_by_one_seed(others: Sequence[Pair], it: str) -> str:
    ahead = [pair for pair in others if pair.apart and pair.mean > 0]
    if not ahead:
        return f"No other network is seen to err more often than {it}; of other trainings one seed says nothing."
    return f"These very networks err more often than {it}: {_named(ahead)}. Of other trainings one seed says nothing."


def _named(pairs: Sequence[Pair]) -> str:
    """The others, with the lead over each: `rnn on torch (+2.1 points)`; of many, how many."""
    if len(pairs) > NAMED:
        least = min(pair.mean for pair in pairs)
        return f"{len(pairs)} others ({points(least)} points or more)"
    return listed([f"{pair.second.words} ({points(pair.mean)} points)" for pair in pairs])


def _plainly(variants: Sequence[Variant]) -> str:
    return f"{len(variants)} variants" if len(variants) > NAMED else listed([each.words for each in variants])


def _backends(pairs: Sequence[Pair]) -> str:
    """Whether a network is better on one backend than on another."""
    if pairs[0].verdict == "unknown":
        largest = max(pairs, key=lambda pair: abs(pair.mean))
        return (
            f"Between backends accuracy differs by {abs(100 * largest.mean):.1f} points at most"
            f" ({largest.first.words}, {largest.second.backend}), which one seed cannot tell from chance."
        )
    found = [pair for pair in pairs if pair.verdict in ("better", "worse")]
    if found:
        return f"The backend matters: {listed([pair.words for pair in found])}."
    agreement = f"their answers agree on {percent(min(pair.agreement for pair in pairs))} of the samples or more"
    return f"Between backends no difference in accuracy can be seen, for any network; {agreement}."


def _parity(parities: Sequence[Parity]) -> Iterator[str]:
    if not parities:
        return
    logits, gradient = max(each.relative for each in parities), max(each.gradient for each in parities)
    shown = f"logits differ by {logits:.1g} of the largest at most, gradients by {gradient:.1g}"
    if all(each.close for each in parities):
        yield f"With the same weights the backends compute the same but for rounding: {shown}."
    elif parities[0].float32:
        yield f"With the same weights the backends differ by more than rounding explains: {shown}."
    else:
        yield f"With the same weights the backends differ, and how much of that is bfloat16 is not known: {shown}."


def _cost(summaries: Sequence[Summary]) -> str:
    fast, slow = (end(summaries, key=lambda each: each.seconds.mean) for end in (min, max))
    ratio = slow.seconds.mean / max(1e-9, fast.seconds.mean)
    if ratio < SLOWER:
        return f"All take about as long to train, {duration(slow.seconds.mean)}."
    return (
        f"Quickest to train is {fast.variant.words} ({duration(fast.seconds.mean)}), slowest {slow.variant.words}"
        f" ({duration(slow.seconds.mean)}, {ratio:.1f} times as long)."
    )
