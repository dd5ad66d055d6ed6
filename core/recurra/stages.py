"""The stages as plain functions: what each one's artifact is made from, and how it is found or made.

Each returns an `Outcome`; the flow is a thin layer over them, and so is a notebook:

    home, experiment = Home.default(), load_experiment("my.yaml")
    dataset = stages.preprocess(experiment, home.store)
    training = stages.train(experiment, home.store, dataset.artifact)
    evaluation = stages.evaluate(experiment, home.store, dataset.artifact, training.artifact)
    made = {outcome.artifact.stage: outcome.artifact for outcome in (dataset, training, evaluation)}
    report = stages.report(experiment, home.store, made)
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.contract import CONTRACT
from recurra.errors import InputError, RecurraError
from recurra.experiment import Experiment, Train
from recurra.extensions import extensions
from recurra.progress import Progress, Silent
from recurra.registry import PLUGINS, backend_entry, entries
from recurra.store import Artifact, Outcome, Store

if TYPE_CHECKING:
    from recurra.readers.reader import Source

Inputs = dict[str, Any]
RECOGNISERS = ("dropout", "monitor", "precision")
"""What of `train` is a recogniser's alone."""


def open_source(experiment: Experiment, home: Path | None = None) -> Source:
    """The experiment's source, opened by the reader that recognises it; downloads and digests are kept in `home`.

    An InputError where that cannot be done; it names the plugins whose readers could not be asked.
    """
    from recurra import readers

    plugins = extensions()
    more = plugins.readers()
    try:
        return readers.open_source(experiment.data.source, experiment.data, more, home)
    except InputError as error:
        if not plugins.problems:
            raise
        raise InputError(f"{error}; not asked: {'; '.join(plugins.problems)}") from None


def preprocess_inputs(experiment: Experiment, source: Source) -> Inputs:
    """What the dataset is made from."""
    from recurra.dataset import FORMAT
    from recurra.preprocess import preprocess_settings

    return {
        "settings": preprocess_settings(experiment, source),
        "from": {"source": source.digest()},
        "versions": {"recurra": version("recurra"), "dataset": FORMAT, **_plugin_versions()},
    }


def train_inputs(experiment: Experiment, dataset: Artifact, judge: Artifact | None = None) -> Inputs:
    """What the trained network is made from. Not the device: it changes the last digits, not the experiment.

    `judge`, of a GAN, is the training of the recogniser that measures its samples: the best epoch depends on it.
    """
    settings = experiment.model_dump(mode="json", include={"seed", "backend", "train"})
    # When it is saved, and which of both weights is tested, do not change what is learnt.
    # Nor do several devices, as little as which one it is or its number of threads: sums in another order change the
    # last digits, and a backend may draw other dropout there. So a training goes on where fewer devices are left.
    idle = ["checkpoint_seconds", "devices", "keep", *(RECOGNISERS if experiment.model.kind == "gan" else ("gan",))]
    for name in idle:
        del settings["train"][name]
    settings["model"] = experiment.model.settings()
    settings["data"] = {"augment": _classical(experiment)}
    made_from = {"dataset": dataset.digest}
    if experiment.model.kind == "gan":
        settings["evaluate"] = {"gan": _measures(experiment)}
        made_from["recogniser"] = _weights(experiment.evaluate.gan.recogniser.train, judge)
    return {"settings": settings, "from": made_from, "versions": _versions(experiment)}


def _classical(experiment: Experiment) -> dict[str, Any]:
    return experiment.data.augment.model_dump(mode="json", exclude={"gan", "generated"})


def _measures(experiment: Experiment) -> dict[str, Any]:
    return experiment.evaluate.gan.model_dump(mode="json", include={"components", "neighbours"})


def _weights(train: Train, training: Artifact | None) -> str:
    if training is None:
        raise RecurraError("a GAN needs the training of a recogniser that measures its samples")
    return training.sha256(f"{train.keep}.safetensors")


