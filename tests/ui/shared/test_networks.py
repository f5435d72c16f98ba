"""The line for a place to sample, under threads."""

import threading
import time
from contextlib import ExitStack

import pytest

from dale_demo.ui.shared.queue import Line


def busiest(places: int, visitors: int) -> int:
    """Let `visitors` threads each work for a moment; how many worked at the same time at most."""
    line, lock = Line(places), threading.Lock()
    working = most = 0

    def work() -> None:
        nonlocal working, most
        with line.visit() as visit:
            while visit.ahead:
                time.sleep(0.001)
            with lock:
                working += 1
                most = max(most, working)
            time.sleep(0.02)
            with lock:
                working -= 1

    threads = [threading.Thread(target=work) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(line) == 0
    return most


def test_no_more_than_the_places_work_at_once():
    assert busiest(places=2, visitors=8) == 2


def test_without_a_bound_they_all_work_at_once():
    """Negative control: the threads above do overlap where the line lets them."""
    assert busiest(places=8, visitors=8) > 2


def test_visitors_are_served_in_order_and_see_their_place():
    line = Line(1)
    with ExitStack() as others, line.visit() as last:
        assert last.ahead == 0
        visits = [others.enter_context(line.visit()) for _ in range(3)]
        assert [visit.ahead for visit in visits] == [1, 2, 3]


def test_leaving_early_lets_the_others_move_up():
    line = Line(1)
    with line.visit(), ExitStack() as second:
        second.enter_context(line.visit())
        with line.visit() as third:
            assert third.ahead == 2
            second.close()
            assert third.ahead == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_gives_the_place_back(error):
    line = Line(1)
    with pytest.raises(error), line.visit():
        raise error
    with line.visit() as visit:
        assert visit.ahead == 0


def test_a_line_without_places_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Line(0)
