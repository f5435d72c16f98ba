"""The queue for the device, under threads."""

import threading
import time
from contextlib import ExitStack

import pytest

from dale_demo.ui.shared import queue as queues
from dale_demo.ui.shared.queue import Queue, wait_turn


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


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_a_share_of_time_those_who_wait_go_first():
    clock = Clock()
    queue = Queue(1, share=20, clock=clock)
    with queue.ticket() as long, queue.ticket() as second, queue.ticket() as third:
        clock.now = 19
        assert not long.yield_turn(), "its share is not over"
        clock.now = 20
        assert long.yield_turn()
        assert [second.ahead, third.ahead, long.ahead] == [0, 1, 2]
        clock.now = 39
        assert not second.yield_turn(), "its share began when its turn did"
        clock.now = 40
        assert second.yield_turn()
        assert [third.ahead, long.ahead, second.ahead] == [0, 1, 2]


def test_a_run_alone_keeps_its_turn():
    """Negative control: neither time nor a free place beside it makes a run pause."""
    clock = Clock()
    queue = Queue(2, share=20, clock=clock)
    with queue.ticket() as first, queue.ticket() as second:
        clock.now = 1000
        assert not first.yield_turn()
        assert not second.yield_turn()
        with queue.ticket() as third:
            assert first.yield_turn(), "at once when somebody waits: its share is long over"
            assert [third.ahead, second.ahead, first.ahead] == [0, 0, 1]


def test_a_ticket_that_waits_has_no_turn_to_yield():
    clock = Clock()
    queue = Queue(1, share=20, clock=clock)
    with queue.ticket(), queue.ticket() as waiting, queue.ticket() as last:
        clock.now = 1000
        assert not waiting.yield_turn()
        assert [waiting.ahead, last.ahead] == [1, 2]


def test_a_run_that_pauses_goes_on_when_the_others_have_left():
    clock = Clock()
    queue = Queue(1, share=20, clock=clock)
    with queue.ticket() as long, ExitStack() as others:
        others.enter_context(queue.ticket())
        clock.now = 20
        assert long.yield_turn()
        assert long.ahead == 1
        others.close()
        assert long.ahead == 0
        clock.now = 39
        with queue.ticket():
            assert not long.yield_turn(), "its second share began at 20"
            clock.now = 40
            assert long.yield_turn()


def test_who_waits_sleeps_until_the_turn_comes():
    """It looks when the order changes, not again and again, and does not sleep on after that."""
    queue, looks, done = Queue(1), 0, threading.Event()
    before = queue._before

    def counted(ticket):
        nonlocal looks
        looks += 1
        return before(ticket)

    queue._before = counted

    def wait() -> None:
        with queue.ticket() as ticket:
            assert ticket.wait(60) == 0
            done.set()

    thread = threading.Thread(target=wait)
    with queue.ticket():
        thread.start()
        assert not done.wait(0.3)
    assert done.wait(10)
    thread.join(10)
    assert looks < 10


def test_waiting_ends_when_patience_does():
    queue = Queue(1)
    with queue.ticket(), queue.ticket() as second:
        assert second.wait(0.01) == 1


def test_many_long_runs_take_turns_and_all_end():
    queue, capacity, runs, steps = Queue(2, share=0.0), 2, 6, 30
    reached, running, lock = [0] * runs, set(), threading.Lock()
    most = pauses = 0

    def work(own: int) -> None:
        nonlocal most, pauses
        with queue.ticket() as ticket:
            while ticket.wait(60):
                pass
            for _ in range(steps):
                with lock:
                    running.add(own)
                    reached[own] += 1
                    most = max(most, len(running))
                time.sleep(0.001)
                with lock:
                    running.discard(own)
                if ticket.yield_turn():
                    with lock:
                        pauses += 1
                    while ticket.wait(60):
                        pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert reached == [steps] * runs
    assert most == capacity
    assert pauses > runs
    assert len(queue) == 0


class Words:
    """In place of Streamlit's placeholder."""

    def __init__(self, leave_after: int = 1000):
        self.texts, self.left, self.cleared = [], leave_after, 0

    def info(self, text, **_):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.texts.append(text)

    def empty(self):
        self.cleared += 1


@pytest.fixture
def one_place(monkeypatch):
    """The app's queue, with a single place and without patience."""
    queue = Queue(1, share=0.0)
    monkeypatch.setattr(queues, "QUEUE", queue)
    monkeypatch.setattr(queues, "POLL_SECONDS", 0.01)
    return queue


def test_a_visitor_is_told_of_a_pause_until_it_ends(one_place):
    words = Words()
    with wait_turn(words) as turn:
        turn.give_way()
        assert not words.texts, "nobody waits"
        assert turn.paused == 0
        with ExitStack() as others:
            others.enter_context(one_place.ticket())
            threading.Timer(0.1, others.close).start()
            turn.give_way()
            assert turn.paused >= 0.05
    assert words.texts[0].startswith("1 person is ahead of you; your run pauses")
    assert words.cleared == 1


def join_and_leave(others: ExitStack, pausing: bool) -> None:
    """A visitor who leaves: before the turn, or in a pause."""
    if not pausing:
        others.enter_context(queues.QUEUE.ticket())
    with wait_turn(Words(leave_after=2)) as turn:
        assert pausing
        others.enter_context(queues.QUEUE.ticket())
        turn.give_way()


@pytest.mark.parametrize("pausing", [False, True])
def test_a_visitor_who_leaves_while_waiting_frees_the_place(one_place, pausing):
    with ExitStack() as others:
        with pytest.raises(KeyboardInterrupt):
            join_and_leave(others, pausing)
        assert len(one_place) == 1