def evaluate_inputs(experiment: Experiment, dataset: Artifact, training: Artifact) -> Inputs:
    """What the predictions and metrics are made from."""
    settings = experiment.model_dump(mode="json", include={"seed", "backend"})
    precision = {"precision": experiment.train.precision}
    return {
        "settings": {
            **settings,
            "evaluate": experiment.evaluate.model_dump(mode="json", exclude={"gan"}),
            "model": experiment.model.settings(),
            "train": precision,
        },
        "from": {"dataset": dataset.digest, "weights": _weights(experiment.train, training)},
        "versions": _versions(experiment),
    }


def probe_inputs(experiment: Experiment, dataset: Artifact, training: Artifact) -> Inputs:
    """What a probe is made from. `training` may be another backend's than the experiment's."""
    from recurra.comparison.probing import FORMAT

    settings = experiment.model_dump(mode="json", include={"backend"})
    precision = {"precision": experiment.train.precision}
    return {
        "settings": {**settings, "model": experiment.model.settings(), "train": precision},
        "from": {"dataset": dataset.digest, "weights": _weights(experiment.train, training)},
        "versions": {**_versions(experiment), "probe": FORMAT},
    }


def challenge_inputs(champion: Experiment, artifacts: Mapping[str, Artifact]) -> Inputs:
    """What a challenge is made from. `artifacts`: dataset and evaluation, of the new network; and the champion's, whose
    experiment is `champion`: champion_dataset, champion_training, champion_evaluation.
    """
    from recurra.champion.findings import FORMAT

    answers = "predictions.parquet"
    dataset = artifacts["dataset"]
    settings = champion.model_dump(mode="json", include={"backend"})
    precision = {"precision": champion.train.precision}
    return {
        "settings": {**settings, "model": champion.model.settings(), "train": precision},
        "from": {
            "dataset": dataset.digest,
            # Where the champion's recipe is another, its pixels come from the source.
            "source": dataset.inputs["from"].get("source"),
            "predictions": artifacts["evaluation"].sha256(answers),
            "champion dataset": artifacts["champion_dataset"].digest,
            "champion weights": _weights(champion.train, artifacts["champion_training"]),
            "champion predictions": artifacts["champion_evaluation"].sha256(answers),
        },
        "versions": {**_versions(champion), "challenge": FORMAT},
    }


def generate_inputs(experiment: Experiment, dataset: Artifact, training: Artifact, share: float | None) -> Inputs:
    """What generated samples are made from. `share`: as many for each real one; None: as many as judge the GAN."""
    judged = {"evaluate": {"gan": {"per_class": experiment.evaluate.gan.per_class}}}
    count = judged if share is None else {"data": {"augment": {"generated": share}}}
    settings = experiment.model_dump(mode="json", include={"seed", "backend"})
    return {
        "settings": {**settings, "model": experiment.model.settings(), **count},
        "from": {"dataset": dataset.digest, "weights": _weights(experiment.train, training)},
        "versions": _versions(experiment),
    }


def augment_inputs(dataset: Artifact, generated: Artifact) -> Inputs:
    """What a dataset with generated samples is made from."""
    from recurra.dataset import FORMAT

    return {
        "from": {"dataset": dataset.digest, "generated": generated.digest},
        "versions": {"recurra": version("recurra"), "dataset": FORMAT},
    }


def judge_inputs(experiment: Experiment, artifacts: Mapping[str, Artifact]) -> Inputs:
    """What a GAN's metrics are made from: the artifacts preprocess, recogniser, train, generate and student."""
    from recurra.judgement.findings import FORMAT

    settings = experiment.model_dump(mode="json", include={"seed", "backend"})
    gan, own = experiment.evaluate.gan, experiment.evaluate.gan.recogniser.train
    return {
        "settings": {
            **settings,
            "evaluate": {
                "bootstrap": experiment.evaluate.bootstrap,
                "gan": gan.model_dump(mode="json", exclude={"recogniser": {"train"}}),
            },
            "model": experiment.model.settings(),
        },
        "from": {
            "dataset": artifacts["preprocess"].digest,
            "recogniser": _weights(own, artifacts["recogniser"]),
            "weights": _weights(experiment.train, artifacts["train"]),
            "generated": artifacts["generate"].digest,
            "student": _weights(own, artifacts["student"]),
        },
        "versions": {**_versions(experiment), "judgement": FORMAT},
    }


