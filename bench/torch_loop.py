"""The training loop of PyTorch's own tutorials."""

from __future__ import annotations

import torch
from torch.nn import functional

from bench.scenario import BATCH, LEARNING_RATE, Scenario
from bench.torch_networks import loader, network
from bench.turns import Turns


def run(scenario: Scenario, turns: Turns) -> None:
    """DataLoader, forward, backward, Adam."""
    device = "cuda" if scenario.device == "gpu" else "cpu"
    model = network(scenario).to(device)
    batches = loader(scenario, BATCH)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for _ in range(turns.epochs):
        turns.begin()
        total = 0.0
        for x, y in batches:
            x, y = x.to(device), y.to(device)
            optimiser.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            total += loss.item() * len(y)
        turns.end(total / scenario.samples)
