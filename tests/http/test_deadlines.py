"""The wheel of deadlines, on a clock of the test's own."""

import pytest
from greenlet import greenlet

from obswarm.http import deadlines as module
from obswarm.http.deadlines import NEVER, RESOLUTION_S, Deadlines, StreamTimeout


class Timer:
    def __init__(self) -> None:
        self.callback = None

    def start(self, callback) -> None:
        self.callback = callback

    def stop(self) -> None:
        self.callback = None


class Hub(greenlet):
    """Nothing here waits."""

    class loop:  # noqa: N801 - as gevent calls it
        made = Timer()

        @classmethod
        def timer(cls, after: float, repeat: float) -> Timer:
            cls.made = Timer()
            return cls.made


class Sleeper:
    def __init__(self, due: float) -> None:
        self.due = due
        self.looked_at = NEVER
        self.waiter = self
        self.woken_at: float | None = None

    def throw(self, error: BaseException) -> None:
        assert isinstance(error, StreamTimeout)
        self.woken_at = CLOCK[0]
        self.waiter = None


CLOCK = [1000.0]


@pytest.fixture
def wheel(monkeypatch):
    CLOCK[0] = 1000.0
    monkeypatch.setattr(module.clock, "monotonic", lambda: CLOCK[0])
    wheel = Deadlines(Hub())
    timer = Hub.loop.made

    def pass_time(seconds: float) -> None:
        for _ in range(round(seconds / RESOLUTION_S)):
            CLOCK[0] += RESOLUTION_S
            if timer.callback is not None:
                timer.callback()

    wheel.pass_time = pass_time
    wheel.turning = lambda: timer.callback is not None
    return wheel


def test_a_connection_is_woken_soon_after_its_deadline(wheel) -> None:
    sleepers = [Sleeper(1000.0 + due) for due in (0.004, 0.5, 0.501, 3.0)]
    for sleeper in sleepers:
        wheel.watch(sleeper)
    wheel.pass_time(4)
    for sleeper in sleepers:
        assert sleeper.woken_at is not None
        assert sleeper.due <= sleeper.woken_at <= sleeper.due + 3 * RESOLUTION_S
    assert not wheel.turning()


def test_a_moved_deadline_is_checked_once_per_timeout(wheel) -> None:
    busy = Sleeper(1000.5)
    wheel.watch(busy)
    for _ in range(100):
        busy.due = CLOCK[0] + 0.5
        wheel.pass_time(0.05)
    assert busy.woken_at is None
    wheel.pass_time(1)
    assert busy.woken_at is not None
    assert busy.woken_at == pytest.approx(busy.due, abs=3 * RESOLUTION_S)


def test_an_earlier_deadline_counts(wheel) -> None:
    sleeper = Sleeper(1060.0)
    wheel.watch(sleeper)
    wheel.pass_time(1)
    sleeper.due = CLOCK[0] + 0.2
    assert sleeper.due < sleeper.looked_at
    wheel.watch(sleeper)
    wheel.pass_time(0.3)
    assert sleeper.woken_at == pytest.approx(1001.2, abs=3 * RESOLUTION_S)


def test_a_deadline_that_has_passed_is_met_at_the_next_turn(wheel) -> None:
    sleeper = Sleeper(990.0)
    wheel.watch(sleeper)
    wheel.pass_time(0.03)
    assert sleeper.woken_at is not None


def test_a_removed_or_idle_connection_is_not_timed_out(wheel) -> None:
    gone, idle = Sleeper(1000.1), Sleeper(1000.1)
    idle.waiter = None
    wheel.watch(gone)
    wheel.watch(idle)
    wheel.forget(gone)
    wheel.pass_time(1)
    assert gone.woken_at is None
    assert idle.looked_at == NEVER
    assert not wheel.turning()
    gone.due = CLOCK[0] + 0.1
    wheel.watch(gone)
    wheel.pass_time(0.2)
    assert gone.woken_at is not None
