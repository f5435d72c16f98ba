"""The queue for the device, under threads."""

import threading
import time
from contextlib import ExitStack

import pytest

from dale_demo.ui.shared.queue import Queue


def most_at_once(capacity: int, threads: int) -> int:
    """Let threads each run for a moment; how many ran at the same time at most."""
    queue, lock = Queue(capacity), threading.Lock()
    running = most = 0

    def work() -> None:
        nonlocal running, most
        with queue.ticket() as ticket:
            while ticket.ahead:
                time.sleep(0.001)
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    assert len(queue) == 0
    return most


def test_no_more_than_the_capacity_run_at_once():
    assert most_at_once(capacity=2, threads=8) == 2


def test_with_enough_capacity_they_all_run_at_once():
    """Negative control: the threads above do overlap where the queue lets them."""
    assert most_at_once(capacity=8, threads=8) > 2


def test_first_come_first_served():
    queue = Queue(1)
    with ExitStack() as others, queue.ticket() as first:
        assert first.ahead == 0
        tickets = [others.enter_context(queue.ticket()) for _ in range(3)]
        assert [ticket.ahead for ticket in tickets] == [1, 2, 3]


def test_leaving_early_moves_the_others_up():
    queue = Queue(1)
    with queue.ticket(), ExitStack() as second:
        second.enter_context(queue.ticket())
        with queue.ticket() as third:
            assert third.ahead == 2
            second.close()
            assert third.ahead == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_gives_the_turn_back(error):
    queue = Queue(1)
    with pytest.raises(error), queue.ticket():
        raise error
    with queue.ticket() as ticket:
        assert ticket.ahead == 0


def test_a_queue_without_capacity_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Queue(0)
