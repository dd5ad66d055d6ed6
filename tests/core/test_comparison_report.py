"""The report of a comparison is one page that asks for nothing, shows names as text and claims only what was found."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import yaml

from recurra.comparison.findings import Evidence, Findings
from recurra.comparison.pairs import pairs
from recurra.comparison.parity import Parity
from recurra.comparison.plan import Plan
from recurra.comparison.results import Answers, Row, of_variant
from recurra.comparison.summary import Measured, Summary
from recurra.experiment import Data, Experiment
from recurra.intervals import Interval
from recurra.pairing import Answered
from recurra.report.comparison import accuracy_table, render, summary_markdown

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b | `c`")
ACCURACIES = {"cnn": 0.9, "rnn": 0.6, "fusion": 0.8}


class Example:
    """What a comparison found, from answers that are right as often as their network says."""

    def __init__(
        self,
        classes: Sequence[str] = ("cat", "dog", "eel"),
        backends: Sequence[str] = ("torch", "tensorflow"),
        models: Sequence[str] = ("cnn", "rnn", "fusion"),
        seeds: Sequence[int] = (0, 1, 2),
        energy: float | None = None,
        epochs: int = 6,
    ) -> None:
        experiment = Experiment(name="mine", data=Data(source="some/folder"))
        settings = {"backends": tuple(backends), "models": tuple(models), "seeds": tuple(seeds)}
        self.plan = Plan.model_validate({"experiment": experiment, **settings})
        samples, labels = np.arange(300), (np.arange(300) % len(classes)).astype(np.int32)
        answers, rows, histories = {}, [], {}
        for cell in self.plan.cells():
            draws = np.random.default_rng([cell.seed, *cell.model.encode(), *cell.backend.encode()])
            right = draws.random(300) < ACCURACIES[cell.model]
            predicted = np.where(right, labels, (labels + 1) % len(classes)).astype(np.int32)
            answers[cell] = Answers(Answered(samples, right, labels), predicted)
            rows.append(
                Row(cell.backend, cell.model, cell.seed, float(right.mean()), None, None, 0.7, 0.9, 300, 1234, epochs,
                    min(3, epochs), 2.0 + cell.seed, 640.0, 9e3, 3_000_000_000, energy, "cpu", 0, "dataset",
                    f"training-{cell.role()}", "evaluation")
            )  # fmt: skip
            steps = np.arange(1.0, epochs + 1)
            histories[cell] = {
                "epoch": steps, "seconds": np.full(epochs, 0.5), "train_accuracy": steps / 20,
                "val_accuracy": 0.5 + steps / 100 + cell.seed / 100,
            }  # fmt: skip
        self.findings = Findings(
            plan=self.plan,
            classes=tuple(classes),
            summaries=tuple(self._summary(variant, rows) for variant in self.plan.variants),
            pairs=tuple(pairs(self.plan, answers, len(classes))),
            parities=tuple(
                Parity(model, backend, backends[0], 300, 1e-6, 9.0, 1.0, 1e-7, 2e-6, "output.kernel",
                       tuple(tuple(1e-7 * 10.0 ** np.arange(epochs)) for _ in seeds), float32=True)
                for model in models for backend in backends[1:]
            ),
            warnings=("<b>odd</b>",),
            same_test=True,
        )  # fmt: skip
        confusions = {variant: np.full((len(classes), len(classes)), 7) for variant in self.plan.variants}
        self.evidence = Evidence(tuple(rows), histories, confusions)

    @staticmethod
    def _summary(variant: Any, rows: Sequence[Row]) -> Summary:
        own = list(of_variant(rows, variant))
        accuracy, seconds = Measured.of([row.accuracy for row in own]), Measured.of([row.seconds for row in own])
        near = Interval(accuracy.mean - 0.03, accuracy.mean + 0.03)
        other = Measured.of([0.7 for _ in own])
        numbers = (640.0, 9e3, 3_000_000_000, own[0].energy_joules, 1234)
        done = (tuple(row.epochs for row in own), tuple(row.best_epoch for row in own), ("cpu",))
        return Summary(
            variant, accuracy, near, other, other, seconds, *numbers, *done, alike=0.9 if len(own) > 1 else None
        )

    def page(self) -> str:
        return render(self.findings, self.evidence)


@pytest.fixture(scope="module")
def example() -> Example:
    """Three networks on two backends by three seeds."""
    return Example()


def test_the_page_asks_for_nothing_and_runs_nothing(elements_of: Any, example: Example) -> None:
    page = example.page()
    elements = elements_of(page)
    assert not elements.of("script", "link", "iframe", "object", "embed", "form", "base", "img")
    for _, attributes in elements.found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policies = [meta["content"] for meta in elements.of("meta") if "http-equiv" in meta]
    assert [f"style-src 'sha256-{digest}'" in policy for policy in policies] == [True]


def test_names_from_data_and_plugins_are_shown_as_text(elements_of: Any) -> None:
    example = Example(classes=HOSTILE, backends=("<i>odd</i>", 'x" onload="y'))
    elements = elements_of(example.page())
    assert not elements.of("script", "b", "i", "img")
    assert not [attributes for _, attributes in elements.found if "onload" in attributes]
    # Matrices side by side have short names; their hints have the whole ones.
    assert all(name in elements.text for name in (*HOSTILE, "<b>odd</b>", "<i>odd</i>", 'x" onload="y'))
    summary = summary_markdown(example.findings)
    assert re.search(r"(?<!\\)<[bi]>", summary) is None


def test_equal_input_gives_equal_bytes(example: Example) -> None:
    assert example.page() == Example().page()


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_headings_descend_in_order_and_drawings_and_tables_are_named(elements_of: Any, seeds: Sequence[int]) -> None:
    elements = elements_of(Example(seeds=seeds).page())
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(heading.get("scope") in ("row", "col") for heading in elements.of("th"))
    assert all(drawing.get("aria-label") for drawing in elements.of("svg"))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in elements.of("a")} <= {f"#{name}" for name in ids}


def test_it_asks_the_question_and_answers_it(elements_of: Any, example: Example) -> None:
    text = " ".join(elements_of(example.page()).text.split())
    assert f"Which network is best, and does the backend matter? {example.findings.told[0]}" in text
    assert "Most accurate is cnn on t" in text
    assert all(line in text for line in example.findings.told)


def test_one_seed_is_said_to_be_one(elements_of: Any) -> None:
    text = " ".join(elements_of(Example(seeds=(4,)).page()).text.split())
    assert "Of other trainings one seed says nothing." in text
    assert "how far other seeds would lie is not known" in text
    assert "is better" not in text.split("Reading the numbers")[0].replace("named first is better", "")
    assert "Student" not in text.split("Interval over seeds")[0]


def test_the_table_can_be_put_into_other_orders(example: Example) -> None:
    page = example.page()
    bodies = dict(re.findall(r'<tbody class="by-(\w+)">(.*?)</tbody>', page, re.DOTALL))
    first = {name: re.findall(r'<tr><th scope="row">(\w+)<', body)[0] for name, body in bodies.items()}
    assert (first["accuracy"], first["network"]) == ("cnn", "cnn")
    assert re.findall(r'<tr><th scope="row">(\w+)<', bodies["accuracy"])[-1] == "rnn"
    orders = re.findall(r'<input type="radio" name="order" id="by-(\w+)"', page)
    assert orders == list(bodies)
    assert f":nth-of-type({len(orders)}):checked" in page  # the style sheet knows as many


@pytest.mark.parametrize(
    ("backends", "models", "there", "missing"),
    [
        (("torch",), ("cnn", "rnn"), ("differences", "agreement"), ("parity",)),
        (("torch", "tensorflow"), ("cnn",), ("differences", "parity", "agreement"), ()),
        (("torch",), ("cnn",), ("accuracy", "learning", "confusions", "costs"), ("differences", "parity", "agreement")),
        (("a", "b", "c", "d", "e"), ("cnn", "rnn", "fusion"), ("differences", "parity", "agreement"), ()),
    ],
)
def test_it_has_sections_for_what_there_is(
    backends: Sequence[str], models: Sequence[str], there: Sequence[str], missing: Sequence[str]
) -> None:
    page = Example(backends=backends, models=models, seeds=(0, 1)).page()
    assert all(f'id="{name}"' in page and f'href="#{name}"' in page for name in there)
    assert not any(f'id="{name}"' in page or f'href="#{name}"' in page for name in missing)
    assert not re.search(r"\b(nan|inf)\b|>None<", page)


def test_a_lone_epoch_equal_losses_and_nothing_held_out_are_drawn(elements_of: Any) -> None:
    example = Example(epochs=1, seeds=(0,))
    none = tuple(replace(each, epochs=((0.0,),)) for each in example.findings.parities)
    example.findings = replace(example.findings, parities=none)
    histories = {
        cell: {**history, "val_accuracy": np.full(1, np.nan)} for cell, history in example.evidence.histories.items()
    }
    example.evidence = replace(example.evidence, histories=histories)
    page = example.page()
    assert "no difference in any epoch" in page
    assert "cnn: training accuracy" in page
    assert "nan" not in re.sub(r"\w*nan\w+|\w+nan\w*", "", page.lower())


def test_of_very_many_classes_and_pairs_the_page_stays_readable() -> None:
    page = Example(classes=[f"class {n}" for n in range(300)], backends=[f"b{n}" for n in range(5)], seeds=(0,)).page()
    assert "So many matrices of 300 classes cannot be read" in page
    assert "The first 60 of 105 pairs" in page
    assert len(page) < 600_000


def test_energy_is_shown_where_it_was_measured(example: Example) -> None:
    assert "120 J" in Example(models=("cnn",), energy=120.0).page()
    assert "12 Wh" in Example(models=("cnn",), energy=43_200.0).page()
    assert "No device told its energy." in example.page()


def test_its_commands_hold_the_same_comparison(elements_of: Any, example: Example) -> None:
    text = elements_of(example.page()).text
    ((name, content),) = re.findall(r"cat > (\w+\.yaml) <<'END'\n(.*?)END\n", text, re.DOTALL)
    assert Experiment(**yaml.safe_load(content)) == example.plan.experiment
    assert f"recurra compare {name} --backends torch,tensorflow --models cnn,rnn,fusion --seeds 0,1,2" in text


def test_it_names_what_it_was_made_from(elements_of: Any, example: Example) -> None:
    text = elements_of(example.page()).text
    assert all(f"train/training-{cell.role()}" in text for cell in example.plan.cells())


def test_the_dashboard_has_the_answer_and_a_row_for_each_variant(example: Example) -> None:
    summary = summary_markdown(example.findings)
    assert "## Accuracy" in summary
    assert summary.count("| rounding |") == 3
    table = {(row["network"], row["backend"]): row for row in accuracy_table(example.findings)}
    assert len(table) == 6
    assert table["cnn", "torch"]["low"] < table["cnn", "torch"]["accuracy"] < table["cnn", "torch"]["high"]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_a_complaint(browsed: Any, scheme: str) -> None:
    shown = browsed(Example(classes=HOSTILE).page(), scheme)
    assert "<title>mine · recurra report</title>" in shown.stdout
    # Chromium logs every refused style, script, picture and request to the console.
    assert "CONSOLE" not in shown.stderr


@pytest.mark.browser
@pytest.mark.parametrize("width", [380, 1300])
def test_the_page_is_no_wider_than_its_window(browsed: Any, width: int) -> None:
    page = Example(backends=("a-backend-of-a-long-name", "tensorflow"), energy=120.0).page()
    # Headless Chromium has no window as narrow as a telephone's; a frame can be.
    measure = "document.title = this.contentDocument.documentElement.scrollWidth"
    framed = f'<iframe width={width} height=900 frameborder=0 srcdoc="{escape(page)}" onload="{measure}"></iframe>'
    found = re.search(r"<title>(\d+)</title>", browsed(framed, "light").stdout)
    assert found is not None
    assert int(found[1]) <= width
