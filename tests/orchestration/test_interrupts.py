"""A signal that Dagster's own handler takes and forgets is known afterwards."""

import os
import signal
import threading

import pytest
from dagster._utils.interrupts import capture_interrupts, check_captured_interrupt

from orchestration.interrupts import interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_dagster_forgets_is_known(number):
    with interrupts() as told:
        assert not told()
        with capture_interrupts():
            os.kill(os.getpid(), number)
        assert not check_captured_interrupt(), "Dagster keeps it now, and this module is not needed any more"
        assert told() and told()


def test_other_signals_mean_nothing_and_the_block_leaves_no_trace():
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with interrupts() as told:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert not told()
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_in_another_thread_nobody_is_told():
    said = []

    def work() -> None:
        with interrupts() as told:
            said.append(told())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == [False]
