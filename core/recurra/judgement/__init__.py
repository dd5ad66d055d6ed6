"""What generated samples are worth, in the eyes of a recogniser of real ones: no network, no downloaded weights."""

from recurra.judgement.judges import judge_of

__all__ = ["judge_of"]
