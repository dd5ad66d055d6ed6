"""The conformance suite: a pytest class with a backend's name, run by the backend's own tests and by ours alike."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import packages_distributions
from typing import Any

import numpy as np
import pytest

from recurra.conformance import reference
from recurra.contract import Batches, Classifier, ClassifierSpec, RecurrentGan, SampleShape
from recurra.errors import InputError
from recurra.experiment import Cnn, Model, Rnn, Train
from recurra.registry import backend_entry, load_backend
from recurra.weights import initial_weights, layout

IMAGE = SampleShape("image", 1, 9, 8, 2)
CLIP = SampleShape("clip", 5, 8, 7, 1)
SMALL_CNN = Cnn(channels=(3, 4))
NETWORKS: dict[str, tuple[Model, SampleShape]] = {
    "cnn-image": (Model(kind="cnn", cnn=SMALL_CNN), IMAGE),
    "cnn-clip": (Model(kind="cnn", cnn=Cnn(channels=(3,), kernel=2, padding="valid", dense=(6, 5))), CLIP),
    "cnn-unpooled": (Model(kind="cnn", cnn=Cnn(channels=(3,), kernel=5, pool=1)), IMAGE),
    "rnn-lstm-image": (Model(kind="rnn", rnn=Rnn(units=6)), IMAGE),
    "rnn-gru-clip": (Model(kind="rnn", rnn=Rnn(cell="gru", units=6, frame_pool=2)), CLIP),
    "rnn-lstm-deep": (Model(kind="rnn", rnn=Rnn(units=5, layers=2, bidirectional=True)), CLIP),
    "rnn-gru-deep": (Model(kind="rnn", rnn=Rnn(cell="gru", units=5, layers=2, bidirectional=True)), IMAGE),
    "fusion-lstm-image": (Model(kind="fusion", cnn=SMALL_CNN, rnn=Rnn(units=6)), IMAGE),
    "fusion-lstm-clip": (Model(kind="fusion", cnn=SMALL_CNN, rnn=Rnn(units=6, frame_pool=2)), CLIP),
    "fusion-gru-image": (Model(kind="fusion", cnn=SMALL_CNN, rnn=Rnn(cell="gru", units=6, bidirectional=True)), IMAGE),
    "fusion-gru-clip": (Model(kind="fusion", cnn=SMALL_CNN, rnn=Rnn(cell="gru", units=6, layers=2)), CLIP),
}
CLASSES = 4


def spec_of(network: str, **train: Any) -> ClassifierSpec:
    """The spec of one of NETWORKS."""
    model, sample = NETWORKS[network]
    return ClassifierSpec(model, Train.model_validate(train), sample, CLASSES)


def random_batches(spec: ClassifierSpec, steps: int, batch: int = 6, first_step: int = 0, seed: int = 1) -> Batches:
    """Noise with labels, at a learning rate of 0.01."""
    draw = np.random.default_rng([seed, first_step])
    x = draw.standard_normal((steps, batch, *spec.sample.array)).astype(np.float32)
    y = draw.integers(0, spec.classes, (steps, batch))
    return Batches(x, y, np.full(steps, 0.01, np.float32), first_step)


def snapshot(network: Classifier | RecurrentGan) -> dict[str, np.ndarray]:
    """Weights and training state, to compare."""
    state = {f"state.{name}": array for name, array in network.training_state().items()}
    return {**network.weights(), **state}


def assert_same_bytes(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Names, dtypes, shapes and bytes agree."""
    assert one.keys() == other.keys()
    differing = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    assert differing == []


class Suite:
    """Tests of one backend, by its name."""

    name: str

    @classmethod
    def needs(cls, capability: str) -> None:
        """Skips the test where the backend does not claim the capability."""
        if capability not in load_backend(cls.name).capabilities:
            pytest.skip(f"backend '{cls.name}' does not claim {capability}")


