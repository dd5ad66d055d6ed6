"""Trains and predicts on one backend, in a process of its own: python steps.py BACKEND REQUEST.npz ANSWER.npz."""

from __future__ import annotations

import json
import sys

import numpy as np

from recurra.contract import Batches, ClassifierSpec, SampleShape
from recurra.experiment import Model, Train
from recurra.registry import load_backend
from recurra.weights import initial_weights


def main(backend: str, request: str, answer: str) -> None:
    with np.load(request) as file:
        given = dict(file)
    asked = json.loads(str(given.pop("asked")))
    spec = ClassifierSpec(
        Model.model_validate(asked["model"]), Train(), SampleShape(**asked["sample"]), asked["classes"]
    )
    classifier = load_backend(backend).build(spec, "cpu", 0)
    classifier.load_weights(initial_weights(spec, asked["seed"]))
    results = {}
    if "x" in given:
        rates = np.full(len(given["x"]), 1e-3, np.float32)
        results["loss"] = classifier.train_steps(Batches(given["x"], given["y"], rates, 0)).loss
        results |= {f"weights/{name}": array for name, array in classifier.weights().items()}
    else:
        classifier.load_weights({n.removeprefix("weights/"): a for n, a in given.items() if n.startswith("weights/")})
    results["logits"] = classifier.logits(given["test"])
    np.savez(answer, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
