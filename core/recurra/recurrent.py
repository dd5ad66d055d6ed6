"""The canonical weights of a recurrent network, wherever it stands: names and shapes."""

from __future__ import annotations

from recurra.experiment import Rnn

GATES = {"lstm": 4, "gru": 3}


def directions(rnn: Rnn) -> tuple[str, ...]:
    """The endings of a layer's names: one direction or two."""
    return ("", "_reverse") if rnn.bidirectional else ("",)


def recurrent_layout(rnn: Rnn, inputs: int, prefix: str = "rnn") -> dict[str, tuple[int, ...]]:
    """Canonical name -> shape of a recurrent network over steps of width `inputs`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(1, rnn.layers + 1):
        for direction in directions(rnn):
            name, gates = f"{prefix}.{rnn.cell}{number}{direction}", GATES[rnn.cell]
            shapes[f"{name}.kernel"] = (inputs, gates * rnn.units)
            shapes[f"{name}.recurrent_kernel"] = (rnn.units, gates * rnn.units)
            shapes[f"{name}.bias"] = (gates * rnn.units,)
            if rnn.cell == "gru":
                shapes[f"{name}.recurrent_bias"] = (rnn.units,)
        inputs = recurrent_width(rnn)
    return shapes


def recurrent_width(rnn: Rnn) -> int:
    """Width of the hidden state of the last layer, of both directions where there are two."""
    return rnn.units * len(directions(rnn))
