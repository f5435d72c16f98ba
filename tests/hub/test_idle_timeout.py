"""Work that may hang: what comes back, what is given up, and that it ends."""

import threading
import time

import pytest

from dale_demo.hub.idle_timeout import Pulse, SilenceError, patiently


def test_results_and_errors_come_through():
    assert patiently(lambda pulse: 7, 1) == 7

    def fail(pulse: Pulse) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        patiently(fail, 1)


def test_an_error_of_the_work_is_not_taken_for_its_silence():
    def time_out(pulse: Pulse) -> None:
        raise TimeoutError("of the work itself")

    with pytest.raises(TimeoutError, match="of the work itself"):
        patiently(time_out, 1)


def test_silence_is_given_up():
    never = threading.Event()
    began = time.monotonic()
    with pytest.raises(SilenceError, match=r"0\.2 s"):
        patiently(lambda pulse: never.wait(), 0.2)
    assert 0.2 <= time.monotonic() - began < 5
    never.set()


def test_signs_of_life_are_waited_for():
    def slow(pulse: Pulse) -> str:
        for _ in range(6):
            time.sleep(0.3)
            pulse.beat()
        return "done"

    assert patiently(slow, 1.5) == "done", "1.8 s in all, never 1.5 s silent"


def test_abandoned_work_ends_at_its_next_sign_of_life():
    ended, more = threading.Event(), threading.Event()

    def work(pulse: Pulse) -> None:
        more.wait()
        try:
            pulse.beat()
        except SilenceError:
            ended.set()
            raise

    with pytest.raises(SilenceError):
        patiently(work, 0.1)
    more.set()
    assert ended.wait(5)
