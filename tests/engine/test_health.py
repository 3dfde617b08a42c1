from pathlib import Path

import psutil
import pytest

from obswarm import clock
from obswarm.engine import health
from obswarm.engine.health import HealthMonitor, SaturationWatch


def test_saturation_needs_several_seconds_in_a_row_and_is_told_once() -> None:
    watch = SaturationWatch(after_s=3)
    verdicts = [watch.update(cpu, 0.0) for cpu in (0.95, 0.95, 0.2, 0.95, 0.95, 0.95, 0.95)]
    assert verdicts == [False, False, False, False, False, True, False]
    assert watch.saturated
    assert "CPU use is 95%" in watch.reason


def test_a_late_loop_saturates_as_well_and_the_mark_stays() -> None:
    watch = SaturationWatch(after_s=2)
    assert [watch.update(0.1, lag) for lag in (0.5, 0.5, 0.0)] == [False, True, False]
    assert watch.saturated
    assert "lag is 500 ms" in watch.reason


def test_a_process_that_was_held_up_is_judged_by_how_long_that_was() -> None:
    for cpu, lag, interval_s in ((1.0, 6.0, 6.2), (0.1, 6.0, 6.2), (0.95, 0.0, 3.0), (0.8, 3.0, 9.0)):
        watch = SaturationWatch(after_s=3)
        assert watch.update(cpu, lag, interval_s)
        assert watch.saturated


def test_a_long_interval_with_a_short_pause_marks_nothing() -> None:
    watch = SaturationWatch(after_s=3)
    assert not watch.update(0.5, 0.5, 10.0)
    assert watch.over_s == 1.0


def test_intervals_that_are_a_little_short_are_enough() -> None:
    watch = SaturationWatch(after_s=3)
    assert [watch.update(0.95, 0.0, 0.99) for _ in range(3)] == [False, False, True]


def test_one_pause_of_the_machine_marks_nothing() -> None:
    watch = SaturationWatch(after_s=3)
    for lag in (0.0, 2.0, 0.0, 2.0):
        watch.update(0.3, lag)
    assert not watch.saturated


def test_health_is_measured_once_for_calls_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, cpu_s = [100.0], [10.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr("time.process_time", lambda: cpu_s[0])
    monitor = HealthMonitor("w")
    monitor.start()
    monitor.stop()
    now[0] += 6.0
    cpu_s[0] += 6.0
    first, became = monitor.read(1)
    assert (first.cpu_ratio, first.saturated, became) == (1.0, True, True)
    for _ in range(5):
        now[0] += 0.001
        again, became = monitor.read(2)
        assert (again.cpu_ratio, again.loop_lag_s, again.users, became) == (1.0, first.loop_lag_s, 2, False)
    now[0] += 1.0
    later, _ = monitor.read(1)
    assert later.cpu_ratio == 0.0
    assert (later.max_cpu_ratio, later.max_loop_lag_s) == (1.0, first.loop_lag_s)


def test_the_monitor_sees_a_loop_that_was_blocked() -> None:
    import time

    import gevent
    from gevent import monkey

    monitor = HealthMonitor("local")
    monitor.start()
    gevent.sleep(0.03)
    monkey.get_original("time", "sleep")(0.08)
    gevent.sleep(0.03)
    measured, _ = monitor.read(users=5)
    monitor.stop()
    assert measured.loop_lag_s > 0.05
    assert measured.memory_bytes > 1_000_000
    assert (measured.users, measured.worker) == (5, "local")
    assert time.process_time() > 0


def test_the_memory_is_the_resident_set_with_and_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = psutil.Process().memory_info().rss
    assert health._resident_memory()() == pytest.approx(expected, rel=0.05)
    monkeypatch.setattr(health, "_STATM", str(tmp_path / "missing"))
    assert health._resident_memory()() == pytest.approx(expected, rel=0.05)
