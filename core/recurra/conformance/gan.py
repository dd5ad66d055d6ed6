"""The conformance suite of GANs: a pytest class with a backend's name, as `BackendSuite` is for recognisers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from recurra.conformance import gan_reference, reference
from recurra.conformance.discriminators import vectors
from recurra.conformance.gan_reference import Step
from recurra.conformance.generator import averaged, exact, generate
from recurra.conformance.small_gans import (
    GANS,
    gan_spec_of,
    one_of,
    random_gan_batches,
    random_gan_weights,
    random_latents,
    start,
    still,
)
from recurra.conformance.suite import Suite, assert_same_bytes, snapshot
from recurra.contract import GanBackend, GanBatches, GanSpec, Latents, RecurrentGan, Weights
from recurra.errors import InputError
from recurra.gan_weights import is_generators, is_trained
from recurra.optimiser import CLIP_EPSILON
from recurra.registry import load_backend
from recurra.weights import layout

SHIFT = 1e-8
"""Of a weight for a difference. So small that no map crosses zero within it, where the penalties have a jump."""
SIDES = ("generator", "discriminator")


@dataclass(frozen=True)
class Subject:
    """A GAN that a backend built, and its spec."""

    gan: RecurrentGan
    spec: GanSpec

    def fresh(self, seed: int = 0) -> RecurrentGan:
        """It, at random weights and before its first step."""
        return start(self.gan, self.spec, random_gan_weights(self.spec, seed))


def of_side(name: str, side: str) -> bool:
    """Whether the side's optimiser moves the weight."""
    return is_trained(name) and is_generators(name) == (side == "generator")


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
        assert found == pytest.approx(expected, rel=0, abs=close), name


