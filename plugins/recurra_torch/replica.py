"""One rank's replica of a network: trains on its part of every batch, in step with its like on other devices.

All replicas begin with the same weights, add up their gradients and take the same step, so that they stay the same to
the last bit; one of them can speak for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from recurra.contract import Batches, ClassifierSpec, StepRecords
from recurra_torch.classifier import TorchClassifier
from recurra_torch.memory import telling_memory


@dataclass(frozen=True)
class Share:
    """The part of every batch that a rank works on."""

    rows: slice
    counts: bool
    """Whether the rows count. A rank for which no sample is left works on one that does not, so that all ranks take the
    same steps together."""
    batch: int
    """Samples of the whole batch."""

    @classmethod
    def of(cls, batch: int, rank: int, ranks: int) -> Share:
        """Parts that follow each other, as even as can be."""
        least, over = divmod(batch, ranks)
        first, size = rank * least + min(rank, over), least + (rank < over)
        return cls(slice(first, first + size), True, batch) if size else cls(slice(0, 1), False, batch)


class Replica(TorchClassifier):
    """A classifier on this rank's device. The process group is there before it is built."""

    def __init__(self, spec: ClassifierSpec, device: torch.device, seed: int) -> None:
        super().__init__(spec, device, seed)
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.parallel = DistributedDataParallel(
            self.network, [device] if device.type == "cuda" else None, gradient_as_bucket_view=True
        )
        self._settle_buckets()

    def _settle_buckets(self) -> None:
        """Goes through a step that changes nothing.

        In its first step DistributedDataParallel learns the order of the gradients, and lays out by it the buckets that
        it adds up from the second step on; from three ranks on the layout decides the order of the sum, hence its last
        bits. A training that resumes must add up its first step as the undisturbed one does its hundredth.
        """
        with self._precision():
            logits = self.parallel(torch.zeros((1, *self.spec.sample.array), device=self.device))
        logits.float().sum().backward(inputs=self.adam.parameters)
        self.network.zero_grad(set_to_none=True)

    @telling_memory
    def train_steps(self, batches: Batches) -> StepRecords:
        """One optimiser step for each whole batch, in order, of which this rank does its share."""
        self.network.train()
        share = Share.of(batches.y.shape[1], self.rank, self.ranks)
        xs, ys = (torch.from_numpy(array[:, share.rows]).to(self.device) for array in (batches.x, batches.y))
        sums = torch.zeros((2, len(xs)), dtype=torch.float64, device=self.device)
        for index, (x, y, rate) in enumerate(zip(xs, ys, batches.learning_rates.tolist(), strict=True)):
            sums[:, index] = self._share_of_step(x, y, rate, batches.first_step + index, share)
        dist.all_reduce(sums)
        loss, correct = sums.cpu().numpy()
        return StepRecords(loss.astype(np.float32), correct.astype(np.int64))

    def _share_of_step(self, x: Tensor, y: Tensor, learning_rate: float, step: int, share: Share) -> Tensor:
        """(loss, correct) [2], summands of those of the whole batch."""
        # The masks of the whole batch, of which each rank takes its rows: the same however many ranks there are.
        kept = self.dropout.factors(step, (share.batch, self.network.output.in_features))
        with self._precision():
            logits = self.parallel(x, None if kept is None else kept[share.rows])
        logits = logits.float()
        loss = functional.cross_entropy(logits, y, reduction="sum") * (share.counts / share.batch)
        # Of the gradients DistributedDataParallel makes the mean over the ranks; the sum is that of the whole batch.
        self.adam.descend(loss * self.ranks, learning_rate)
        return torch.stack([loss.detach(), (logits.argmax(1) == y).sum() * share.counts])
