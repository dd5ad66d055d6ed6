"""The page: one HTML file that asks nothing of the network, runs no script, and shows data as text only."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from recurra.config import resolved_yaml
from recurra.experiment import Experiment
from recurra.report import gallery, svg, tables, words
from recurra.report.calibration import reliability_diagram
from recurra.report.confusion import LARGEST, confusion_matrix
from recurra.report.curves import Curves, learning_curves
from recurra.report.material import Material, gather
from recurra.store import Artifact


@dataclass(frozen=True)
class Section:
    """A plugin's section of the report.

    The title is shown as text. The html is put into the page as it is: it is the plugin's, and trusted as the plugin
    is, so whatever of it comes from data has to be escaped by the plugin (`markupsafe.escape`). The page's policy holds
    for it too: no script, no style attribute, no picture but data: URIs, nothing from elsewhere. It cannot draw outside
    its place. The page's own classes (`scroll`, `caption`, `facts`) may be used.
    """

    title: str
    html: str


def render(experiment: Experiment, artifacts: Mapping[str, Artifact], sections: Iterable[Section] = ()) -> str:
    """The report on the artifacts `preprocess`, `train` and `evaluate`, with plugins' sections: a whole page.

    Equal input gives equal bytes.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("recurra", "report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"percent": words.percent, "plural": words.plural, "bar": svg.bar, "ending": words.ending}
    style = files("recurra.report").joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    page = environment.get_template("template.html").render(
        policy=policy,
        style=Markup(style),
        version=version("recurra"),
        sections=[(section.title, Markup(section.html)) for section in sections],
        **_content(gather(experiment, artifacts)),
    )
    # A path on the command line may hold bytes that are no text, and a page must be.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _content(material: Material) -> dict[str, Any]:
    experiment, metrics = material.experiment, material.metrics
    pairs = tables.confused_pairs(metrics)
    readable = len(metrics.classes) <= LARGEST
    matrix = confusion_matrix(metrics.confusion, metrics.classes) if readable else None
    mistakes = metrics.samples - int(metrics.confusion.trace())
    return {
        "experiment": experiment,
        "metrics": metrics,
        "training": material.training,
        "achieved": words.achieved(material),
        "warnings": words.warnings(material),
        "tiles": tables.tiles(material),
        "learned": words.learned(material),
        "curves": _curves(material),
        "has_validation": words.has_validation(material),
        "matrix": matrix,
        "pairs": pairs,
        "mistake_count": mistakes,
        "pairs_share": sum(pair.count for pair in pairs) / max(1, mistakes),
        "orders": tables.class_orders(metrics),
        "headings": {name: heading for name, (heading, _) in tables.ORDERS.items()},
        "certainty": words.certainty(material),
        "reliability": reliability_diagram(metrics.reliability),
        "mistakes": gallery.surest_mistakes(material),
        "examples": gallery.class_examples(material.dataset),
        "class_count": len(material.dataset.classes),
        "kind": material.dataset.sample.kind,
        "data_facts": tables.data_facts(material),
        "network": tables.network(material),
        "environment": sorted(material.training["environment"].items()),
        "digests": tables.digests(material),
        "configuration": resolved_yaml(experiment),
        "reproduce": reproduce(experiment),
        "top_k": material.top_k[0],
        "uniform_loss": math.log(len(metrics.classes)),
    }


def _curves(material: Material) -> list[tuple[str, Markup]]:
    history, best = material.history, int(material.training["best_epoch"])
    epochs = history["epoch"].astype(int)
    loss = Curves("Loss", epochs, history["train_loss"], history["val_loss"], best, share=False)
    accuracy = Curves("Accuracy", epochs, history["train_accuracy"], history["val_accuracy"], best, share=True)
    return [(curves.title, learning_curves(curves)) for curves in (loss, accuracy)]


def reproduce(experiment: Experiment) -> str:
    """Shell commands that run the experiment again: the file with what differs from the defaults, and the run."""
    import yaml

    settings = experiment.model_dump(mode="json", exclude_defaults=True)
    own = {"name": experiment.name, "seed": experiment.seed, "backend": experiment.backend}
    text = yaml.safe_dump({**own, **settings}, sort_keys=False, allow_unicode=True)
    file = f"{experiment.name}.yaml"
    return f"cat > {file} <<'END'\n{text}END\nrecurra run {file}\n"
