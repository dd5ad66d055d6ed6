"""The recurrent GAN that the contract asks for: both sides, their optimisers and the loop over the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from recurra.contract import GanBatches, GanRecords, GanSpec, Latents, Weights
from recurra.gan_weights import AVERAGE, is_generators, is_trained
from recurra.optimiser import check_state
from recurra.weights import check_weights, layout
from recurra_torch.adam import Adam
from recurra_torch.augment import Augmentation, Changes
from recurra_torch.devices import on_device
from recurra_torch.discriminators import Discriminator, Discriminators
from recurra_torch.generator import Generator
from recurra_torch.losses import LOSSES, right, squared_gradient
from recurra_torch.memory import telling_memory
from recurra_torch.weights import CanonicalView, itself


@dataclass(frozen=True)
class Step:
    """One step of `GanBatches`, on the device; what is a plain number stays on the host."""

    x: Tensor
    labels: Tensor
    content: Tensor
    noise: Tensor
    frames: Tensor
    changes: Changes
    """[3, B]."""
    penalty: float
    generator_rate: float
    discriminator_rate: float
    done: int
    """t: steps that are done after this one."""


class TorchGan:
    """A generator and its discriminators on a device, ready to train and to generate."""

    def __init__(self, spec: GanSpec, device: torch.device) -> None:
        self.spec, self.device, self.settings = spec, device, spec.train.gan
        with device:
            self.generator, self.average = Generator(spec), Generator(spec).requires_grad_(False)
            self.discriminators = Discriminators(spec)
        for network in (self.generator, self.average, self.discriminators):
            # The input's own layout, and the faster one for convolutions. PyTorch's stubs lack this form of `to`.
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.augmentation, self.loss = Augmentation(spec), LOSSES[self.settings.loss]
        pieces = [*self.generator.pieces("generator"), *self.discriminators.pieces()]
        self.view = CanonicalView([*pieces, *self.average.pieces(f"{AVERAGE}generator")], layout(spec))
        self.trained, betas = self.view.only(is_trained), (self.settings.beta_1, self.settings.beta_2)
        self.generator_adam = Adam(self.trained.only(is_generators), spec.train, betas)
        self.discriminator_adam = Adam(self.trained.only(lambda name: not is_generators(name)), spec.train, betas)

    @telling_memory
    def train_steps(self, batches: GanBatches) -> GanRecords:
        """For each batch, in order, an update of the discriminators, one of the generator and one of its average."""
        # Kept on the device: reading each step's losses would make a GPU wait for the host at every step.
        records = torch.stack([self._step(step) for step in self._steps(batches)], 1)
        return GanRecords(*records.cpu().numpy())

    def _steps(self, batches: GanBatches) -> Iterator[Step]:
        arrays = (batches.x, batches.y, batches.content, batches.noise, batches.frames)
        tensors = [on_device(array, self.device) for array in arrays]
        changes = self.augmentation.changes(on_device(batches.augment, self.device))
        numbers = [each.tolist() for each in (batches.penalty, batches.generator_rates, batches.discriminator_rates)]
        for index in range(len(batches.x)):
            x, labels, content, noise, frames = (each[index] for each in tensors)
            penalty, generator_rate, discriminator_rate = (each[index] for each in numbers)
            rates, done = (generator_rate, discriminator_rate), batches.first_step + index + 1
            yield Step(x, labels, content, noise, frames, changes.of(index), penalty, *rates, done)

    def _step(self, step: Step) -> Tensor:
        """The fields of `GanRecords` [5]."""
        fake = self.generator(step.labels, step.content, step.noise)
        with torch.no_grad():
            real_seen, fake_seen = self._seen(step.x, step, 0), self._seen(fake.detach(), step, 1)
        discriminator_loss, penalty, sides = self._teach_discriminators(real_seen, fake_seen, step)
        generator_loss = self._teach_generator(real_seen, self._seen(fake, step, 2), step)
        self._follow(step.done)
        return torch.stack([discriminator_loss, generator_loss, penalty, *sides])

    def _seen(self, x: Tensor, step: Step, draw: int) -> list[Tensor]:
        """What each discriminator sees of samples."""
        changed = self.generator.bounds.centred(self.augmentation(x, step.changes.of(draw)))
        return [each.seen(changed, step.frames) for each in self.discriminators]

    def _teach_discriminators(self, real: list[Tensor], fake: list[Tensor], step: Step) -> tuple[Tensor, ...]:
        """(loss, penalty, right [2]), from before the update."""
        self.discriminators.power_step()
        judged = [self._judged(*each, step) for each in zip(self.discriminators, real, fake, strict=True)]
        loss = torch.stack([self.loss.of_discriminator(r, f) for r, f, _ in judged]).sum()
        penalty = torch.stack([each for _, _, each in judged]).sum()
        sides = torch.stack([right(self.loss, r, f) for r, f, _ in judged]).mean(0)
        self.discriminator_adam.descend(loss + step.penalty * penalty, step.discriminator_rate)
        return loss.detach(), penalty.detach(), sides

    def _judged(self, discriminator: Discriminator, real: Tensor, fake: Tensor, step: Step) -> tuple[Tensor, ...]:
        """(logits of the real, logits of the generated, penalty)."""
        if not step.penalty:
            logits = discriminator(torch.cat([real, fake]), step.labels.repeat(2))
            return *logits.chunk(2), logits.new_zeros(())
        # Apart from each other, so that there is a gradient only where there is a penalty on it.
        logits, penalty = [], real.new_zeros(())
        for seen, weight in ((real, self.settings.r1), (fake, self.settings.r2)):
            seen = seen.detach().requires_grad_(weight > 0)
            logits.append(discriminator(seen, step.labels))
            if weight:
                penalty = penalty + weight / 2 * squared_gradient(logits[-1], seen)
        return *logits, penalty

    def _teach_generator(self, real: list[Tensor], fake: list[Tensor], step: Step) -> Tensor:
        """The loss, from before the update."""
        self.discriminators.settle()
        losses = []
        for discriminator, true, made in zip(self.discriminators, real, fake, strict=True):
            with torch.no_grad():
                wanted = discriminator(true, step.labels) if self.loss.paired else None
            losses.append(self.loss.of_generator(wanted, discriminator(made, step.labels)))
        loss = torch.stack(losses).sum()
        self.generator_adam.descend(loss, step.generator_rate)
        return loss.detach()

    def _follow(self, done: int) -> None:
        """The average takes a step towards the generator."""
        decay = min(self.settings.average, (1 + done) / (10 + done))
        averages: list[Tensor] = [*self.average.parameters()]
        get_ema_multi_avg_fn(decay)(averages, [*self.generator.parameters()], done)

    @telling_memory
    @torch.inference_mode()
    def generate(self, latents: Latents, labels: np.ndarray) -> np.ndarray:
        """labels [N] -> samples [N, T, H, W, C] float32, of the averaged weights."""
        given = (on_device(array, self.device) for array in (labels, latents.content, latents.noise))
        return self.average(*given).contiguous().cpu().numpy()

    @telling_memory
    @torch.inference_mode()
    def judge(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The discriminators' logits: of every frame [N, T], and of the clips [N] or None."""
        self.discriminators.settle()
        seen, given = self.generator.bounds.centred(on_device(x, self.device)), on_device(labels, self.device)
        of_frames, *of_clips = (each(seen, given).cpu().numpy() for each in self.discriminators)
        return of_frames, of_clips[0][:, 0] if of_clips else None

    def weights(self) -> Weights:
        """A copy of every weight in canonical layout."""
        return self.view.read(itself)

    @telling_memory
    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights; an InputError where they are not this network's."""
        check_weights(weights, self.spec, "weights")
        self.view.write(weights, itself)

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy of both optimisers' states."""
        return self.generator_adam.state() | self.discriminator_adam.state()

    @telling_memory
    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over the optimisers' states from any backend; `backend.*` entries are none of this one's."""
        check_state(state, self.trained.shapes)
        self.generator_adam.load_state(state)
        self.discriminator_adam.load_state(state)
