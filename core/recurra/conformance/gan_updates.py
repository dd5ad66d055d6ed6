"""What one step of a GAN's training has to do on any backend: its records, its gradients, its updates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from recurra.conformance import gan_reference, reference
from recurra.conformance.deviation import assert_close
from recurra.conformance.discriminators import vectors
from recurra.conformance.gan_reference import Step
from recurra.conformance.gan_subjects import SIDES, GanSubjects, Subject, of_side
from recurra.conformance.generator import averaged, exact, generate
from recurra.conformance.small_gans import (
    gan_spec_of,
    one_of,
    random_gan_batches,
    random_gan_weights,
    random_latents,
    start,
    still,
)
from recurra.contract import GanBatches, GanSpec, RecurrentGan, Weights
from recurra.gan_weights import is_trained
from recurra.optimiser import CLIP_EPSILON
from recurra.weights import layout

SHIFT = 1e-8
"""Of a weight for a difference. So small that no map crosses zero within it, where the penalties have a jump."""


def gradients_of(gan: RecurrentGan, spec: GanSpec) -> Weights:
    """Of the first step, read off the first moments after it: m = (1 - beta_1) g."""
    state, share = gan.training_state(), 1 - spec.train.gan.beta_1
    return {name: state[f"adam.m.{name}"] / share for name in layout(spec) if is_trained(name)}


def slope(objective: Callable[[Weights], float], weights: Weights, name: str, direction: np.ndarray) -> float:
    """The derivative of an objective when one weight moves in a direction, by central differences."""
    ends = [objective({**weights, name: weights[name] + sign * SHIFT * direction}) for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * SHIFT)


def assert_slopes(gradients: Weights, objective: Callable[[Weights], float], weights: Weights, side: str) -> None:
    """The side's gradients are the objective's slopes at the weights, each in one random direction."""
    weights, draw = exact(weights), np.random.default_rng(0)
    for name in (name for name in gradients if of_side(name, side)):
        direction = draw.standard_normal(weights[name].shape)
        found, expected = float((gradients[name] * direction).sum()), slope(objective, weights, name, direction)
        # Any one wrong entry would be a large part of the norm.
        close = 2e-3 * float(np.linalg.norm(gradients[name])) + 2e-6
        assert_close(f"gradient of {name}", found, expected, 0.0, close)


class GanUpdates(GanSubjects):
    """Part of `GanSuite`."""

    def test_the_records_of_a_step_are_those_of_the_reference(self, subject: Subject) -> None:
        """The discriminators' before their update, the generator's loss after it and before its own."""
        self._assert_records(subject, random_gan_batches(subject.spec, 1))

    @pytest.mark.parametrize("subject", ["clip-augmented"], indirect=True)
    def test_what_is_drawn_is_rounded_down_in_float64(self, subject: Subject) -> None:
        """0.69999999 of 10 is 6 there, and 7 in float32."""
        batches = random_gan_batches(subject.spec, 1)
        self._assert_records(subject, replace(batches, augment=np.full_like(batches.augment, 0.699999988079071)))

    def _assert_records(self, subject: Subject, batches: GanBatches) -> None:
        self._assert_records_from(subject, batches, random_gan_weights(subject.spec))

    @pytest.mark.parametrize("subject", ["clip", "clip-spectral"], indirect=True)
    def test_leaky_relu_has_its_small_slope_at_0(self, subject: Subject) -> None:
        """In the penalty of samples whose right half is black, under biases of 0, as a training begins."""
        batches, before = random_gan_batches(subject.spec, 1), random_gan_weights(subject.spec)
        x = np.where(np.arange(subject.spec.sample.width)[:, None] < subject.spec.sample.width // 2, batches.x, 0)
        flat = {name: np.zeros_like(array) for name, array in before.items() if ".conv" in name and ".bias" in name}
        self._assert_records_from(subject, replace(batches, x=x.astype(np.float32)), {**before, **flat})

    def _assert_records_from(self, subject: Subject, batches: GanBatches, before: Weights) -> None:
        spec, gan = subject.spec, start(subject.gan, subject.spec, before)
        found, after = gan.train_steps(batches), gan.weights()
        step, powered = Step.of(batches), vectors(exact(before), power_step=True)
        fake = generate(step.content, step.noise, step.labels, before, spec)
        expected = gan_reference.discriminators_update(fake, step, before, spec, powered)
        of_generator = gan_reference.generators_objective(step, before, after, spec)
        assert {values.dtype for values in vars(found).values()} == {np.dtype(np.float32)}
        for name in ("discriminator_loss", "penalty", "real_right", "fake_right"):
            assert_close(name, vars(found)[name], [float(vars(expected)[name])], 1e-4, 1e-6)
        assert_close("generator_loss", found.generator_loss, [of_generator], 1e-4, 1e-6)

    def test_gradients_are_the_slopes_of_the_reference_objectives(self, subject: Subject) -> None:
        """Of both sides, with penalties: held against central differences."""
        gan, batches = subject.fresh(), random_gan_batches(subject.spec, 1)
        gan.train_steps(batches)
        self._assert_gradients(gan, subject.spec, batches)

    def test_a_step_without_penalties_has_none_in_its_record_or_its_gradient(self, subject: Subject) -> None:
        """`GanBatches.penalty` is 0 there."""
        gan, batches = subject.fresh(), random_gan_batches(subject.spec, 1)
        batches = replace(batches, penalty=np.zeros(1, np.float32))
        assert gan.train_steps(batches).penalty.tolist() == [0.0]
        self._assert_gradients(gan, subject.spec, batches)

    def _assert_gradients(self, gan: RecurrentGan, spec: GanSpec, batches: GanBatches) -> None:
        before, after, step = random_gan_weights(spec), gan.weights(), Step.of(batches)
        powered = vectors(exact(before), power_step=True)
        fake = generate(step.content, step.noise, step.labels, before, spec)
        gradients = gradients_of(gan, spec)

        def of_discriminators(weights: Weights) -> float:
            return gan_reference.discriminators_objective(fake, step, weights, spec, powered)

        def of_generator(weights: Weights) -> float:
            return gan_reference.generators_objective(step, weights, after, spec)

        assert_slopes(gradients, of_discriminators, before, "discriminator")
        assert_slopes(gradients, of_generator, before, "generator")

    def test_the_discriminators_update_leaves_the_generator_as_it_is(self, subject: Subject) -> None:
        """With a learning rate of 0 for the generator, its weights keep their bytes and the others' do not."""
        self._assert_still(subject, "generator")

    def test_the_generators_update_leaves_the_discriminators_as_they_are(self, subject: Subject) -> None:
        """The other way round."""
        self._assert_still(subject, "discriminator")

    def _assert_still(self, subject: Subject, side: str) -> None:
        before, gan = random_gan_weights(subject.spec), subject.fresh()
        gan.train_steps(still(random_gan_batches(subject.spec, 2), side))
        after = gan.weights()
        moved = {name for name in after if after[name].tobytes() != before[name].tobytes() and is_trained(name)}
        assert moved, "no weight moved"
        wrong = [name for name in moved if of_side(name, side)]
        assert wrong == [], f"the other side's update moved {', '.join(sorted(wrong)[:3])}"

    def test_the_average_follows_the_generator(self, subject: Subject) -> None:
        """After each of three steps."""
        gan, batches = subject.fresh(), random_gan_batches(subject.spec, 3)
        for s in range(3):
            before = averaged(gan.weights())
            gan.train_steps(one_of(batches, s))
            after = gan.weights()
            expected = gan_reference.average_step(after, before, subject.spec, s + 1)
            for name, average in averaged(after).items():
                assert_close(f"average of {name}", average, expected[name], 1e-5, 1e-6)

    @pytest.mark.parametrize("subject", ["image"], indirect=True)
    def test_the_averages_step_is_numbered_from_the_start_of_the_training(self, subject: Subject) -> None:
        """By `first_step`, and not by the optimiser, which may have begun anew."""
        gan, batches = subject.fresh(), random_gan_batches(subject.spec, 2, first_step=100)
        for s in range(2):
            before = averaged(gan.weights())
            gan.train_steps(one_of(batches, s))
            after = gan.weights()
            expected = gan_reference.average_step(after, before, subject.spec, 101 + s)
            for name, average in averaged(after).items():
                assert_close(f"average of {name}", average, expected[name], 1e-5, 1e-6)

    @pytest.mark.parametrize("subject", ["clip-spectral", "clip-augmented"], indirect=True)
    def test_spectral_vectors_take_one_step_in_each_update_of_the_discriminators(self, subject: Subject) -> None:
        """A step of the power method at the weights before it; neither judging nor generating takes one."""
        gan, batches = subject.fresh(), random_gan_batches(subject.spec, 2)
        latents, labels = random_latents(subject.spec, 3)
        for s in range(2):
            expected = vectors(exact(gan.weights()), power_step=True)
            gan.train_steps(one_of(batches, s))
            gan.judge(batches.x[0], batches.y[0])
            gan.generate(latents, labels)
            found = gan.weights()
            for name, (u, _) in expected.items():
                assert_close(f"{name}.u", found[f"{name}.u"], u, 1e-4, 1e-5)

    @pytest.mark.parametrize("subject", ["clip"], indirect=True)
    def test_each_side_has_adam_as_it_is_written(self, subject: Subject) -> None:
        """Three steps from the gradients that the moments tell, against float64 arithmetic."""
        self._assert_adam(subject.fresh(), subject.spec)

    def test_betas_and_weight_decay_are_those_of_the_settings(self) -> None:
        """The same with others."""
        spec = gan_spec_of("image", gan={"beta_1": 0.5, "beta_2": 0.9}, weight_decay=1.0)
        self._assert_adam(self.started(spec), spec)

    def _assert_adam(self, gan: RecurrentGan, spec: GanSpec) -> None:
        batches, rates = random_gan_batches(spec, 3), np.full(3, 0.002, np.float32)
        batches = replace(batches, generator_rates=rates, discriminator_rates=3 * rates)
        for s in range(3):
            before = {"weights": gan.weights(), "state": gan.training_state()}
            gan.train_steps(one_of(batches, s))
            assert int(gan.training_state()["adam.step"]) == s + 1
            for side, rate in (("generator", 0.002), ("discriminator", 0.006)):
                self._assert_adam_step(gan, spec, before, side, s + 1, rate)

    def _assert_adam_step(
        self, gan: RecurrentGan, spec: GanSpec, before: dict[str, Weights], side: str, t: int, rate: float
    ) -> None:
        betas, decay = (spec.train.gan.beta_1, spec.train.gan.beta_2), spec.train.weight_decay
        weights = {name: array for name, array in before["weights"].items() if of_side(name, side)}
        moments = {name.removeprefix("adam."): array.astype(np.float64) for name, array in before["state"].items()}
        state = gan.training_state()
        gradients = {
            name: (state[f"adam.m.{name}"] - betas[0] * moments[f"m.{name}"]) / (1 - betas[0]) for name in weights
        }
        expected, moved = reference.adam_step(weights, gradients, moments, t, rate, decay, betas=betas)
        found = gan.weights()
        for name in weights:
            assert_close(f"v of {name}", state[f"adam.v.{name}"], moved[f"v.{name}"], 1e-3, 1e-9)
            # A weight whose gradient is float32 noise moves by a noisy sign, so most are compared, closely.
            close = self.tolerance(1e-4, 1e-5, but=0.02)
            assert_close(f"{name} after step {t}", found[name], expected[name], **close)

    @pytest.mark.parametrize("subject", ["image"], indirect=True)
    def test_clip_norm_acts_on_each_side_by_itself(self, subject: Subject) -> None:
        """Gradients are the plain ones times min(1, clip_norm / norm), the norm being of that side alone."""
        # The discriminators stand still, so that the generator's gradients are the same with and without.
        batches, plain = still(random_gan_batches(subject.spec, 1), "discriminator"), subject.fresh()
        plain.train_steps(batches)
        wanted = gradients_of(plain, subject.spec)
        norms = {side: _norm(wanted, side) for side in SIDES}
        between = float(np.sqrt(np.prod(list(norms.values()))))
        clipped = self.started(gan_spec_of("image", clip_norm=between))
        clipped.train_steps(batches)
        found = gradients_of(clipped, subject.spec)
        for side in SIDES:
            scale = min(1.0, between / (norms[side] + CLIP_EPSILON))
            for name in (name for name in found if of_side(name, side)):
                assert_close(f"gradient of {name}", found[name], scale * wanted[name], 1e-4, 1e-7)


def _norm(gradients: Weights, side: str) -> float:
    squares = [float((g.astype(np.float64) ** 2).sum()) for name, g in gradients.items() if of_side(name, side)]
    return float(np.sqrt(sum(squares)))
