"""How an experiment is run again."""

from __future__ import annotations

from recurra.experiment import Experiment


def reproduce(experiment: Experiment) -> str:
    """Shell commands that run the experiment again: the file with what differs from the defaults, and the run."""
    import yaml

    settings = experiment.model_dump(mode="json", exclude_defaults=True)
    own = {"name": experiment.name, "seed": experiment.seed, "backend": experiment.backend}
    text = yaml.safe_dump({**own, **settings}, sort_keys=False, allow_unicode=True)
    file = f"{experiment.name}.yaml"
    return f"cat > {file} <<'END'\n{text}END\nrecurra run {file}\n"
