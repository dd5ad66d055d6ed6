"""The conformance suite: a pytest class with a backend's name, run by the backend's own tests and by ours alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recurra.conformance import reference
from recurra.conformance.checks import group, slow
from recurra.conformance.deviation import assert_close
from recurra.conformance.diagnoses import Diagnoses
from recurra.conformance.networks import (
    CLASSES,
    NETWORKS,
    assert_same_bytes,
    one_step,
    random_batches,
    random_weights,
    snapshot,
    spec_of,
)
from recurra.conformance.promises import Promises
from recurra.contract import Batches, Classifier, ClassifierSpec, SampleShape
from recurra.experiment import Cnn, Model, Rnn, Train
from recurra.registry import load_backend
from recurra.weights import initial_weights, layout

SMALL = SampleShape("image", 1, 4, 4, 1)
CURVES: dict[str, Model] = {
    "cnn": Model(kind="cnn", cnn=Cnn(channels=(2,))),
    "rnn-lstm": Model(kind="rnn", rnn=Rnn(units=2)),
    "rnn-gru": Model(kind="rnn", rnn=Rnn(cell="gru", units=2)),
    "fusion": Model(kind="fusion", cnn=Cnn(channels=(1,)), rnn=Rnn(units=2)),
}
"""Networks so small that the reference can train them by differences."""
LONG = SampleShape("image", 1, 128, 8, 1)
SUMS: dict[str, tuple[Model, SampleShape, dict[str, str]]] = {
    "cnn": (
        Model(kind="cnn", cnn=Cnn(channels=(8, 8))),
        SampleShape("image", 1, 28, 28, 1),
        {"cnn.conv1.bias": "cnn.conv1.kernel", "cnn.conv2.bias": "cnn.conv2.kernel"},
    ),
    "rnn-lstm": (Model(kind="rnn", rnn=Rnn(units=16)), LONG, {"rnn.lstm1.recurrent_kernel": "rnn.lstm1.kernel"}),
    "rnn-gru": (
        Model(kind="rnn", rnn=Rnn(cell="gru", units=16)),
        LONG,
        {"rnn.gru1.recurrent_kernel": "rnn.gru1.kernel"},
    ),
}
"""Networks whose gradients are sums of many numbers: weight -> another one of its layer."""


class BackendSuite(Diagnoses, Promises):
    """Subclass it in a test module and set `name`."""

    @group("forward")
    def test_weights_come_back_as_they_were_loaded(self, network: str) -> None:
        """Load, then read: the same bytes under the same names."""
        spec = spec_of(network)
        given = initial_weights(spec, 5)
        classifier = self.build(spec)
        classifier.load_weights(given)
        found = classifier.weights()
        assert list(found) == list(layout(spec))
        assert_same_bytes({name: given[name] for name in found}, found)

    @group("forward")
    def test_logits_and_features_are_those_of_the_reference(self, network: str) -> None:
        """Forward pass against float64."""
        spec = spec_of(network)
        classifier, weights = self.build(spec), initial_weights(spec, 0)
        x = random_batches(spec, 1, 7).x[0]
        logits, features = classifier.logits(x), classifier.features(x)
        assert (logits.dtype, features.dtype) == (np.float32, np.float32)
        wanted = {name: array.astype(np.float64) for name, array in weights.items()}
        assert_close("features", features, reference.features(x, wanted, spec), **self.tolerance(1e-4, 1e-5))
        assert_close("logits", logits, reference.logits(x, weights, spec), **self.tolerance(1e-4, 1e-5))

    @group("training")
    def test_records_are_the_loss_and_the_hits_before_the_update(self, network: str) -> None:
        """What train_steps returns for its first step."""
        spec = spec_of(network)
        batches, weights = random_batches(spec, 1), initial_weights(spec, 0)
        records = self.build(spec).train_steps(batches)
        x, y = batches.x[0], batches.y[0]
        expected = int((reference.logits(x, weights, spec).argmax(axis=1) == y).sum())
        assert records.loss.shape == records.correct.shape == (1,)
        assert_close("loss", records.loss[0], reference.loss(x, y, weights, spec), **self.tolerance(1e-5, 1e-12))
        assert records.correct.tolist() == [expected]

    @slow
    @group("gradients")
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
                assert_close(
                    f"gradient of {name}{list(index)}", gradient[index], expected, **self.tolerance(2e-3, 2e-5)
                )

    @group("gradients")
    def test_no_entry_of_a_gradient_is_wrong(self, network: str) -> None:
        """Every weight's whole gradient, along one random direction: a wrong entry is a large part of its length."""
        spec = spec_of(network)
        batches, weights, classifier = random_batches(spec, 1), initial_weights(spec, 0), self.build(spec)
        classifier.train_steps(batches)
        state, draw = classifier.training_state(), np.random.default_rng(1)
        for name, shape in layout(spec).items():
            gradient, direction = state[f"adam.m.{name}"].astype(np.float64) / 0.1, draw.standard_normal(shape)
            expected = reference.slope_along(batches.x[0], batches.y[0], weights, spec, name, direction)
            close = self.tolerance(2e-3, 2e-6)
            allowed = close["relative"] * float(np.linalg.norm(gradient)) + close["absolute"]
            assert_close(f"gradient of {name}", (gradient * direction).sum(), expected, 0.0, allowed)

    @group("gradients")
    @pytest.mark.parametrize("small", ["cnn", "fusion"])
    def test_relu_has_the_slope_0_at_0(self, small: str) -> None:
        """Black samples under biases of 0, as a training of images begins: no gradient passes the convolutions."""
        self.needs(CURVES[small].kind)
        spec = ClassifierSpec(CURVES[small], Train(), SMALL, CLASSES)
        batches, classifier = random_batches(spec, 1), self.build(spec)
        classifier.train_steps(replace(batches, x=np.zeros_like(batches.x)))
        state = classifier.training_state()
        for name in (name for name in layout(spec) if name.startswith("cnn.")):
            gradient = state[f"adam.m.{name}"]
            assert_close(f"gradient of {name}", gradient, np.zeros_like(gradient), 0.0, 0.0)

    @group("training")
    @pytest.mark.parametrize("small", CURVES)
    def test_the_losses_of_a_training_are_those_of_the_reference(self, small: str) -> None:
        """Eight steps, each on another batch, beside the same in float64 with gradients by differences."""
        self.needs(CURVES[small].kind)
        spec = ClassifierSpec(CURVES[small], Train(), SMALL, CLASSES)
        batches = random_batches(spec, 8)
        found, expected = self.build(spec).train_steps(batches).loss, reference.training(batches, spec)
        assert_close("losses", found, expected, 2e-4, 1e-5)

    @group("optimiser")
    @pytest.mark.parametrize(
        "settings", [{}, {"weight_decay": 1.0}, {"clip_norm": 0.05}], ids=["plain", "decay", "clip"]
    )
    def test_the_optimiser_is_adam_as_it_is_written(self, settings: dict[str, float]) -> None:
        """Three steps from the gradients that the moments tell, against float64 arithmetic."""
        network = self.any_network()
        spec = spec_of(network, **settings)
        classifier, plain = self.build(spec), self.build(spec_of(network))
        classifier.load_weights(random_weights(spec))
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
                close = self.tolerance(1e-5, 2e-5, but=0.02)
                assert_close(f"{name} after step {t}", found[name], expected, **close)
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

    @group("training")
    def test_steps_are_the_same_at_once_or_one_by_one(self, network: str) -> None:
        """Four steps in one call, or in four, with a smaller last batch."""
        spec = spec_of(network)
        together, apart = self.build(spec), self.build(spec)
        batches = random_batches(spec, 4)
        last = random_batches(spec, 1, 3, first_step=4)
        records = together.train_steps(batches)
        losses = []
        for s in range(4):
            losses.append(apart.train_steps(one_step(batches, s)).loss[0])
        assert together.train_steps(last).loss == apart.train_steps(last).loss
        assert records.loss.tolist() == losses
        assert_same_bytes(snapshot(together), snapshot(apart))

    @group("resume")
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

    @group("resume")
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

    @group("training")
    def test_one_batch_can_be_learnt_by_heart(self, network: str) -> None:
        """Sixty steps on the same few samples bring the loss far down."""
        spec = spec_of(network)
        batches = random_batches(spec, 1)
        x, y, rates = (np.repeat(a, 60, axis=0) for a in (batches.x, batches.y, batches.learning_rates))
        again = Batches(x, y, rates, 0)
        loss = self.build(spec).train_steps(again).loss
        assert loss[-1] < 0.5 * loss[0]

    @group("training")
    @pytest.mark.parametrize("network", ["cnn-image", "rnn-lstm-image", "fusion-lstm-image", "fusion-gru-clip"])
    def test_bf16_is_near_fp32_and_keeps_float32_weights(self, network: str) -> None:
        """The loss of the first step to two digits; weights stay float32."""
        self.needs("bf16")
        self.needs(NETWORKS[network][0].kind)
        spec = spec_of(network, precision="bf16")
        classifier, batches = self.build(spec), random_batches(spec, 2)
        loss = classifier.train_steps(batches).loss
        assert_close("losses", loss, self.build(spec_of(network)).train_steps(batches).loss, 0.05, 0.0)
        assert {array.dtype for array in classifier.weights().values()} == {np.dtype(np.float32)}
        assert classifier.logits(batches.x[0]).dtype == np.float32

    @group("gradients")
    @pytest.mark.parametrize("network", SUMS)
    def test_in_bf16_gradients_are_added_up_in_float32(self, network: str) -> None:
        """Beside fp32, the gradient of a convolution's bias, a sum over all positions, or of a recurrent kernel, a sum
        over all steps, is off by no more than twice what the layer's kernel is: 0.2 to 1.2 times. Added up in bfloat16
        they are off by 3 to 7 times as much.
        """
        self.needs("bf16")
        model, sample, pairs = SUMS[network]
        self.needs(model.kind)
        fp32, bf16 = (
            self._long_gradients(ClassifierSpec(model, Train.model_validate({"precision": each}), sample, CLASSES))
            for each in ("fp32", "bf16")
        )
        off = {n: float(np.linalg.norm(bf16[n] - array) / np.linalg.norm(array)) for n, array in fp32.items()}
        for name, other in pairs.items():
            assert_close(f"bf16 gradient of {name}, off", off[name], 0.0, 0.0, 2 * off[other])

    def _long_gradients(self, spec: ClassifierSpec) -> dict[str, np.ndarray]:
        """Of the first step on a batch of 32; a recurrent network remembers, so that all steps count."""
        weights, classifier = initial_weights(spec, 0), self.build(spec)
        for name, array in weights.items():
            if name.startswith("rnn.") and name.endswith("kernel"):
                array *= 0.3 if name.endswith(".kernel") else 0.1
            elif name.startswith("rnn.") and name.endswith(".bias"):
                array[16:32] += 4  # of LSTM the forget gate, of GRU the update gate
        return self._gradients(classifier, weights, random_batches(spec, 1, 32))