class BackendSuite(Suite):
    """Subclass it in a test module and set `name`."""

    @pytest.fixture(params=NETWORKS)
    def network(self, request: pytest.FixtureRequest) -> str:
        """Each network that the backend says it can build."""
        self.needs(NETWORKS[request.param][0].kind)
        return request.param

    def any_network(self, preferred: str = "fusion-lstm-image") -> str:
        """The preferred network where the backend claims its kind, else the first that it claims."""
        claimed = load_backend(self.name).capabilities
        return next(name for name in (preferred, *NETWORKS) if NETWORKS[name][0].kind in claimed)

    def build(self, spec: ClassifierSpec, seed: int = 0) -> Classifier:
        """A classifier on the CPU with the spec's first weights."""
        classifier = load_backend(self.name).build(spec, "cpu", seed)
        classifier.load_weights(initial_weights(spec, seed))
        return classifier

    def test_listing_and_loading_import_no_framework(self) -> None:
        """In a fresh interpreter, getting the backend object imports nothing that its extra installs."""
        entry = backend_entry(self.name)
        if not entry.requirements:
            pytest.skip("the entry point names no extra, so that there is nothing to look for")
        heavy = [module for module, owners in packages_distributions().items() if set(owners) & set(entry.requirements)]
        code = (
            f"import sys; from recurra.registry import load_backend; load_backend({self.name!r});"
            f"print([m for m in {heavy!r} if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"

    def test_it_says_what_it_is_and_which_devices_it_sees(self) -> None:
        """Name, contract, devices and versions have the documented form."""
        backend = load_backend(self.name)
        devices = backend.devices()
        assert backend.name == self.name
        assert "cpu" in [device.name for device in devices]
        assert all(isinstance(value, str) for value in backend.describe().values())

    def test_an_unknown_device_is_refused_by_name(self) -> None:
        """`gpu:77` is not there, and the message says what is."""
        with pytest.raises(InputError, match=r"gpu:77.*cpu|cpu.*gpu:77"):
            load_backend(self.name).build(spec_of(self.any_network()), "gpu:77", 0)

    def test_weights_come_back_as_they_were_loaded(self, network: str) -> None:
        """Load, then read: the same bytes under the same names."""
        spec = spec_of(network)
        given = initial_weights(spec, 5)
        classifier = self.build(spec)
        classifier.load_weights(given)
        found = classifier.weights()
        assert list(found) == list(layout(spec))
        assert_same_bytes({name: given[name] for name in found}, found)

    def test_weights_and_states_of_another_network_are_refused_by_name(self) -> None:
        """What is missing, and what has another shape."""
        classifier = self.build(spec_of(self.any_network()))
        for load, given, name in (
            (classifier.load_weights, classifier.weights(), "output.bias"),
            (classifier.load_training_state, classifier.training_state(), "adam.m.output.bias"),
        ):
            lacking = {key: array for key, array in given.items() if key != name}
            for wrong in (lacking, {**given, name: np.zeros(77, np.float32)}):
                with pytest.raises(InputError, match=name):
                    load(wrong)

    def test_logits_and_features_are_those_of_the_reference(self, network: str) -> None:
        """Forward pass against float64."""
        spec = spec_of(network)
        classifier, weights = self.build(spec), initial_weights(spec, 0)
        x = random_batches(spec, 1, 7).x[0]
        logits, features = classifier.logits(x), classifier.features(x)
        assert (logits.dtype, features.dtype) == (np.float32, np.float32)
        wanted = {name: array.astype(np.float64) for name, array in weights.items()}
        np.testing.assert_allclose(features, reference.features(x, wanted, spec), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(logits, reference.logits(x, weights, spec), rtol=1e-4, atol=1e-5)

    def test_records_are_the_loss_and_the_hits_before_the_update(self, network: str) -> None:
        """What train_steps returns for its first step."""
        spec = spec_of(network)
        batches, weights = random_batches(spec, 1), initial_weights(spec, 0)
        records = self.build(spec).train_steps(batches)
        x, y = batches.x[0], batches.y[0]
        expected = int((reference.logits(x, weights, spec).argmax(axis=1) == y).sum())
        assert records.loss.shape == records.correct.shape == (1,)
        assert records.loss[0] == pytest.approx(reference.loss(x, y, weights, spec), rel=1e-5)
        assert records.correct.tolist() == [expected]

    def test_gradients_are_the_slopes_of_the_reference_loss(self, network: str) -> None:
        """The first moments after one step are a tenth of the gradient: held against central differences."""
        spec = spec_of(network)
        batches, weights, classifier = random_batches(spec, 1), initial_weights(spec, 0), self.build(spec)
        classifier.train_steps(batches)
        state, draw = classifier.training_state(), np.random.default_rng(0)
        for name, shape in layout(spec).items():
            gradient = state[f"adam.m.{name}"] / 0.1
            for _ in range(3):
                index = tuple(int(draw.integers(size)) for size in shape)
                expected = reference.slope(batches.x[0], batches.y[0], weights, spec, name, index)
                assert gradient[index] == pytest.approx(expected, rel=2e-3, abs=2e-5), (name, index)

    @pytest.mark.parametrize(
        "settings", [{}, {"weight_decay": 0.1}, {"clip_norm": 0.05}], ids=["plain", "decay", "clip"]
    )
    def test_the_optimiser_is_adam_as_it_is_written(self, settings: dict[str, float]) -> None:
        """Three steps from the gradients that the moments tell, against float64 arithmetic."""
        network = self.any_network()
        spec = spec_of(network, **settings)
        classifier, plain = self.build(spec), self.build(spec_of(network))
        weights = {name: array.astype(np.float64) for name, array in classifier.weights().items()}
        moments = {f"{kind}.{name}": np.zeros(array.shape) for name, array in weights.items() for kind in "mv"}
        for t in (1, 2, 3):
            batches = random_batches(spec, 1, first_step=t - 1)
            gradients = self._gradients(plain, classifier.weights(), batches)
            classifier.train_steps(batches)
            weights, moments = reference.adam_step(
                weights, gradients, moments, t, 0.01, settings.get("weight_decay", 0.0), settings.get("clip_norm")
            )
            found, state = classifier.weights(), classifier.training_state()
            for name, expected in weights.items():
                # A weight whose gradient is float32 noise moves by a noisy sign, so most of them are compared, closely.
                close = np.isclose(found[name], expected, rtol=1e-3, atol=2e-5)
                assert close.mean() > 0.98, (name, t)
            assert int(state["adam.step"]) == t
            weights = {name: array.astype(np.float64) for name, array in found.items()}
            moments = {f"{kind}.{name}": state[f"adam.{kind}.{name}"] for name in weights for kind in "mv"}

    def _gradients(self, plain: Classifier, weights: dict[str, np.ndarray], batches: Batches) -> dict[str, np.ndarray]:
        """Of the plain loss at the given weights, read off the first moments of a fresh optimiser."""
        state = plain.training_state()
        plain.load_weights(weights)
        fresh = {name: np.zeros_like(array) for name, array in state.items() if name.startswith("adam.")}
        plain.load_training_state({**state, **fresh})
        plain.train_steps(batches)
        return {name: plain.training_state()[f"adam.m.{name}"] / 0.1 for name in weights}

    def test_steps_are_the_same_at_once_or_one_by_one(self, network: str) -> None:
        """Four steps in one call, or in four, with a smaller last batch."""
        spec = spec_of(network)
        together, apart = self.build(spec), self.build(spec)
        batches = random_batches(spec, 4)
        last = random_batches(spec, 1, 3, first_step=4)
        records = together.train_steps(batches)
        losses = []
        for s in range(4):
            one = Batches(batches.x[s : s + 1], batches.y[s : s + 1], batches.learning_rates[s : s + 1], s)
            losses.append(apart.train_steps(one).loss[0])
        assert together.train_steps(last).loss == apart.train_steps(last).loss
        assert records.loss.tolist() == losses
        assert_same_bytes(snapshot(together), snapshot(apart))

    @pytest.mark.parametrize("dropout", [0.0, 0.5])
    def test_a_resumed_training_ends_in_the_same_bytes(self, network: str, dropout: float) -> None:
        """Weights and state into a fresh classifier, then on: as if never interrupted."""
        self.needs("exact-resume")
        spec = spec_of(network, dropout=dropout)
        undisturbed, first = self.build(spec), self.build(spec)
        head, tail = random_batches(spec, 3), random_batches(spec, 3, first_step=3)
        undisturbed.train_steps(head)
        first.train_steps(head)
        resumed = load_backend(self.name).build(spec, "cpu", 0)
        resumed.load_weights(first.weights())
        resumed.load_training_state(first.training_state())
        assert resumed.train_steps(tail).loss.tolist() == undisturbed.train_steps(tail).loss.tolist()
        assert_same_bytes(snapshot(resumed), snapshot(undisturbed))

    def test_reading_does_not_change_the_training(self) -> None:
        """Logits, features, weights and state between two steps leave no trace, dropout or not."""
        spec = spec_of(self.any_network("fusion-lstm-clip"), dropout=0.5)
        watched, alone = self.build(spec), self.build(spec)
        for first_step in (0, 1, 2):
            batches = random_batches(spec, 1, first_step=first_step)
            watched.train_steps(batches)
            alone.train_steps(batches)
            watched.logits(batches.x[0])
            watched.features(batches.x[0])
            watched.weights()["output.bias"][...] = 7
        assert_same_bytes(snapshot(watched), snapshot(alone))

    def test_dropout_acts_in_training_alone_and_follows_the_seed(self) -> None:
        """The same seed drops the same, another seed drops others, logits drop nothing."""
        network = self.any_network("cnn-image")
        spec = spec_of(network, dropout=0.5)
        batches, x = random_batches(spec, 2), random_batches(spec, 1).x[0]

        def losses(seed: int, dropout: float) -> list[float]:
            wanted = replace(spec, train=Train(dropout=dropout))
            classifier = load_backend(self.name).build(wanted, "cpu", seed)
            classifier.load_weights(initial_weights(spec, 0))
            return classifier.train_steps(batches).loss.tolist()

        assert losses(1, 0.5) == losses(1, 0.5)
        assert len({tuple(losses(1, 0.5)), tuple(losses(2, 0.5)), tuple(losses(1, 0.0))}) == 3
        np.testing.assert_array_equal(self.build(spec).logits(x), self.build(spec_of(network)).logits(x))

    def test_one_batch_can_be_learnt_by_heart(self, network: str) -> None:
        """Sixty steps on the same few samples bring the loss far down."""
        spec = spec_of(network)
        batches = random_batches(spec, 1)
        x, y, rates = (np.repeat(a, 60, axis=0) for a in (batches.x, batches.y, batches.learning_rates))
        again = Batches(x, y, rates, 0)
        loss = self.build(spec).train_steps(again).loss
        assert loss[-1] < 0.5 * loss[0]

    @pytest.mark.parametrize("network", ["cnn-image", "rnn-lstm-image", "fusion-lstm-image", "fusion-gru-clip"])
    def test_bf16_is_near_fp32_and_keeps_float32_weights(self, network: str) -> None:
        """The loss of the first step to two digits; weights stay float32."""
        self.needs("bf16")
        self.needs(NETWORKS[network][0].kind)
        spec = spec_of(network, precision="bf16")
        classifier, batches = self.build(spec), random_batches(spec, 2)
        loss = classifier.train_steps(batches).loss
        assert loss == pytest.approx(self.build(spec_of(network)).train_steps(batches).loss, rel=0.05)
        assert {array.dtype for array in classifier.weights().values()} == {np.dtype(np.float32)}
        assert classifier.logits(batches.x[0]).dtype == np.float32
