"""Lanes go on side by side, as many as there is room for, and fail each for itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, get_ident
from typing import Any

import pytest

from recurra_flows.lanes import Lane, Lanes


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def run(lanes: Lanes) -> dict[str, Exception]:
    """What failed, by name."""
    failures: dict[str, Exception] = {}
    lanes.run(failures.__setitem__)
    return failures


def done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def test_a_lane_is_sent_what_each_of_its_tasks_returned(pool: ThreadPoolExecutor) -> None:
    seen = []

    def lane() -> Lane:
        first = yield pool.submit(lambda: 1)
        second = yield done(first + 1)
        seen.append((second, get_ident()))

    lanes = Lanes(1)
    lanes.add("a", lane())
    assert run(lanes) == {}
    assert seen == [(2, get_ident())]


def test_as_many_go_on_at_once_as_there_is_room_for(pool: ThreadPoolExecutor) -> None:
    together, running, most = Barrier(3), set[int](), []

    def lane(number: int) -> Lane:
        running.add(number)
        most.append(len(running))
        yield pool.submit(together.wait, 30)
        running.remove(number)

    lanes = Lanes(3)
    for number in range(6):
        lanes.add(str(number), lane(number))
    assert run(lanes) == {}
    assert max(most) == 3


@pytest.mark.parametrize("room", [1, 2, 5])
def test_a_failure_ends_its_own_lane_alone(pool: ThreadPoolExecutor, room: int) -> None:
    ended = []

    def lane(number: int) -> Lane:
        value = yield pool.submit(lambda: 1 // number)
        yield done(value)
        if number == 2:
            raise RuntimeError("between two tasks")
        ended.append(number)

    lanes = Lanes(room)
    for number in range(4):
        lanes.add(f"lane {number}", lane(number))
    failures = run(lanes)
    assert sorted(ended) == [1, 3]
    assert {name: type(error) for name, error in failures.items()} == {
        "lane 0": ZeroDivisionError,
        "lane 2": RuntimeError,
    }


def test_a_lane_can_mend_what_its_task_raised_and_add_others(pool: ThreadPoolExecutor) -> None:
    lanes, seen = Lanes(1), []

    def second() -> Lane:
        seen.append((yield done("second")))

    def first() -> Lane:
        try:
            yield pool.submit(lambda: 1 // 0)
        except ZeroDivisionError:
            lanes.add("second", second())
            seen.append((yield done("mended")))

    lanes.add("first", first())
    assert run(lanes) == {}
    assert seen == ["mended", "second"]


def test_an_interruption_leaves_at_once(pool: ThreadPoolExecutor) -> None:
    def lane() -> Lane:
        yield done(1)
        raise KeyboardInterrupt

    lanes = Lanes(2)
    lanes.add("a", lane())
    with pytest.raises(KeyboardInterrupt):
        run(lanes)
