"""A board shows stages side by side: a bar each on a terminal, lines with their label elsewhere, from any thread."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from recurra.board import Bars, Board, LabelledLines, board_for_stream

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
"""What hides and shows a terminal's cursor."""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen() -> Terminal:
    return Terminal()


@pytest.fixture
def bars(screen: Terminal) -> Bars:
    return Bars(Console(file=screen, force_terminal=True, width=120, color_system=None))


def test_lines_carry_the_label_of_their_part() -> None:
    stream = io.StringIO()
    board = LabelledLines(stream, every=0)
    first, second = board.part("cnn-train"), board.part("rnn-train")
    first.begin("epoch 1/2", 100, "samples")
    second.begin("epoch 2/2", 300, "samples")
    first.advance(50, loss=0.25)
    second.advance(300)
    second.note("epoch 2/2  best")
    board.part("").note("3 of 4 trainings done")
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("cnn-train: epoch 1/2: 50/100 samples")
    assert lines[0].endswith("loss 0.25")
    assert lines[1].startswith("rnn-train: epoch 2/2: 300/300 samples")
    assert lines[2:] == ["rnn-train: epoch 2/2  best", "3 of 4 trainings done"]


def _work(board: Board, label: str) -> None:
    part = board.part(label)
    for epoch in range(20):
        part.begin(f"epoch {epoch}", 10, "samples")
        for done in range(1, 11):
            part.advance(done, loss=0.5)
        part.note(f"epoch {epoch} is over")
        part.end()


def test_lines_of_many_threads_stay_whole() -> None:
    stream = io.StringIO()
    board, labels = LabelledLines(stream), [f"stage-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(labels)) as pool:
        list(pool.map(lambda label: _work(board, label), labels))
    expected = sorted(f"{label}: epoch {epoch} is over" for label in labels for epoch in range(20))
    assert sorted(stream.getvalue().splitlines()) == expected


def test_a_terminal_shows_a_bar_for_each_running_stage(bars: Bars, screen: Terminal) -> None:
    first, second = bars.part("cnn-train"), bars.part("rnn-train")
    first.begin("epoch 1/2", 100, "samples")
    second.begin("epoch 2/2", 300, "samples")
    second.advance(150, loss=0.25)
    second.begin("validation", 80, "samples")
    bars.close()
    shown = screen.getvalue()
    assert "cnn-train: epoch 1/2" in shown
    assert "rnn-train: validation" in shown


def test_the_terminal_is_as_it_was_when_the_last_bar_is_gone(bars: Bars, screen: Terminal) -> None:
    first, second = bars.part("cnn"), bars.part("rnn")
    first.begin("epoch", 10, "samples")
    second.begin("epoch", 10, "samples")
    first.end()
    assert (screen.getvalue().count(HIDE), screen.getvalue().count(SHOW)) == (1, 0)
    second.end()
    second.end()
    assert (screen.getvalue().count(HIDE), screen.getvalue().count(SHOW)) == (1, 1)


def test_bars_of_many_threads_are_all_gone_in_the_end(bars: Bars, screen: Terminal) -> None:
    labels = [f"stage-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(labels)) as pool:
        list(pool.map(lambda label: _work(bars, label), labels))
    for label in labels:
        assert screen.getvalue().count(f"{label}: epoch 19 is over") == 1
    assert screen.getvalue().count(HIDE) == screen.getvalue().count(SHOW)


def test_a_stage_that_was_cut_off_leaves_no_bar_and_is_heard_no_more(bars: Bars, screen: Terminal) -> None:
    part = bars.part("cnn")
    part.begin("epoch", 10, "samples")
    bars.close()
    before = screen.getvalue()
    part.advance(5)
    part.end()
    assert screen.getvalue() == before
    part.begin("epoch", 10, "samples")
    assert len(screen.getvalue()) > len(before)
    part.end()


def test_notes_stand_as_they_are_above_the_bars(bars: Bars, screen: Terminal) -> None:
    part = bars.part("cnn-train")
    part.begin("epoch 1/2", 10, "samples")
    part.note("warning: [bold]3 of 4[/bold]")
    part.end()
    assert "cnn-train: warning: [bold]3 of 4[/bold]\n" in screen.getvalue()


def test_the_stream_says_what_a_board_looks_like(screen: Terminal) -> None:
    assert isinstance(board_for_stream(screen), Bars)
    assert isinstance(board_for_stream(io.StringIO()), LabelledLines)
