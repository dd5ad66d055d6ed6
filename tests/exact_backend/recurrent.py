"""Recurrent layers with their gradients, in float64; the equations are those of `recurra.weights`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recurra.experiment import Rnn

Array = np.ndarray
Gradients = dict[str, Array]
Back = Callable[[Array], tuple[Array, Gradients]]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm(x: Array, weights: Mapping[str, Array], name: str) -> tuple[Array, Back]:
    """x [N, T, in] -> hidden states [N, T, u]; back: their gradient -> that of x, and of the weights."""
    kernel, recurrent, bias = (weights[f"{name}.{part}"] for part in ("kernel", "recurrent_kernel", "bias"))
    h = c = np.zeros((len(x), len(recurrent)))
    tape, states = [], []
    for t in range(x.shape[1]):
        gates = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, g, o = sigmoid(gates[0]), sigmoid(gates[1]), np.tanh(gates[2]), sigmoid(gates[3])
        before, kept, c = h, c, f * c + i * g
        h = o * np.tanh(c)
        tape.append((before, kept, i, f, g, o, c))
        states.append(h)

    def back(dstates: Array) -> tuple[Array, Gradients]:
        dx, dh, dc = np.zeros_like(x), np.zeros_like(h), np.zeros_like(h)
        own = {part: np.zeros_like(weights[f"{name}.{part}"]) for part in ("kernel", "recurrent_kernel", "bias")}
        for t in reversed(range(x.shape[1])):
            before, kept, i, f, g, o, now = tape[t]
            dh = dh + dstates[:, t]
            dc = dc + dh * o * (1 - np.tanh(now) ** 2)
            ends = (dc * g * i * (1 - i), dc * kept * f * (1 - f), dc * i * (1 - g**2))
            z = np.concatenate([*ends, dh * np.tanh(now) * o * (1 - o)], axis=1)
            own["kernel"] += x[:, t].T @ z
            own["recurrent_kernel"] += before.T @ z
            own["bias"] += z.sum(axis=0)
            dx[:, t], dh, dc = z @ kernel.T, z @ recurrent.T, dc * f
        return dx, {f"{name}.{part}": array for part, array in own.items()}

    return np.stack(states, axis=1), back


def gru(x: Array, weights: Mapping[str, Array], name: str) -> tuple[Array, Back]:
    """As `lstm`."""
    parts = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    kernel, recurrent, bias, second = (weights[f"{name}.{part}"] for part in parts)
    h = np.zeros((len(x), len(recurrent)))
    tape, states = [], []
    for t in range(x.shape[1]):
        xr, xz, xn = np.split(x[:, t] @ kernel + bias, 3, axis=1)
        hr, hz, hn = np.split(h @ recurrent, 3, axis=1)
        r, z, hn = sigmoid(xr + hr), sigmoid(xz + hz), hn + second
        n = np.tanh(xn + r * hn)
        tape.append((h, r, z, n, hn))
        h = (1 - z) * n + z * h
        states.append(h)

    def back(dstates: Array) -> tuple[Array, Gradients]:
        dx, dh = np.zeros_like(x), np.zeros_like(h)
        own = {part: np.zeros_like(weights[f"{name}.{part}"]) for part in parts}
        for t in reversed(range(x.shape[1])):
            before, r, z, n, hn = tape[t]
            dh = dh + dstates[:, t]
            dn = dh * (1 - z) * (1 - n**2)
            dr, dz = dn * hn * r * (1 - r), dh * (before - n) * z * (1 - z)
            of_x, of_h = np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dn * r], axis=1)
            own["kernel"] += x[:, t].T @ of_x
            own["bias"] += of_x.sum(axis=0)
            own["recurrent_kernel"] += before.T @ of_h
            own["recurrent_bias"] += (dn * r).sum(axis=0)
            dx[:, t], dh = of_x @ kernel.T, dh * z + of_h @ recurrent.T
        return dx, {f"{name}.{part}": array for part, array in own.items()}

    return np.stack(states, axis=1), back


def ends(states: Array, units: int) -> Array:
    """The last hidden state of each direction: [forward ; reverse], the reverse one at the first step."""
    return np.concatenate([states[:, -1, :units], states[:, 0, units:]], axis=1)


def layer(x: Array, weights: Mapping[str, Array], name: str, settings: Rnn) -> tuple[Array, Back]:
    """One layer, of one direction or of both."""
    cell = {"lstm": lstm, "gru": gru}[settings.cell]
    forward, back_forward = cell(x, weights, name)
    if not settings.bidirectional:
        return forward, back_forward
    reverse, back_reverse = cell(x[:, ::-1], weights, f"{name}_reverse")

    def back(dy: Array) -> tuple[Array, Gradients]:
        units = settings.units
        one, of_one = back_forward(dy[..., :units])
        other, of_other = back_reverse(dy[:, ::-1, units:])
        return one + other[:, ::-1], of_one | of_other

    return np.concatenate([forward, reverse[:, ::-1]], axis=2), back


def recurrent(x: Array, weights: Mapping[str, Array], settings: Rnn) -> tuple[Array, Back]:
    """x [N, T, in] -> the last hidden state, [N, u] or of both directions [N, 2u]."""
    backs = []
    for number in range(1, settings.layers + 1):
        x, back_of_layer = layer(x, weights, f"rnn.{settings.cell}{number}", settings)
        backs.append(back_of_layer)
    shape, units = x.shape, settings.units

    def back(dy: Array) -> tuple[Array, Gradients]:
        dx, gradients = np.zeros(shape), {}
        dx[:, -1, :units], dx[:, 0, units:] = dy[:, :units], dy[:, units:]
        for back_of_layer in reversed(backs):
            dx, own = back_of_layer(dx)
            gradients |= own
        return dx, gradients

    return ends(x, units), back
