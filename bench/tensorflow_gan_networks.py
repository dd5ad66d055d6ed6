"""The recurrent GAN as a user of Keras would write it. Clips are [B, T, H, W, C]; an image is a clip of one frame."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from bench.scenario import ADVERSARIAL, CLASSES, GAN, RNN
from recurra.contract import SampleShape


def first_weights() -> Any:  # keras annotates what takes it from a default, a name
    """Those of DCGAN (Radford et al., 2016)."""
    return keras.initializers.RandomNormal(stddev=0.02)


def dense(units: int) -> layers.Dense:
    """A dense layer with these."""
    return layers.Dense(units, kernel_initializer=first_weights())


def embedding(width: int) -> layers.Embedding:
    """A vector for each class."""
    return layers.Embedding(CLASSES, width, embeddings_initializer=first_weights())


class Doubling(layers.Layer):
    """Layer norm whose scale and shift come from the latent, ReLU, and twice the height and width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = layers.GroupNormalization(1, epsilon=1e-5, center=False, scale=False)
        self.modulation = dense(2 * inputs)
        self.convolution = layers.Conv2DTranspose(
            outputs, 4, strides=2, padding="same", kernel_initializer=first_weights()
        )

    def call(self, maps: Any, latent: Any) -> Any:
        scale, shift = tf.split(self.modulation(latent)[:, None, None, :], 2, axis=-1)
        return self.convolution(tf.nn.relu((1 + scale) * self.norm(maps) + shift))


class Generator(keras.Model):
    """An LSTM over the noise, and a frame from each of its hidden states."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.frames, self.bounded = sample.frames, sample.kind == "image"
        self.first = (sample.height // 4, sample.width // 4, GAN.channels[0])
        self.embedding = embedding(GAN.embedding)
        self.lstm = layers.LSTM(RNN.units, return_sequences=True)
        self.start = dense(self.first[0] * self.first[1] * self.first[2])
        outputs = (*GAN.channels[1:], sample.channels)
        self.blocks = [Doubling(*widths) for widths in zip(GAN.channels, outputs, strict=True)]

    def call(self, content: Any, noise: Any, labels: Any) -> Any:
        fixed = tf.concat([content, self.embedding(labels)], axis=1)
        fixed = tf.repeat(fixed[:, None], self.frames, axis=1)
        latent = tf.concat([self.lstm(tf.concat([noise, fixed], axis=2)), fixed], axis=2)
        latent = tf.reshape(latent, (-1, latent.shape[-1]))
        maps = tf.reshape(self.start(latent), (-1, *self.first))
        for block in self.blocks:
            maps = block(maps, latent)
        frames = tf.tanh(maps) if self.bounded else maps
        return tf.reshape(frames, (-1, self.frames, *frames.shape[1:]))


def halvings(widths: tuple[int, ...]) -> keras.Sequential:
    """Frames -> features."""
    stack: list[layers.Layer] = []
    for width in widths:
        stack.append(layers.Conv2D(width, 4, strides=2, padding="same", kernel_initializer=first_weights()))
        stack.append(layers.LeakyReLU(0.2))
    return keras.Sequential([*stack, layers.Flatten()])


class Head(layers.Layer):
    """A logit from features, with the projection of the label."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.output_layer, self.projection = dense(1), embedding(features)

    def call(self, features: Any, labels: Any) -> Any:
        return self.output_layer(features)[:, 0] + tf.reduce_sum(self.projection(labels) * features, axis=1)


class FrameDiscriminator(keras.Model):
    """Judges single frames [B, H, W, C]."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.convolutions = halvings(GAN.frame_channels)
        self.head = Head(GAN.frame_channels[-1] * (sample.height // 4) * (sample.width // 4))

    @staticmethod
    def view(clips: Any, labels: Any) -> tuple[Any, Any]:
        """Some frames of each clip, drawn anew every time, with their labels."""
        count = min(ADVERSARIAL.frames, clips.shape[1])
        drawn = tf.argsort(tf.random.uniform(tf.shape(clips)[:2]), axis=1)[:, :count]
        frames = tf.gather(clips, drawn, batch_dims=1)
        return tf.reshape(frames, (-1, *clips.shape[2:])), tf.repeat(labels, count)

    def call(self, frames: Any, labels: Any) -> Any:
        return self.head(self.convolutions(frames), labels)


class ClipDiscriminator(keras.Model):
    """Judges whole clips [B, T, H, W, C]."""

    def __init__(self, sample: SampleShape) -> None:
        super().__init__()
        self.frames = sample.frames
        self.convolutions = halvings(GAN.clip_channels)
        self.dense = dense(GAN.clip_width)
        stack: list[layers.Layer] = []
        steps = sample.frames
        for width in GAN.clip_steps:
            stack.append(layers.Conv1D(width, 4, strides=2, padding="same", kernel_initializer=first_weights()))
            stack.append(layers.LeakyReLU(0.2))
            steps //= 2
        self.time = keras.Sequential([*stack, layers.Flatten()])
        self.head = Head(GAN.clip_steps[-1] * steps)

    @staticmethod
    def view(clips: Any, labels: Any) -> tuple[Any, Any]:
        """All of them."""
        return clips, labels

    def call(self, clips: Any, labels: Any) -> Any:
        frames = tf.reshape(clips, (-1, *clips.shape[2:]))
        vectors = tf.nn.leaky_relu(self.dense(self.convolutions(frames)), 0.2)
        return self.head(self.time(tf.reshape(vectors, (-1, self.frames, GAN.clip_width))), labels)
