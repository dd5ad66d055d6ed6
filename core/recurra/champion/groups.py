"""The groups of a dataset's samples (a recording, a person): which of them a network has learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recurra.dataset import Dataset


@dataclass(frozen=True)
class Groups:
    """Of each test sample of a dataset."""

    numbers: np.ndarray
    """[N] int64; a sample without a group is one of its own."""
    champions: np.ndarray
    """[N] bool: the champion alone learnt from samples of the group."""
    challengers: np.ndarray
    """[N] bool: the new network alone did. What both did flatters both."""

    @classmethod
    def of(cls, new: Dataset, champion: Dataset) -> Groups | None:
        """Of the new dataset's test samples; None where they have no groups. Groups are the same by their names."""
        names = new.splits["test"].groups()
        if names is None:
            return None
        learnt = (_learnt(dataset) for dataset in (champion, new))
        theirs, ours = (np.array([name in groups for name in names], bool) for groups in learnt)
        alone = [name or f"\0{row}" for row, name in enumerate(names)]
        return cls(np.unique(alone, return_inverse=True)[1], theirs & ~ours, ours & ~theirs)


def _learnt(dataset: Dataset) -> set[str]:
    """The groups of its training and validation samples."""
    learnt = (split.groups() or () for name, split in dataset.splits.items() if name != "test")
    return {group for groups in learnt for group in groups} - {""}
