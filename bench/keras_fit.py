"""Keras: a functional model and `fit` on arrays. KERAS_BACKEND says on which framework."""

# ruff: noqa: ARG002 - the signatures are Keras's
from __future__ import annotations

from typing import Any

import keras
from keras import layers

from bench.scenario import BATCH, CLASSES, LEARNING_RATE, Scenario
from bench.turns import Turns


def convolutions() -> list[keras.Layer]:
    """Frames [H, W, C] -> features [64 * (H // 4) * (W // 4)]."""
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
    ]


def cnn(image: keras.KerasTensor) -> keras.KerasTensor:
    """Convolutions over an image [H, W, C]."""
    features = image
    for layer in convolutions():
        features = layer(features)
    return features


def rnn(image: keras.KerasTensor) -> keras.KerasTensor:
    """An LSTM over the rows of an image."""
    rows = layers.Reshape((image.shape[1], -1))(image)
    return layers.LSTM(128)(rows)


def image_fusion(image: keras.KerasTensor) -> keras.KerasTensor:
    """An LSTM over the rows of an image, each joined with the features of the whole image."""
    rows = layers.Reshape((image.shape[1], -1))(image)
    seen = layers.RepeatVector(image.shape[1])(cnn(image))
    return layers.LSTM(128)(layers.Concatenate()([seen, rows]))


def clip_fusion(clip: keras.KerasTensor) -> keras.KerasTensor:
    """An LSTM over the frames of a clip [T, H, W, C], each joined with its own features."""
    frames = layers.Reshape((clip.shape[1], -1))(clip)
    seen = layers.TimeDistributed(keras.Sequential(convolutions()))(clip)
    return layers.LSTM(128)(layers.Concatenate()([seen, frames]))


NETWORKS = {
    ("cnn", "image"): cnn,
    ("rnn", "image"): rnn,
    ("fusion", "image"): image_fusion,
    ("fusion", "clip"): clip_fusion,
}


def model(scenario: Scenario) -> keras.Model:
    """The scenario's network and its output layer."""
    sample = scenario.sample
    inputs = keras.Input(sample.array if sample.kind == "clip" else sample.array[1:])
    features = NETWORKS[scenario.network, sample.kind](inputs)
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
        verbose=0,  # type: ignore[arg-type] - annotated from its default, "auto"
        callbacks=[TakesTurns(turns)],
    )
