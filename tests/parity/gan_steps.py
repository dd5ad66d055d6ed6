"""Trains a GAN and generates on one backend, in a process of its own: python gan_steps.py BACKEND REQUEST ANSWER."""

from __future__ import annotations

import json
import sys

import numpy as np

from recurra.contract import Batches, GanBackend, GanSpec, SampleShape
from recurra.experiment import Model, Train
from recurra.gan_batches import gan_batches
from recurra.latents import latents
from recurra.registry import load_backend
from recurra.weights import initial_weights

SAMPLES = 40


def main(backend: str, request: str, answer: str) -> None:
    with np.load(request) as file:
        given = dict(file)
    asked = json.loads(str(given.pop("asked")))
    model, train = Model.model_validate(asked["model"]), Train.model_validate(asked["train"])
    bounds = asked["bounds"] and tuple(map(tuple, asked["bounds"]))
    spec = GanSpec(model, train, SampleShape(**asked["sample"]), asked["classes"], bounds)
    found = load_backend(backend)
    assert isinstance(found, GanBackend)
    gan, results = found.build_gan(spec, "cpu"), {}
    if "x" in given:
        gan.load_weights(initial_weights(spec, asked["seed"]))
        rates = np.full(len(given["x"]), train.learning_rate, np.float32)
        results = vars(gan.train_steps(gan_batches(Batches(given["x"], given["y"], rates, 0), spec, asked["seed"])))
        results = results | {f"weights/{name}": array for name, array in gan.weights().items()}
    else:
        gan.load_weights({n.removeprefix("weights/"): a for n, a in given.items() if n.startswith("weights/")})
    labels = np.arange(SAMPLES) % spec.classes
    results["samples"] = gan.generate(latents(spec, asked["seed"], np.arange(SAMPLES)), labels)
    np.savez(answer, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
