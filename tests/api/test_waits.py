from types import SimpleNamespace

import pytest

from obswarm import clock
from obswarm.api import (
    Environment,
    Events,
    TaskSet,
    User,
    between,
    constant,
    constant_pacing,
    constant_throughput,
    poisson,
)
from obswarm.stats import PACING, Recorder


class FakeClock:
    def __init__(self, monkeypatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)


def test_between_stays_between_and_uses_the_whole_range() -> None:
    waits = [between(1, 3)(None) for _ in range(1000)]
    assert min(waits) >= 1
    assert max(waits) <= 3
    assert max(waits) - min(waits) > 1.8


def test_constant_is_constant() -> None:
    assert constant(0.5)(None) == 0.5


def test_constant_pacing_makes_up_for_the_time_of_the_task_and_for_late_wake_ups(monkeypatch) -> None:
    fake = FakeClock(monkeypatch)
    user = SimpleNamespace(_iteration_started=fake.now)
    wait = constant_pacing(1.0)
    fake.now += 0.3
    assert wait(user) == pytest.approx(0.7)
    fake.now += 0.7 + 0.05 + 0.2  # woken 50 ms late, then a task of 200 ms
    assert wait(user) == pytest.approx(0.75)


def test_constant_pacing_does_not_wait_after_a_task_that_took_too_long_and_does_not_catch_up(monkeypatch) -> None:
    fake = FakeClock(monkeypatch)
    user = User(Environment(events=Events(), recorder=Recorder()))
    wait = constant_pacing(1.0)
    fake.now += 5
    assert wait(user) == 0
    fake.now += 0.4
    assert wait(user) == pytest.approx(0.6)


def test_a_user_that_falls_behind_its_pacing_counts_the_iterations_that_it_misses(monkeypatch) -> None:
    """Four tasks of 1.5 s in place of one a second: two iterations are missing, counted when they are whole."""
    fake = FakeClock(monkeypatch)
    recorder = Recorder()
    wait = constant_pacing(1.0)
    user = User(Environment(events=Events(), recorder=recorder))
    # A TaskSet has its own pacing, and counts for the class of its user.
    for make in (lambda: user, lambda: TaskSet(user)):
        instance = make()
        found = []
        for _ in range(4):
            fake.now += 1.5
            assert wait(instance) == 0
            found.append(dict(recorder.current.dropped))
        assert found == [{}, {("User", PACING): 1}, {("User", PACING): 1}, {("User", PACING): 2}]
        fake.now += 0.2
        assert wait(instance) == pytest.approx(0.8), "it does not catch up"
        assert recorder.take().dropped == {("User", PACING): 2}
    fake.now += 9
    assert constant_pacing(0)(user) == 0
    assert recorder.is_empty


def test_constant_throughput_is_pacing_by_rate(monkeypatch) -> None:
    fake = FakeClock(monkeypatch)
    user = SimpleNamespace(_iteration_started=fake.now)
    assert constant_throughput(4)(user) == pytest.approx(0.25)


def test_poisson_waits_have_the_mean_of_their_rate() -> None:
    wait = poisson(10)
    assert sum(wait(None) for _ in range(20_000)) / 20_000 == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("make", [lambda: between(3, 1), lambda: constant(-1), lambda: constant_pacing(-1), lambda: constant_throughput(0), lambda: poisson(-2), lambda: between(float("nan"), 1)])  # fmt: skip
def test_times_that_make_no_sense_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"not negative|smaller|above 0"):
        make()
