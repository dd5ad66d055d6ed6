"""The report of a study is one page that asks for nothing, shows names as text, and says no more than was found."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import yaml

from recurra.experiment import Augment, Data, Experiment, Model
from recurra.intervals import over_seeds
from recurra.pairing import Answered
from recurra.report.study import accuracy_table, render, summary_markdown
from recurra.study.comparison import compared
from recurra.study.findings import ClassEffect, Findings, Summary
from recurra.study.plan import Plan
from recurra.study.results import Generator, Row

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b | `c`")
ACCURACIES = {"real": 0.6, "generated": 0.8, "classical": 0.8, "both": 0.8}


class Example:
    """What a study found, from answers that are right as often as its arm says."""

    def __init__(
        self,
        classes: Sequence[str] = ("cat", "dog", "eel"),
        fractions: tuple[float, ...] = (0.1, 1.0),
        seeds: tuple[int, ...] = (0, 1, 2),
        classical: bool = True,
    ) -> None:
        augment = Augment(gan="gan.yaml", shift=2 if classical else 0)
        recogniser = Experiment(name="mine", data=Data(source="some/folder", augment=augment))
        gan = Experiment(name="gan", data=Data(source="some/folder"), model=Model(kind="gan"))
        self.plan = Plan(experiment=recogniser, gan=gan, fractions=fractions, seeds=seeds)
        samples, draw = np.arange(400), np.random.default_rng(0)
        summaries, comparisons, effects, self.rows = [], [], [], []
        for fraction in fractions:
            right = {arm: [draw.random(400) < ACCURACIES[arm] for _ in seeds] for arm in self.plan.arms}
            means = {arm: tuple(float(each.mean()) for each in right[arm]) for arm in right}
            summaries += [Summary(fraction, arm, means[arm], over_seeds(means[arm]), 0.7, 0.9) for arm in right]
            for arm, against in self.plan.comparisons:
                answers = zip(right[arm], right[against], strict=True)
                pairs = [(Answered(samples, a, samples % 3), Answered(samples, b, samples % 3)) for a, b in answers]
                comparisons.append(compared(fraction, arm, against, pairs))
                changes = comparisons[-1].differences
                effects += [
                    ClassEffect(fraction, arm, against, name, 0.6, float(np.mean(changes)), over_seeds(changes), 40.0)
                    for name in classes
                ]
            self.rows += [
                Row(fraction, seed, arm, value, 0.7, 0.9, 400, 100, 100 * (arm in ("generated", "both")), 5, 3, 20, 2.0,
                    "dataset", f"training-{arm}", "evaluation")
                for arm in right for seed, value in zip(seeds, means[arm], strict=True)
            ]  # fmt: skip
        self.findings = Findings(
            plan=self.plan,
            classes=tuple(classes),
            summaries=tuple(summaries),
            comparisons=tuple(comparisons),
            effects=tuple(effects),
            generators=tuple(Generator(f, s, 100, 9, 7, 60.0, (), "of-the-gan") for f in fractions for s in seeds),
            warnings=("<b>odd</b>",),
            same_test=True,
        )

    def page(self) -> str:
        return render(self.findings, self.rows)


def test_the_page_asks_for_nothing_and_runs_nothing(elements_of: Any) -> None:
    page = Example().page()
    elements = elements_of(page)
    assert not elements.of("script", "link", "iframe", "object", "embed", "form", "base", "img")
    for _, attributes in elements.found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in page or f"style-src 'sha256-{digest}'" in page


def test_names_from_the_data_are_shown_as_text(elements_of: Any) -> None:
    example = Example(classes=HOSTILE)
    elements = elements_of(example.page())
    assert not elements.of("script", "b", "img")
    assert all(name in elements.text for name in (*HOSTILE, "<b>odd</b>"))
    assert re.search(r"(?<!\\)<b>", summary_markdown(example.findings, example.rows)) is None


def test_equal_input_gives_equal_bytes() -> None:
    assert Example().page() == Example().page()


def test_headings_descend_in_order_and_drawings_and_tables_are_named(elements_of: Any) -> None:
    elements = elements_of(Example().page())
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(heading.get("scope") in ("row", "col") for heading in elements.of("th"))
    assert all(drawing.get("aria-label") for drawing in elements.of("svg"))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in elements.of("a")} <= {f"#{name}" for name in ids}


def test_it_asks_the_question_and_answers_it(elements_of: Any) -> None:
    example = Example()
    text = " ".join(elements_of(example.page()).text.split())
    assert f"Do generated training samples help the recogniser? {example.findings.answer}" in text
    assert "Generated samples help at 10% (" in text
    assert "generated samples on top of classical augmentation make no difference" in text
    assert all(comparison.words in text for comparison in example.findings.comparisons)


@pytest.mark.parametrize(("classical", "arms", "drawings"), [(True, 4, 4), (False, 2, 2)])
def test_every_arm_has_a_line_and_every_telling_comparison_a_drawing(classical: bool, arms: int, drawings: int) -> None:
    page = Example(classical=classical).page()
    assert len(re.findall(r'<g class="arm \w+">', page)) == arms
    assert page.count("<svg") == drawings


@pytest.mark.parametrize(("fractions", "seeds"), [((0.5,), (0,)), ((1.0,), (0, 1)), ((0.001, 0.01, 0.1, 1.0), (3,))])
def test_few_fractions_and_a_lone_seed_are_drawn(fractions: tuple[float, ...], seeds: tuple[int, ...]) -> None:
    page = Example(fractions=fractions, seeds=seeds).page()
    assert "nan" not in page.lower().replace("nance", "")
    for width, x in re.findall(r'viewBox="0 0 (\d+) .*?cx="(-?[\d.]+)"', page):
        assert 0 <= float(x) <= float(width)


def test_of_very_many_classes_those_that_change_most_are_shown() -> None:
    page = Example(classes=[f"class {n}" for n in range(300)], classical=False).page()
    assert "The 40 of 300 classes that change most." in page
    assert len(page) < 200_000


def test_a_class_is_shown_with_its_number_of_test_samples() -> None:
    assert re.search(r">cat</th><td class=\"n\">40</td><td", Example().page())


def test_its_commands_hold_the_same_study(elements_of: Any) -> None:
    example = Example()
    text = elements_of(example.page()).text
    files = re.findall(r"cat > (\w+\.yaml) <<'END'\n(.*?)END\n", text, re.DOTALL)
    read = {name: Experiment(**yaml.safe_load(content)) for name, content in files}
    assert read == {"mine.yaml": example.plan.experiment, "gan.yaml": example.plan.gan}
    assert "recurra augment mine.yaml --gan gan.yaml --fractions 0.1,1 --seeds 0,1,2" in text


def test_it_names_what_it_was_made_from(elements_of: Any) -> None:
    text = elements_of(Example().page()).text
    assert all(f"train/training-{arm}" in text for arm in ACCURACIES)
    assert "train/of-the-gan" in text


def test_the_dashboard_has_the_answer_and_a_row_for_each_arm() -> None:
    example = Example()
    summary = summary_markdown(example.findings, example.rows)
    assert example.findings.answer in summary
    assert summary.count("\n| 10% | real") == 4
    table = {(row["fraction"], row["arm"]): row for row in accuracy_table(example.findings)}
    assert table[0.1, "generated"]["verdict"] == "helps"
    assert table[0.1, "real"]["verdict"] is None


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_a_complaint(browsed: Any, scheme: str) -> None:
    shown = browsed(Example(classes=HOSTILE).page(), scheme)
    assert "<title>mine · recurra report</title>" in shown.stdout
    # Chromium logs every refused style, script, picture and request to the console.
    assert "CONSOLE" not in shown.stderr