class GanSuite(Suite):
    """Subclass it in a test module and set `name`."""

    @classmethod
    def build(cls, spec: GanSpec) -> RecurrentGan:
        """A GAN on the CPU, without weights."""
        cls.needs("gan")
        backend = load_backend(cls.name)
        assert isinstance(backend, GanBackend)
        return backend.build_gan(spec, "cpu")

    @classmethod
    def started(cls, spec: GanSpec) -> RecurrentGan:
        """A GAN on the CPU, at random weights."""
        return start(cls.build(spec), spec, random_gan_weights(spec))

    @pytest.fixture(scope="class", params=GANS)
    @classmethod
    def subject(cls, request: pytest.FixtureRequest) -> Subject:
        """Each of GANS. It is built once: a graph is not traced anew for every test."""
        spec = gan_spec_of(request.param)
        return Subject(cls.build(spec), spec)

    def test_an_unknown_device_is_refused_by_name(self) -> None:
        """`gpu:77` is not there, and the message says what is."""
        self.needs("gan")
        backend = load_backend(self.name)
        assert isinstance(backend, GanBackend)
        with pytest.raises(InputError, match=r"gpu:77.*cpu|cpu.*gpu:77"):
            backend.build_gan(gan_spec_of("image"), "gpu:77")

    def test_weights_come_back_as_they_were_loaded(self, subject: Subject) -> None:
        """Load, then read: the same bytes under the same names, averages and spectral vectors among them."""
        given, found = random_gan_weights(subject.spec, 5), subject.fresh(5).weights()
        assert list(found) == list(layout(subject.spec))
        assert_same_bytes({name: given[name] for name in found}, found)

    def test_generated_samples_are_those_of_the_reference_with_averaged_weights(self, subject: Subject) -> None:
        """Against float64."""
        gan, weights = subject.fresh(), random_gan_weights(subject.spec)
        latents, labels = random_latents(subject.spec, 7)
        found = gan.generate(latents, labels)
        expected = generate(latents.content, latents.noise, labels, averaged(weights), subject.spec)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)

    def test_a_sample_depends_on_nothing_but_its_latents_and_its_label(self, subject: Subject) -> None:
        """Alone, or in the midst of others."""
        gan, (latents, labels) = subject.fresh(), random_latents(subject.spec, 6)
        together = gan.generate(latents, labels)
        alone = gan.generate(Latents(latents.content[2:3], latents.noise[2:3]), labels[2:3])
        np.testing.assert_allclose(together[2:3], alone, rtol=1e-5, atol=1e-6)

    def test_judgements_are_those_of_the_reference(self, subject: Subject) -> None:
        """Logits of every frame, and of the clips, against float64."""
        gan, weights = subject.fresh(), random_gan_weights(subject.spec)
        batches = random_gan_batches(subject.spec, 1, 6)
        x, labels = batches.x[0], batches.y[0]
        found, expected = gan.judge(x, labels), gan_reference.judge(x, labels, weights, subject.spec)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=2e-5)
        assert found[0].dtype == np.float32
        if expected[1] is None or found[1] is None:
            assert found[1] is expected[1]
        else:
            np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=2e-5)

    def test_the_records_of_a_step_are_those_of_the_reference(self, subject: Subject) -> None:
        """The discriminators' before their update, the generator's loss after it and before its own."""
        spec, before = subject.spec, random_gan_weights(subject.spec)
        gan, batches = subject.fresh(), random_gan_batches(spec, 1)
        found, after = gan.train_steps(batches), gan.weights()
        step, powered = Step.of(batches), vectors(exact(before), power_step=True)
        fake = generate(step.content, step.noise, step.labels, before, spec)
        expected = gan_reference.discriminators_update(fake, step, before, spec, powered)
        of_generator = gan_reference.generators_objective(step, before, after, spec)
        assert {values.dtype for values in vars(found).values()} == {np.dtype(np.float32)}
        for name in ("discriminator_loss", "penalty", "real_right", "fake_right"):
            assert vars(found)[name] == pytest.approx([float(vars(expected)[name])], rel=1e-4, abs=1e-6), name
        assert found.generator_loss == pytest.approx([of_generator], rel=1e-4, abs=1e-6)

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

    @pytest.mark.parametrize("side", SIDES)
    def test_an_update_leaves_the_other_side_as_it_is(self, subject: Subject, side: str) -> None:
        """With a learning rate of 0 for one side, its weights keep their bytes and the other's do not."""
        before, gan = random_gan_weights(subject.spec), subject.fresh()
        gan.train_steps(still(random_gan_batches(subject.spec, 2), side))
        after = gan.weights()
        moved = {name for name in after if after[name].tobytes() != before[name].tobytes() and is_trained(name)}
        assert moved
        assert [name for name in moved if of_side(name, side)] == []

    def test_the_average_follows_the_generator(self, subject: Subject) -> None:
        """After each of three steps."""
        gan, batches = subject.fresh(), random_gan_batches(subject.spec, 3)
        for s in range(3):
            before = averaged(gan.weights())
            gan.train_steps(one_of(batches, s))
            after = gan.weights()
            expected = gan_reference.average_step(after, before, subject.spec, s + 1)
            for name, average in averaged(after).items():
                np.testing.assert_allclose(average, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)

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
                np.testing.assert_allclose(found[f"{name}.u"], u, rtol=1e-4, atol=1e-5, err_msg=name)

    @pytest.mark.parametrize(
        "settings",
        [{}, {"gan": {"beta_1": 0.5, "beta_2": 0.9}, "weight_decay": 0.1}],
        ids=["plain", "decay"],
    )
    def test_each_side_has_adam_as_it_is_written(self, settings: dict[str, Any]) -> None:
        """Three steps from the gradients that the moments tell, against float64 arithmetic."""
        spec = gan_spec_of("clip", **settings, learning_rate=0.002)
        gan, batches = self.started(spec), random_gan_batches(spec, 3)
        batches = replace(batches, discriminator_rates=3 * batches.generator_rates)
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
            np.testing.assert_allclose(state[f"adam.v.{name}"], moved[f"v.{name}"], rtol=1e-3, atol=1e-9, err_msg=name)
            # A weight whose gradient is float32 noise moves by a noisy sign, so most are compared, closely.
            close = np.isclose(found[name], expected[name], rtol=1e-4, atol=1e-5)
            assert close.mean() > 0.98, (name, t)

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
                np.testing.assert_allclose(found[name], scale * wanted[name], rtol=1e-4, atol=1e-7, err_msg=name)

    def test_steps_are_the_same_at_once_or_one_by_one(self, subject: Subject) -> None:
        """Three steps in one call or in three, then a smaller last batch: the same bytes, and so twice."""
        batches, last = random_gan_batches(subject.spec, 3), random_gan_batches(subject.spec, 1, 3, first_step=3)
        gan, ends, records = subject.fresh(), [], []
        for parts in ([batches], [one_of(batches, s) for s in range(3)], [batches]):
            subject.fresh()
            found = [gan.train_steps(part) for part in [*parts, last]]
            records.append({n: np.concatenate([vars(each)[n] for each in found]) for n in vars(found[0])})
            ends.append(snapshot(gan))
        for other in (1, 2):
            assert_same_bytes(records[0], records[other])
            assert_same_bytes(ends[0], ends[other])

    @pytest.mark.parametrize("subject", ["image-augmented", "clip-odd", "clip-spectral"], indirect=True)
    def test_a_resumed_training_ends_in_the_same_bytes(self, subject: Subject) -> None:
        """Weights and state into a GAN that was built anew, then on: as if never interrupted."""
        self.needs("exact-resume")
        head, tail = random_gan_batches(subject.spec, 3), random_gan_batches(subject.spec, 3, first_step=3)
        undisturbed, resumed = subject.fresh(), self.build(subject.spec)
        undisturbed.train_steps(head)
        resumed.load_weights(undisturbed.weights())
        resumed.load_training_state(undisturbed.training_state())
        records = [vars(gan.train_steps(tail)) for gan in (undisturbed, resumed)]
        assert_same_bytes(*records)
        assert_same_bytes(snapshot(resumed), snapshot(undisturbed))

    def test_reading_does_not_change_the_training(self, subject: Subject) -> None:
        """Samples, judgements, weights and state between the steps leave no trace."""
        batches, (latents, labels) = random_gan_batches(subject.spec, 2), random_latents(subject.spec, 3)
        gan = subject.fresh()
        gan.train_steps(batches)
        alone = snapshot(gan)
        subject.fresh()
        for s in range(2):
            gan.train_steps(one_of(batches, s))
            gan.generate(latents, labels)
            gan.judge(batches.x[s], batches.y[s])
            gan.weights()["generator.start.bias"][...] = 7
            gan.training_state()["adam.m.generator.start.bias"][...] = 7
        assert_same_bytes(snapshot(gan), alone)

    @pytest.mark.parametrize("subject", ["clip"], indirect=True)
    @pytest.mark.parametrize("side", SIDES)
    def test_a_side_gets_the_better_of_one_that_stands_still(self, subject: Subject, side: str) -> None:
        """Forty times the same step brings the loss of the side that learns far down."""
        one = random_gan_batches(subject.spec, 1)
        again = {n: np.repeat(a, 40, axis=0) for n, a in vars(one).items() if isinstance(a, np.ndarray)}
        batches = replace(one, **{**again, "penalty": np.zeros(40, np.float32)})
        other = next(each for each in SIDES if each != side)
        loss = vars(subject.fresh().train_steps(still(batches, other)))[f"{side}_loss"]
        assert loss[-1] < 0.5 * loss[0]


def _norm(gradients: Weights, side: str) -> float:
    squares = [float((g.astype(np.float64) ** 2).sum()) for name, g in gradients.items() if of_side(name, side)]
    return float(np.sqrt(sum(squares)))