def _versions(experiment: Experiment) -> dict[str, Any]:
    """Of all code that has a part in what a network learns and answers: core's, the backend's, its framework's."""
    entry = backend_entry(experiment.backend)
    return {"contract": CONTRACT, "recurra": version("recurra"), **entry.versions}


def report_inputs(experiment: Experiment, artifacts: Mapping[str, Artifact], gan: Experiment | None = None) -> Inputs:
    """What the report is made from. `gan`: the experiment that `data.augment.gan` stands for."""
    return {
        "settings": experiment.model_dump(mode="json") | ({"gan": gan.model_dump(mode="json")} if gan else {}),
        "from": {stage: artifact.digest for stage, artifact in artifacts.items()},
        "versions": {"recurra": version("recurra"), **_plugin_versions()},
    }


def _plugin_versions() -> dict[str, str]:
    """Of the plugins that may read the source or add to the report."""
    return {entry.distribution: entry.version for entry in entries(PLUGINS)}


def preprocess(
    experiment: Experiment, store: Store, progress: Progress | None = None, source: Source | None = None
) -> Outcome:
    """The dataset artifact. `source` is the experiment's, where it is open already."""
    progress = progress or Silent()
    opened = source or open_source(experiment, store.root.parent)

    def make(folder: Path) -> None:
        from recurra.preprocess import preprocess

        preprocess(opened, experiment, folder, progress)

    outcome = store.obtain("preprocess", preprocess_inputs(experiment, opened), make, progress.note, experiment.name)
    if outcome.hit:
        from recurra.dataset import Dataset
        from recurra.preprocess import repeat_refusals

        repeat_refusals(Dataset.open(outcome.artifact.path), experiment, progress)
    return outcome


def train(
    experiment: Experiment,
    store: Store,
    dataset: Artifact,
    progress: Progress | None = None,
    judge: Artifact | None = None,
) -> Outcome:
    """The trained network. Imports the backend's framework; goes on from where an earlier try stopped.

    `judge`, of a GAN: the training of the recogniser of `recurra.judgement.judge_of`, which measures its samples.
    """
    progress = progress or Silent()
    inputs = train_inputs(experiment, dataset, judge)
    measures = judge.file(f"{experiment.evaluate.gan.recogniser.train.keep}.safetensors") if judge else None

    def make(folder: Path) -> None:
        from recurra.store import key_of
        from recurra.training import train

        train(experiment, dataset.path, store.partial("train", key_of(inputs)), folder, progress, measures)

    return store.obtain("train", inputs, make, progress.note, experiment.name)


def generate(
    experiment: Experiment,
    store: Store,
    dataset: Artifact,
    training: Artifact,
    progress: Progress | None = None,
    share: float | None = None,
) -> Outcome:
    """Samples of a trained GAN, as a dataset. Imports the backend's framework.

    `share`: so many for each real training sample, to stand beside them; left out: as many as judge the GAN.
    """
    progress = progress or Silent()

    def make(folder: Path) -> None:
        from recurra.dataset import Dataset
        from recurra.generation import beside_real, generate, per_class

        real = Dataset.open(dataset.path)
        counts = per_class(experiment, real) if share is None else beside_real(real.count("train"), share)
        weights = training.file(f"{experiment.train.keep}.safetensors")
        generate(experiment, dataset.path, weights, counts, folder, progress, validation=share is None)

    inputs = generate_inputs(experiment, dataset, training, share)
    return store.obtain("generate", inputs, make, progress.note, experiment.name)


def augment(store: Store, dataset: Artifact, generated: Artifact, progress: Progress | None = None) -> Outcome:
    """The dataset with generated training samples beside its own."""
    progress = progress or Silent()

    def make(folder: Path) -> None:
        from recurra.joining import join

        join(dataset.path, generated.path, folder, progress)

    return store.obtain("augment", augment_inputs(dataset, generated), make, progress.note)


