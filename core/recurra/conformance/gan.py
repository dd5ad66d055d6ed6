"""The conformance suite of GANs: a pytest class with a backend's name, as `BackendSuite` is for recognisers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from recurra.conformance import gan_reference
from recurra.conformance.deviation import assert_close
from recurra.conformance.gan_subjects import SIDES, Subject
from recurra.conformance.gan_updates import GanUpdates
from recurra.conformance.generator import averaged, generate
from recurra.conformance.networks import assert_same_bytes, snapshot
from recurra.conformance.small_gans import (
    gan_spec_of,
    one_of,
    random_gan_batches,
    random_gan_weights,
    random_latents,
    still,
)
from recurra.contract import GanBackend, Latents
from recurra.errors import InputError
from recurra.registry import load_backend
from recurra.weights import layout


class GanSuite(GanUpdates):
    """Subclass it in a test module and set `name`."""

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
        assert_close("samples", found, expected, **self.tolerance(1e-4, 2e-5))

    def test_a_sample_depends_on_nothing_but_its_latents_and_its_label(self, subject: Subject) -> None:
        """Alone, or in the midst of others."""
        gan, (latents, labels) = subject.fresh(), random_latents(subject.spec, 6)
        together = gan.generate(latents, labels)
        alone = gan.generate(Latents(latents.content[2:3], latents.noise[2:3]), labels[2:3])
        assert_close("samples", together[2:3], alone, 1e-5, 1e-6)

    def test_judgements_are_those_of_the_reference(self, subject: Subject) -> None:
        """Logits of every frame, and of the clips, against float64."""
        gan, weights = subject.fresh(), random_gan_weights(subject.spec)
        batches = random_gan_batches(subject.spec, 1, 6)
        x, labels = batches.x[0], batches.y[0]
        found, expected = gan.judge(x, labels), gan_reference.judge(x, labels, weights, subject.spec)
        assert_close("logits of frames", found[0], expected[0], **self.tolerance(1e-4, 2e-5))
        assert found[0].dtype == np.float32
        if expected[1] is None or found[1] is None:
            assert found[1] is expected[1]
        else:
            assert_close("logits of clips", found[1], expected[1], **self.tolerance(1e-4, 2e-5))

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

    @pytest.mark.parametrize("subject", ["image-augmented", "clip-spectral"], indirect=True)
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

    @pytest.mark.parametrize("subject", ["image"], indirect=True)
    def test_weights_and_states_of_another_network_are_refused_by_name(self, subject: Subject) -> None:
        """What is missing, what has no place, and what has another shape."""
        gan = subject.fresh()
        for load, given, name in (
            (gan.load_weights, gan.weights(), "average.generator.embedding"),
            (gan.load_training_state, gan.training_state(), "adam.m.frame.projection"),
            (gan.load_training_state, gan.training_state(), "adam.step"),
        ):
            lacking = {key: array for key, array in given.items() if key != name}
            faults = [lacking] if name == "adam.step" else [lacking, {**given, name: np.zeros(2, np.float32)}]
            for wrong in faults:
                with pytest.raises(InputError, match=re.escape(name)):
                    load(wrong)
        with pytest.raises(InputError, match=r"adam\.v\.average"):
            gan.load_training_state({**gan.training_state(), "adam.v.average.generator.embedding": np.zeros(2, "f4")})
        gan.load_training_state({**gan.training_state(), "backend.other": np.zeros(3)})
