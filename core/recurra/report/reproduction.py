"""How an experiment is run again."""

from __future__ import annotations

from recurra.config import resolved_yaml
from recurra.experiment import Experiment


def reproduce(experiment: Experiment, gan: Experiment | None = None) -> str:
    """Shell commands that run the experiment again: the file with what differs from the defaults, and the run.

    `gan`, whose samples a recogniser was trained on, has a file of its own, which the recogniser's then names. Where it
    had another seed or other settings of the data, which a named file does not keep, it is run by itself first.
    """
    file, first = f"{experiment.name}.yaml", ""
    if gan is not None:
        named = gan_file(experiment, gan)
        first = written(named, gan)
        data = experiment.data.model_copy(update={"augment": gan.data.augment})
        if (gan.seed, gan.data) != (experiment.seed, data):
            first, named = f"{first}recurra run {named}\n", "latest"
        augment = experiment.data.augment.model_copy(update={"gan": named})
        experiment = experiment.model_copy(update={"data": experiment.data.model_copy(update={"augment": augment})})
    return f"{first}{written(file, experiment)}recurra run {file}\n"


def gan_file(experiment: Experiment, gan: Experiment) -> str:
    """The name of the GAN's file beside the experiment's own."""
    return f"{gan.name}-gan.yaml" if gan.name == experiment.name else f"{gan.name}.yaml"


def written(file: str, experiment: Experiment) -> str:
    """A shell command that writes an experiment's file."""
    import yaml

    settings = experiment.model_dump(mode="json", exclude_defaults=True)
    own = {"name": experiment.name, "seed": experiment.seed, "backend": experiment.backend}
    text = yaml.safe_dump({**own, **settings}, sort_keys=False, allow_unicode=True)
    return f"cat > {file} <<'END'\n{text}END\n"


def configurations(experiment: Experiment, gan: Experiment | None = None) -> list[tuple[str, str]]:
    """(title, experiment file with every default) of the experiment, and of the GAN that it takes samples of."""
    if gan is None:
        return [("Configuration", resolved_yaml(experiment))]
    return [("Configuration of the recogniser", resolved_yaml(experiment)), ("Of the GAN", resolved_yaml(gan))]
