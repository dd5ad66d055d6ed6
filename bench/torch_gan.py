"""The training loop of PyTorch's DCGAN tutorial, for the recurrent GAN."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bench.scenario import ADVERSARIAL, BATCH, GAN, GAN_LEARNING_RATE, Scenario
from bench.torch_gan_networks import ClipDiscriminator, FrameDiscriminator, Generator, initialise
from bench.torch_networks import loader
from bench.turns import Turns

Discriminators = Sequence[FrameDiscriminator | ClipDiscriminator]


def penalty(logits: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """E |d logit / d seen|^2 / 2, to be differentiated again."""
    (gradient,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() / 2


def discriminator_loss(
    discriminators: Discriminators, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, penalised: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The non-saturating loss, and its sum with R1 and R2 where the step has them."""
    loss, extra = torch.zeros((), device=real.device), torch.zeros((), device=real.device)
    for discriminator in discriminators:
        for clips, sign, weight in ((real, -1, ADVERSARIAL.r1), (fake, 1, ADVERSARIAL.r2)):
            seen, seen_labels = discriminator.view(clips, labels)
            seen.requires_grad_(penalised)
            logits = discriminator(seen, seen_labels)
            loss = loss + functional.softplus(sign * logits).mean()
            if penalised:
                extra = extra + weight * penalty(logits, seen)
    return loss, loss + ADVERSARIAL.penalty_every * extra


def generator_loss(discriminators: Discriminators, fake: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The non-saturating loss."""
    loss = torch.zeros((), device=fake.device)
    for discriminator in discriminators:
        loss = loss + functional.softplus(-discriminator(*discriminator.view(fake, labels))).mean()
    return loss


def run(scenario: Scenario, turns: Turns) -> None:
    """DataLoader, the discriminators' step, the generator's step, the average.

    BENCH_FAKES: the generated samples are made once for both steps, as in the tutorial, or for each step anew.
    """
    device = "cuda" if scenario.device == "gpu" else "cpu"
    sample, fresh = scenario.sample, os.environ["BENCH_FAKES"] == "twice"
    generator = Generator(sample).apply(initialise).to(device)
    kinds = (FrameDiscriminator,) if sample.kind == "image" else (FrameDiscriminator, ClipDiscriminator)
    discriminators = [kind(sample).apply(initialise).to(device) for kind in kinds]
    judging = [weight for each in discriminators for weight in each.parameters()]
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(ADVERSARIAL.average))
    betas = (ADVERSARIAL.beta_1, ADVERSARIAL.beta_2)
    optimiser_d = torch.optim.Adam(judging, lr=GAN_LEARNING_RATE, betas=betas)
    optimiser_g = torch.optim.Adam(generator.parameters(), lr=GAN_LEARNING_RATE, betas=betas)
    batches = loader(scenario, BATCH)
    step = 0

    def generated(y: torch.Tensor) -> torch.Tensor:
        content = torch.randn(len(y), GAN.content, device=device)
        return generator(content, torch.randn(len(y), sample.frames, GAN.noise, device=device), y)

    for _ in range(turns.epochs):
        turns.begin()
        total = 0.0
        for x, y in batches:
            x, y = x.to(device), y.to(device)
            if sample.kind == "image":  # from -1 to 1, as the generator's tanh
                x = (2 * x - 1).unsqueeze(1)
            fake = generated(y)

            optimiser_d.zero_grad()
            penalised = step % ADVERSARIAL.penalty_every == 0
            loss, whole = discriminator_loss(discriminators, x, fake.detach(), y, penalised)
            whole.backward()
            optimiser_d.step()

            for weight in judging:  # the generator's step needs no gradients of these
                weight.requires_grad_(False)
            optimiser_g.zero_grad()
            generator_loss(discriminators, generated(y) if fresh else fake, y).backward()
            optimiser_g.step()
            for weight in judging:
                weight.requires_grad_(True)

            average.update_parameters(generator)
            total += loss.item() * len(y)
            step += 1
        turns.end(total / scenario.samples)
