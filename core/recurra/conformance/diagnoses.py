"""Checks that look for one mistake each, in a network where no other could be seen; their names say what is wrong.

The comparisons with the reference find that something is wrong; these find what. Each says in its message which other
convention would explain what the backend did, where there is one.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np

from recurra.conformance import reference
from recurra.conformance.checks import group
from recurra.conformance.deviation import assert_close, record_deviation
from recurra.conformance.networks import Networks, one_step, random_batches, random_weights, snapshot, spec_of
from recurra.contract import ClassifierSpec, SampleShape, Weights
from recurra.experiment import Cnn, Model, Rnn, Train
from recurra.optimiser import EPSILON
from recurra.recurrent import GATES
from recurra.weights import initial_weights, is_kernel, layout

ROWS = SampleShape("image", 1, 4, 3, 1)
MAPS = SampleShape("image", 1, 5, 6, 2)


def _spec(model: Model, sample: SampleShape, classes: int = 3) -> ClassifierSpec:
    return ClassifierSpec(model, Train(), sample, classes)


def _zeros(spec: ClassifierSpec) -> Weights:
    return {name: np.zeros(shape, np.float32) for name, shape in layout(spec).items()}


def _kernel_of_one(spec: ClassifierSpec, place: tuple[int, int, int]) -> Weights:
    weights = _zeros(spec)
    weights["cnn.conv1.kernel"][place] = 1
    return weights


def _near(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.shape == expected.shape and bool(np.allclose(found, expected, rtol=1e-3, atol=1e-4))


class Diagnoses(Networks):
    """Part of `BackendSuite`."""

    @group("forward")
    def test_a_convolutions_kernel_is_height_width_input_output_neither_transposed_nor_flipped(self) -> None:
        """A kernel of a single 1 shows the part of the image that lies under it."""
        self.needs("cnn")
        spec = _spec(Model(kind="cnn", cnn=Cnn(channels=(1,), kernel=3, pool=1, padding="valid")), MAPS)
        x = np.random.default_rng(3).uniform(1, 2, (2, *MAPS.array)).astype(np.float32)
        # What is seen, in whatever order it was flattened.
        seen = {
            place: np.sort(x[:, 0, place[0] : place[0] + 3, place[1] : place[1] + 4, place[2]].reshape(2, -1))
            for place in product(range(3), range(3), range(2))
        }
        for place in ((0, 2, 0), (2, 1, 1), (0, 1, 1)):
            classifier = self.build(spec)
            classifier.load_weights(_kernel_of_one(spec, place))
            found = np.sort(classifier.features(x))
            other = next((str(list(each)) for each, part in seen.items() if _near(found, part)), "none of its places")
            assert other == str(list(place)), f"kernel{[*place, 0]} acts as if it stood at {other}"
            assert_close("pixels under the kernel", found, seen[place], **self.tolerance(1e-5, 1e-6))

    @group("forward")
    def test_maps_are_flattened_in_the_order_height_width_channel(self) -> None:
        """Two maps that are once and twice the image."""
        self.needs("cnn")
        spec = _spec(Model(kind="cnn", cnn=Cnn(channels=(2,), kernel=1, pool=1)), ROWS)
        weights, twice = _zeros(spec), np.array([1, 2], np.float32)
        weights["cnn.conv1.kernel"][...] = twice
        x = np.random.default_rng(4).uniform(1, 2, (2, *ROWS.array)).astype(np.float32)
        classifier = self.build(spec)
        classifier.load_weights(weights)
        found, maps = classifier.features(x), x[:, 0] * twice
        names = dict(zip((1, 2, 3), ("height", "width", "channel"), strict=True))
        for axes in permutations((1, 2, 3)):
            if axes != (1, 2, 3) and _near(found, maps.transpose(0, *axes).reshape(2, -1)):
                raise AssertionError(f"maps are flattened in the order {', '.join(names[axis] for axis in axes)}")
        assert_close("flattened maps", found, maps.reshape(2, -1), **self.tolerance(1e-5, 1e-6))

    @group("forward")
    def test_an_lstms_gates_are_in_the_order_input_forget_candidate_output(self) -> None:
        """Biases alone, another one for each gate."""
        self._assert_gates("lstm")

    @group("forward")
    def test_a_grus_gates_are_in_the_order_reset_update_candidate(self) -> None:
        """Biases alone, another one for each gate, and the candidate's second one."""
        self._assert_gates("gru")

    def _assert_gates(self, cell: str) -> None:
        self.needs("rnn")
        spec = _spec(Model(kind="rnn", rnn=Rnn.model_validate({"cell": cell, "units": 2})), ROWS)
        weights, gates = _zeros(spec), "ifgo" if cell == "lstm" else "rzn"
        draw = np.random.default_rng(5)
        values = draw.uniform(-2, 2, (GATES[cell], 2)).astype(np.float32)
        if cell == "gru":
            weights["rnn.gru1.recurrent_bias"][...] = np.array([1.5, -1.0], np.float32)
        x = draw.standard_normal((2, *ROWS.array)).astype(np.float32)

        def expected(order: tuple[int, ...]) -> np.ndarray:
            """Of a backend that takes the gates to be in another order."""
            weights[f"rnn.{cell}1.bias"][...] = values[list(order)].reshape(-1)
            return reference.features(x, weights, spec)

        orders = {order: expected(order) for order in permutations(range(len(gates)))}
        right = tuple(range(len(gates)))
        classifier, wanted = self.build(spec), orders.pop(right)
        expected(right)
        classifier.load_weights(weights)
        found = classifier.features(x)
        for order, states in orders.items():
            if _near(found, states) and not _near(found, wanted):
                taken = ", ".join(gates[order.index(place)] for place in range(len(gates)))
                raise AssertionError(f"the gates are taken to be in the order {taken}, not {', '.join(gates)}")
        assert_close("hidden states", found, wanted, **self.tolerance(1e-5, 1e-6))

    @group("forward")
    def test_both_directions_are_joined_forward_first_and_the_reverse_one_ends_at_the_first_step(self) -> None:
        """All gates of a direction are alike, so that their order does not matter here."""
        self.needs("rnn")
        spec = _spec(Model(kind="rnn", rnn=Rnn(units=2, bidirectional=True)), ROWS)
        draw, weights = np.random.default_rng(6), _zeros(spec)
        for name in ("rnn.lstm1", "rnn.lstm1_reverse"):
            for part in ("kernel", "bias"):
                shape = (*weights[f"{name}.{part}"].shape[:-1], 2)
                weights[f"{name}.{part}"] = np.tile(draw.uniform(-1, 1, shape), 4).astype(np.float32)
        x = draw.standard_normal((3, *ROWS.array)).astype(np.float32)
        classifier = self.build(spec)
        classifier.load_weights(weights)
        found, states = classifier.features(x), reference.recurrent(x[:, 0, :, :, 0], weights, spec.model.rnn)
        forward, reverse = states[:, -1, :2], states[:, 0, 2:]
        assert not _near(found, np.hstack([reverse, forward])), "the reverse direction stands first"
        assert not _near(found, states[:, -1]), "the reverse direction is read at the last step, where it begins"
        assert_close("hidden states", found, np.hstack([forward, reverse]), **self.tolerance(1e-5, 1e-6))

    @group("gradients")
    def test_labels_count_from_zero(self) -> None:
        """An output layer of biases alone: the loss and its gradient tell which label was meant."""
        spec = spec_of(self.any_network())
        weights = initial_weights(spec, 0)
        weights["output.kernel"][...] = 0
        weights["output.bias"][...] = bias = np.linspace(-1, 1, spec.classes, dtype=np.float32) ** 2 * [1, 2, 3, 4]
        odds = np.exp(bias) / np.exp(bias).sum()
        for label in range(spec.classes):
            classifier, batches = self.build(spec), random_batches(spec, 1)
            classifier.load_weights(weights)
            batches.y[...] = label
            loss = classifier.train_steps(batches).loss[0]
            gradient = classifier.training_state()["adam.m.output.bias"] / 0.1
            taken = [k for k in range(spec.classes) if gradient[k] < 0]
            assert taken == [label], f"label {label} is learnt as {taken}"
            assert_close("loss", loss, -np.log(odds[label]), **self.tolerance(1e-5, 1e-6))

    @group("optimiser")
    def test_adams_epsilon_is_1e_8_outside_the_bias_corrected_root(self) -> None:
        """Gradients as small as it: the first step of each weight is rate * g / (|g| + epsilon)."""
        spec = spec_of(self.any_network())
        weights = initial_weights(spec, 0)
        for name, array in weights.items():
            # No bias, and nothing behind the features, whose size is then the pixels'.
            weights[name] = np.zeros_like(array) if name.endswith("bias") or name == "output.kernel" else array
        classifier, batches = self.build(spec), random_batches(spec, 1)
        classifier.load_weights(weights)
        batches.x[...] *= 2e-8
        classifier.train_steps(batches)
        gradient = classifier.training_state()["adam.m.output.kernel"].astype(np.float64) / 0.1
        moved = np.abs(classifier.weights()["output.kernel"].astype(np.float64))
        rate, size = float(batches.learning_rates[0]), np.abs(gradient)
        told = (size > 1e-10) & (moved > 0)
        assert told.any(), "no weight moved by a gradient as small as epsilon"
        epsilon = np.median(rate * size[told] / moved[told] - size[told])
        record_deviation("epsilon", epsilon, EPSILON, 0.01, 0)
        assert abs(epsilon - EPSILON) <= 0.01 * EPSILON, (
            f"the step is that of an epsilon of {epsilon:.3g}, expected {EPSILON:g} added to the bias-corrected root"
            f" (inside the root's correction 1e-8 would act as {EPSILON / np.sqrt(1 - 0.999):.3g})"
        )

    @group("optimiser")
    def test_weight_decay_is_of_kernels_alone_and_apart_from_the_gradient(self) -> None:
        """Beside the same step without it, whose gradient is the same: kernels differ by rate * decay * w."""
        network, ends = self.any_network(), []
        for decay in (1.0, 0.0):
            spec = spec_of(network, weight_decay=decay)
            classifier, batches = self.build(spec), random_batches(spec, 1)
            classifier.load_weights(random_weights(spec))
            batches.learning_rates[...] = 0.5
            classifier.train_steps(batches)
            ends.append(classifier.weights())
        weights = random_weights(spec_of(network))
        shrunk = {name: ends[1][name] - ends[0][name] for name in weights}
        moved = sorted(name for name in weights if not is_kernel(name) and np.abs(shrunk[name]).max() > 1e-3)
        assert not moved, f"weight decay moves {', '.join(moved[:3])}, and is of kernels alone"
        assert any(array.any() for array in shrunk.values()), "there is no weight decay"
        for name, array in weights.items():
            expected = 0.5 * array if is_kernel(name) else np.zeros_like(array)
            assert_close(f"decay of {name}", shrunk[name], expected, **self.tolerance(1e-4, 1e-5))

    @group("dropout")
    def test_dropout_is_off_when_a_network_answers(self) -> None:
        """Logits and features are those of the same network without dropout, also after it was trained on."""
        network = self.any_network("cnn-image")
        spec, x = spec_of(network, dropout=0.5), random_batches(spec_of(network), 1).x[0]
        dropping, plain = self.build(spec), self.build(spec_of(network))
        for _ in range(2):
            plain.load_weights(dropping.weights())
            for each in ("logits", "features"):
                found, expected = getattr(dropping, each)(x), getattr(plain, each)(x)
                assert np.array_equal(found, expected), f"{each} differ from those of a network without dropout"
            dropping.train_steps(random_batches(spec, 2))

    @group("dropout")
    def test_the_seed_says_what_is_dropped(self) -> None:
        """The same seed drops the same, another one others; and so does the next step."""
        spec = spec_of(self.any_network("cnn-image"), dropout=0.5)
        batches, weights = random_batches(spec, 1), initial_weights(spec, 0)
        batches = batches.__class__(np.repeat(batches.x, 3, 0), np.repeat(batches.y, 3, 0), np.zeros(3, np.float32), 0)

        def losses(seed: int) -> tuple[float, ...]:
            classifier = self.build(spec, seed)
            classifier.load_weights(weights)
            return tuple(classifier.train_steps(batches).loss.tolist())

        assert losses(1) == losses(1), "the same seed drops something else"
        assert losses(1) != losses(2), "another seed drops the same: it is ignored"
        assert len(set(losses(1))) > 1, "every step drops the same"

    @group("dropout")
    def test_what_dropout_keeps_is_divided_by_the_part_that_is_kept(self) -> None:
        """In each of twenty steps at a rate of 0, the output layer's gradient is that without dropout, times 0 or
        1 / (1 - 0.75): the difference of two moments m = 0.9 m + 0.1 g tells it.
        """
        network, gradients = self.any_network("cnn-image"), []
        for dropout in (0.0, 0.75):
            spec = spec_of(network, dropout=dropout)
            classifier, weights = self.build(spec), initial_weights(spec, 0)
            weights["output.kernel"][...] = 0
            classifier.load_weights(weights)
            batches = random_batches(spec, 1, batch=1)
            batches.learning_rates[...] = 0
            moments = [np.zeros_like(weights["output.kernel"], np.float64)]
            for step in range(20):
                classifier.train_steps(replace(batches, first_step=step))
                moments.append(classifier.training_state()["adam.m.output.kernel"].astype(np.float64))
            gradients.append(np.diff(moments, axis=0) / 0.1 + moments[:-1])
        told = np.abs(gradients[0]) > 1e-4 * np.abs(gradients[0]).max()
        factors = gradients[1][told] / gradients[0][told]
        kept = factors > 2
        assert kept.any(), f"the gradient of what is kept is multiplied by {factors.max():.3g}, expected 4"
        assert 0.05 < kept.mean() < 0.45, f"at a rate of 0.75, {kept.mean():.0%} of the features are kept"
        assert_close("factors of what is kept and of what is dropped", factors, np.where(kept, 4.0, 0.0), 1e-3, 1e-3)

    @group("training")
    def test_steps_are_taken_in_the_order_of_the_batches(self) -> None:
        """At a learning rate of 0, the records of five different batches, at once and one by one."""
        spec = spec_of(self.any_network())
        batches = random_batches(spec, 5)
        batches.learning_rates[...] = 0
        together = self.build(spec).train_steps(batches).loss
        apart = np.concatenate([self.build(spec).train_steps(one_step(batches, s)).loss for s in range(5)])
        order = [int(np.abs(apart - loss).argmin()) for loss in together]
        assert order == [0, 1, 2, 3, 4], f"the batches were taken in the order {order}"
        assert_close("losses", together, apart, **self.tolerance(1e-5, 1e-6))

    @group("optimiser")
    def test_each_step_has_its_own_learning_rate(self) -> None:
        """A step at a rate of 0 leaves the weights as they are; the one before it does not."""
        spec = spec_of(self.any_network())
        first, batches = self.build(spec), random_batches(spec, 2)
        batches.learning_rates[...] = [0.01, 0]
        first.train_steps(one_step(batches, 0))
        both = self.build(spec)
        both.train_steps(batches)
        for name, array in first.weights().items():
            assert_close(name, both.weights()[name], array, **self.tolerance(1e-5, 1e-6))

    @group("resume")
    def test_a_loaded_training_state_is_what_the_next_step_starts_from(self) -> None:
        """Moments and the number of steps are read back, and a step from them is that of the network they are from."""
        spec = spec_of(self.any_network())
        first, resumed = self.build(spec), self.build(spec)
        first.train_steps(random_batches(spec, 3))
        state = first.training_state()
        resumed.load_weights(first.weights())
        resumed.load_training_state(state)
        found = resumed.training_state()
        lost = [name for name in state if name.startswith("adam.") and not np.array_equal(found[name], state[name])]
        assert lost == [], f"not restored: {', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}"
        for classifier in (first, resumed):
            classifier.train_steps(random_batches(spec, 1, first_step=3))
        ended = snapshot(first)
        for name, array in snapshot(resumed).items():
            if not name.startswith("state.backend."):
                assert_close(name, array, ended[name], 1e-5, 1e-7)
