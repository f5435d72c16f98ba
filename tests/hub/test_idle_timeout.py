"""Work with an idle timeout: results, errors, timeouts, and the end of cancelled work."""

import threading
import time

import pytest

from dale_demo.hub.idle_timeout import Heartbeat, IdleTimeoutError, with_idle_timeout


def test_results_and_errors_come_through():
    assert with_idle_timeout(lambda heartbeat: 7, 1) == 7

    def fail(heartbeat: Heartbeat) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        with_idle_timeout(fail, 1)


def test_an_error_of_the_work_is_not_taken_for_a_timeout():
    def time_out(heartbeat: Heartbeat) -> None:
        raise TimeoutError("of the work itself")

    with pytest.raises(TimeoutError, match="of the work itself"):
        with_idle_timeout(time_out, 1)


def test_work_without_progress_is_given_up():
    never = threading.Event()
    began = time.monotonic()
    with pytest.raises(IdleTimeoutError, match=r"0\.2 s"):
        with_idle_timeout(lambda heartbeat: never.wait(), 0.2)
    assert 0.2 <= time.monotonic() - began < 5
    never.set()


def test_work_with_progress_may_take_longer_than_the_timeout():
    def slow(heartbeat: Heartbeat) -> str:
        for _ in range(6):
            time.sleep(0.3)
            heartbeat.beat()
        return "done"

    assert with_idle_timeout(slow, 1.5) == "done", "1.8 s in all, never 1.5 s without progress"


def test_cancelled_work_ends_at_its_next_beat():
    ended, more = threading.Event(), threading.Event()

    def work(heartbeat: Heartbeat) -> None:
        more.wait()
        try:
            heartbeat.beat()
        except IdleTimeoutError:
            ended.set()
            raise

    with pytest.raises(IdleTimeoutError):
        with_idle_timeout(work, 0.1)
    more.set()
    assert ended.wait(5)
