"""Lightning's Trainer, with everything off that is not training."""

# ruff: noqa: ARG002 - the signatures are Lightning's
from __future__ import annotations

import logging
import warnings

import lightning
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
        loss = functional.cross_entropy(self.network(x), y)
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)


class TakesTurns(lightning.Callback):
    """An epoch is a turn."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.turns.begin()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.turns.end(float(trainer.callback_metrics["loss"]))


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
        callbacks=[TakesTurns(turns)],
    )
    trainer.fit(Recogniser(scenario), loader(scenario, BATCH))
