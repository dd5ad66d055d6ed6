"""Lightning's Trainer, with everything off that is not training."""

# ruff: noqa: ARG002 - the signatures are Lightning's
from __future__ import annotations

import logging
import warnings
from typing import Any

import lightning  # pyright: ignore[reportMissingImports] - only with the extra `bench`
import torch
from torch.nn import functional

from bench.scenario import BATCH, LEARNING_RATE, Scenario
from bench.torch_networks import loader, network
from bench.turns import Turns


class Recogniser(lightning.LightningModule):
    """The same network and the same loss as in the plain loop."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self.network = network(scenario)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        x, y = batch
        return functional.cross_entropy(self.network(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)


class TakesTurns(lightning.Callback):
    """An epoch is a turn. Sums the loss as the plain loop does, which costs less than `self.log` in every step."""

    def __init__(self, turns: Turns, samples: int) -> None:
        self.turns, self.samples, self.total = turns, samples, 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.turns.begin()
        self.total = 0.0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: tuple[torch.Tensor, torch.Tensor],
        batch_idx: int,
    ) -> None:
        self.total += outputs["loss"].item() * len(batch[1])

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.turns.end(self.total / self.samples)


def run(scenario: Scenario, turns: Turns) -> None:
    """One `fit` over all turns, so that what it does only once is on nobody's clock."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    trainer = lightning.Trainer(
        max_epochs=turns.epochs,
        accelerator=scenario.device,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[TakesTurns(turns, scenario.samples)],
    )
    trainer.fit(Recogniser(scenario), loader(scenario, BATCH))