def judge(
    experiment: Experiment, store: Store, artifacts: Mapping[str, Artifact], progress: Progress | None = None
) -> Outcome:
    """What a GAN's samples are worth. Imports the backend's framework.

    artifacts: preprocess; recogniser, trained on it; train, the GAN; generate; student, a recogniser that was trained
    on what was generated.
    """
    progress = progress or Silent()

    def make(folder: Path) -> None:
        from recurra.judgement.judging import judge

        judge(experiment, artifacts, folder, progress)

    return store.obtain("judgement", judge_inputs(experiment, artifacts), make, progress.note, experiment.name)


def evaluate(
    experiment: Experiment, store: Store, dataset: Artifact, training: Artifact, progress: Progress | None = None
) -> Outcome:
    """Predictions and metrics on the test split. Imports the backend's framework."""
    progress = progress or Silent()

    def make(folder: Path) -> None:
        from recurra.evaluation import evaluate

        evaluate(experiment, dataset.path, training.file(f"{experiment.train.keep}.safetensors"), folder, progress)

    inputs = evaluate_inputs(experiment, dataset, training)
    return store.obtain("evaluate", inputs, make, progress.note, experiment.name)


def challenge(
    experiment: Experiment,
    champion: Experiment,
    store: Store,
    artifacts: Mapping[str, Artifact],
    progress: Progress | None = None,
) -> Outcome:
    """A champion's answers to a new dataset's test split beside the new network's, and how far the data have moved.
    Imports the framework of the champion's backend. `artifacts` as in `challenge_inputs`.
    """
    progress = progress or Silent()

    def make(folder: Path) -> None:
        from recurra.champion.challenge import Sides, challenge

        sides = Sides(
            champion,
            artifacts["champion_dataset"].path,
            artifacts["champion_training"].file(f"{champion.train.keep}.safetensors"),
            artifacts["champion_evaluation"].file("predictions.parquet"),
            artifacts["dataset"].path,
            artifacts["evaluation"].file("predictions.parquet"),
        )
        challenge(sides, lambda: open_source(experiment, store.root.parent), folder, progress)

    inputs = challenge_inputs(champion, artifacts)
    return store.obtain("challenge", inputs, make, progress.note, experiment.name)


def probe(
    experiment: Experiment, store: Store, dataset: Artifact, training: Artifact, progress: Progress | None = None
) -> Outcome:
    """What the experiment's backend answers with the weights of a training, whichever backend's it is, and the gradient
    that it finds. Imports the backend's framework.
    """
    progress = progress or Silent()

    def make(folder: Path) -> None:
        from recurra.comparison.probing import probe

        probe(experiment, dataset.path, training.file(f"{experiment.train.keep}.safetensors"), folder, progress)

    inputs = probe_inputs(experiment, dataset, training)
    return store.obtain("probe", inputs, make, progress.note, experiment.name)


def report(
    experiment: Experiment,
    store: Store,
    artifacts: Mapping[str, Artifact],
    gan: Experiment | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """The HTML report, `report.html` in the artifact, and `summary.md`, what a dashboard shows of it.

    `gan`: the experiment that `data.augment.gan` stands for (`recurra.gan_source.gan_of`).
    """
    progress = progress or Silent()

    def make(folder: Path) -> None:
        from recurra.report import Section, render, summary_markdown

        plugins = extensions()
        sections = plugins.offered("recurra_report_sections", Section, experiment=experiment, artifacts=artifacts)
        plugins.tell_problems(progress.note)
        page = render(experiment, artifacts, sections, gan)
        (folder / "report.html").write_text(page, encoding="utf-8")
        (folder / "summary.md").write_text(summary_markdown(experiment, artifacts), encoding="utf-8")

    return store.obtain("report", report_inputs(experiment, artifacts, gan), make, name=experiment.name)
