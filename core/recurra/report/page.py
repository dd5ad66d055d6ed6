"""The page: one HTML file that asks nothing of the network, runs no script, and shows data as text only."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from recurra import wording
from recurra.experiment import Experiment
from recurra.report import generator, recogniser, svg
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


def render(
    experiment: Experiment,
    artifacts: Mapping[str, Artifact],
    sections: Iterable[Section] = (),
    gan: Experiment | None = None,
) -> str:
    """The report on a run's artifacts by role, with plugins' sections: a whole page.

    A recogniser's are `preprocess`, `train` and `evaluate`; a GAN has `recogniser`, `generate` and `student` as well.
    `gan` is the experiment that a recogniser's `data.augment.gan` stands for (`recurra.gan_source`).
    Equal input gives equal bytes.
    """
    if experiment.model.kind == "gan":
        content, template = generator.content(experiment, artifacts), "generator/template.html"
        styles = ("style.css", "generator/style.css")
    else:
        content, template, styles = recogniser.content(experiment, artifacts, gan), "recogniser.html", ("style.css",)
    extra = [(section.title, Markup(section.html)) for section in sections]
    page = filled(template, styles, {**content, "sections": extra})
    # A path on the command line may hold bytes that are no text, and a page must be.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def filled(template: str, styles: Iterable[str], content: Mapping[str, Any]) -> str:
    """A page from its template and style sheets, all of them files of this package, with the policy that allows these
    and nothing else.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("recurra", "report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": wording.percent,
        "plural": wording.plural,
        "bar": svg.bar,
        "ending": wording.ending,
    }
    own = files("recurra.report")
    style = "".join(own.joinpath(name).read_text(encoding="utf-8") for name in styles)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return environment.get_template(template).render(
        policy=policy, style=Markup(style), version=version("recurra"), **content
    )
