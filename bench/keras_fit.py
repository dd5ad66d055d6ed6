"""Keras: a functional model and `fit` on arrays. KERAS_BACKEND says on which framework."""

from __future__ import annotations

from typing import Any

import keras
from bench.scenario import BATCH, CLASSES, LEARNING_RATE, Scenario
from bench.turns import Turns
from keras import layers


def convolutions() -> list[keras.Layer]:
    """Frames [H, W, C] -> [64 * H/4 * W/4]."""
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
    ]


def model(scenario: Scenario) -> keras.Model:
    """The scenario's network."""
    sample = scenario.sample
    if sample.kind == "clip":
        inputs = keras.Input(sample.array)
        own = layers.Reshape((sample.frames, -1))(inputs)
        frame = keras.Sequential([keras.Input(sample.array[1:]), *convolutions()])
        seen = layers.TimeDistributed(frame)(inputs)
    else:
        inputs = keras.Input(sample.array[1:])
        own = layers.Reshape((sample.height, -1))(inputs)
        seen = inputs
        for layer in convolutions():
            seen = layer(seen)
    if scenario.network == "cnn":
        features = seen
    elif scenario.network == "rnn":
        features = layers.LSTM(128)(own)
    else:
        if sample.kind == "image":
            seen = layers.RepeatVector(sample.height)(seen)
        features = layers.LSTM(128)(layers.Concatenate()([seen, own]))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(features))


class TakesTurns(keras.callbacks.Callback):
    """An epoch is a turn."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.turns = turns

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.turns.begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.turns.end((logs or {})["loss"])


def run(scenario: Scenario, turns: Turns) -> None:
    """One `fit` over all turns, so that what it does only once is on nobody's clock."""
    recogniser = model(scenario)
    recogniser.compile(keras.optimizers.Adam(LEARNING_RATE), "sparse_categorical_crossentropy")
    recogniser.fit(
        scenario.network_input(),
        scenario.labels,
        batch_size=BATCH,
        epochs=turns.epochs,
        verbose=0,
        callbacks=[TakesTurns(turns)],
    )
