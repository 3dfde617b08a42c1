"""How tests wait, and what they take a busy machine to be."""

import signal
import subprocess
import sys
import time

import gevent
import pytest
from gevent import monkey

from tests.support import patience
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import ROOT
from tests.support.stalls import StallMeter

STOPPED = """
import sys, time
from tests.support.stalls import StallMeter

with StallMeter() as stalls:
    time.sleep(0.3)
    began_s = time.time()
    print("ready", flush=True)
    sys.stdin.readline()
    time.sleep(0.3)
print(stalls.stalled_s(), stalls.stalled_s(since_s=began_s), stalls.stalled_s(until_s=began_s - 0.1))
"""


def test_a_condition_is_asked_for_until_it_is_so_and_its_answer_is_given_back() -> None:
    answers = iter((None, 0, "", [3], 4))
    assert wait_until(lambda: next(answers), every_s=0) == [3]


def test_what_does_not_come_fails_with_what_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HANG_S", 0.0)
    with pytest.raises(AssertionError, match="not so: 5"):
        wait_until(lambda: False, lambda: f"not so: {2 + 3}")


def test_what_a_program_brings_about_is_asked_for_once_more_when_that_has_ended() -> None:
    codes = iter((None, 0))
    requested: list[int] = []
    with pytest.raises(AssertionError, match="it has ended"):
        wait_until(lambda: requested.append(1), "it has ended", every_s=0, ended=lambda: next(codes))
    assert requested == [1, 1]
    assert wait_until(lambda: "so", ended=lambda: 0) == "so"


def test_a_process_that_stands_still_has_a_stall_and_only_at_that_time() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        program.send_signal(signal.SIGCONT)
        logged, _ = program.communicate("\n", timeout=HANG_S)
    every, since, before = map(float, logged.split())
    assert 1.3 < since <= every
    assert before < every - 1.3


def test_greenlets_that_keep_each_other_waiting_are_no_stall() -> None:
    with StallMeter() as stalls:
        gevent.sleep(0.1)
        # The whole thread sleeps, as one that computes for as long.
        monkey.get_original("time", "sleep")(1.5)
        ticks = stalls._ticks.copy()
    # None for as long as this; the machine's own are shorter.
    assert max(tick.late_s for tick in ticks) < 1.4
    assert stalls.allowed_s(2.0) >= 2.0
    assert StallMeter().allowed_s(2.0) == 2.0
