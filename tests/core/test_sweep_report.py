"""The report of a sweep is one page that asks for nothing, shows values as text, and can be run again."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shlex
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from recurra.config import load_experiment
from recurra.experiment import Data, Experiment, Train
from recurra.report.sweep import render, summary_markdown, trials_table
from recurra.sweep.best_file import best_file
from recurra.sweep.fields import checked
from recurra.sweep.findings import Findings
from recurra.sweep.plan import Plan, planned
from recurra.sweep.space import separated
from recurra.sweep.trial import Trial, best_of, write_trials

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>')
SETTINGS = ("train.learning_rate=1e-4..1e-1", "model.rnn.cell=lstm,gru", "model.cnn.channels=[8],[8,16]")


def findings(settings: tuple[str, ...] = SETTINGS, monitor: str = "val_accuracy", trials: int = 8) -> Findings:
    """What a sweep found: trials that get better, and one each that was pruned and that failed."""
    experiment = Experiment(
        name="mine", data=Data(source="some/folder"), train=Train.model_validate({"monitor": monitor})
    )
    space = checked(experiment, separated(settings)[1], "my.yaml")
    plan, found = Plan(experiment=experiment, space=space, trials=trials), []
    for number in range(trials):
        values = {each.field: each.ends[number % len(each.ends)] for each in space}
        value = 0.5 + 0.05 * number
        curve = tuple((epoch, value - 0.1 / epoch) for epoch in (1, 2, 3))
        found.append(Trial(number, values, "done", value, curve, 2, 3, 4.0, f"key-{number}"))
    if trials > 3:
        found[1] = Trial(
            1, found[1].settings, "pruned", None, ((1, 0.2),), None, 1, 1.0, None, "pruned after epoch 1 of 3"
        )
        found[2] = Trial(2, found[2].settings, "failed", reason=HOSTILE[0])
    best = best_of(plan, found)
    assert best is not None
    shares = {each.field: 1 / len(space) for each in space} if len(space) > 1 else {}
    test = {"accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9, "macro_f1": 0.8, "log_loss": 0.5, "ece": 0.1}
    return Findings(plan, tuple(found), best, shares, test, 400, 100, "dataset", "evaluation")


def test_the_page_asks_for_nothing_and_runs_nothing(elements_of: Any) -> None:
    page = render(findings())
    elements = elements_of(page)
    assert not elements.of("script", "link", "iframe", "object", "embed", "form", "base", "img")
    for _, attributes in elements.found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in page or f"style-src 'sha256-{digest}'" in page


def test_values_and_reasons_are_shown_as_text(elements_of: Any) -> None:
    found = findings(("backend=" + ",".join(map(json.dumps, HOSTILE)), *SETTINGS))
    elements = elements_of(render(found))
    assert not elements.of("script", "img")
    assert all(text in elements.text for text in HOSTILE)
    tables = summary_markdown(found).split("## The best as")[0]
    assert re.search(r"(?<!\\)<", tables) is None


def test_equal_input_gives_equal_bytes_and_findings_read_back() -> None:
    found = findings()
    assert render(found) == render(findings())
    assert Findings.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False, sort_keys=True))) == found


@pytest.mark.parametrize("settings", [SETTINGS, SETTINGS[:1], SETTINGS[1:2]])
@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize("trials", [1, 2, 8])
def test_every_drawing_lies_within_its_frame(settings: tuple[str, ...], monitor: str, trials: int) -> None:
    page = render(findings(settings, monitor, trials))
    for drawing in re.findall(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"(.*?)</svg>\s*<', page, re.DOTALL):
        width, height = float(drawing[0]), float(drawing[1])
        for x, y in re.findall(r'c?x="([^"]+)" c?y="([^"]+)"', drawing[2]):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))


def test_the_best_file_is_the_best_trial_and_reads_back(tmp_path: Path) -> None:
    found = findings()
    (tmp_path / "best.yaml").write_text(best_file(found), encoding="utf-8")
    read = load_experiment(tmp_path / "best.yaml")
    assert read == found.experiment
    assert read.name == "mine-best"
    assert (read.train.learning_rate, read.model.cnn.channels) == (0.1, (8, 16))


def test_the_commands_of_the_page_are_the_same_sweep(tmp_path: Path, elements_of: Any) -> None:
    found = findings()
    text = elements_of(render(found)).text
    again = re.search(r"cat > mine.yaml <<'END'\n(.*?)END\nrecurra sweep mine.yaml (.*?)\n", text, re.DOTALL)
    assert again is not None
    file, command = again.groups()
    (tmp_path / "mine.yaml").write_text(file)
    arguments = shlex.split(command)
    settings = [each for each in arguments if "=" in each]
    assert planned(tmp_path / "mine.yaml", settings, trials=8) == found.plan


def test_what_to_know_is_said() -> None:
    said = " ".join(findings().warnings)
    assert "1 trial failed: <script>" in said
    assert "The best value of train.learning_rate lies at the end of its range" in said
    assert "6 trials came to the end" in said
    assert "had the settings of another" in said


def test_the_tables_have_every_trial_the_best_first(tmp_path: Path) -> None:
    found = findings()
    rows: list[dict[str, Any]] = trials_table(found)
    assert [row["trial"] for row in rows] == [7, 6, 5, 4, 3, 0, 1, 2]
    assert [row["state"] for row in rows][-2:] == ["pruned", "failed"]
    write_trials(tmp_path / "sweep.parquet", found.plan, found.trials)
    table = pq.read_table(tmp_path / "sweep.parquet")
    assert table["model.rnn.cell"].to_pylist()[:2] == ["lstm", "gru"]
    assert table["value"].to_pylist()[1:3] == [None, None]
    assert math.isclose(table["value"].to_pylist()[7], 0.85)


def test_the_summary_has_the_answer_and_the_file() -> None:
    found = findings()
    summary = summary_markdown(found)
    assert "has train.learning\\_rate 0.1, model.rnn.cell gru and model.cnn.channels" in summary
    block = re.search(r"```yaml\n(.*?)```", summary, re.DOTALL)
    assert block is not None
    assert yaml.safe_load(block[1])["train"]["learning_rate"] == 0.1


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_a_complaint(browsed: Any, scheme: str) -> None:
    shown = browsed(render(findings()), scheme)
    assert "<title>mine · recurra report</title>" in shown.stdout
    # Chromium logs every refused style, script, picture and request to the console.
    assert "CONSOLE" not in shown.stderr
