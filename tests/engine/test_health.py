from obswarm.engine.health import HealthMonitor, SaturationWatch


def test_saturation_needs_several_seconds_in_a_row_and_is_told_once() -> None:
    watch = SaturationWatch(after=3)
    verdicts = [watch.update(cpu, 0.0) for cpu in (0.95, 0.95, 0.2, 0.95, 0.95, 0.95, 0.95)]
    assert verdicts == [False, False, False, False, False, True, False]
    assert watch.saturated
    assert "CPU use is 95%" in watch.reason


def test_a_late_loop_saturates_as_well_and_the_mark_stays() -> None:
    watch = SaturationWatch(after=2)
    assert [watch.update(0.1, lag) for lag in (0.5, 0.5, 0.0)] == [False, True, False]
    assert watch.saturated
    assert "500 ms late" in watch.reason


def test_one_pause_of_the_machine_marks_nothing() -> None:
    watch = SaturationWatch(after=3)
    for lag in (0.0, 2.0, 0.0, 2.0):
        watch.update(0.3, lag)
    assert not watch.saturated


def test_the_monitor_sees_a_loop_that_was_blocked() -> None:
    import time

    import gevent
    from gevent import monkey

    monitor = HealthMonitor("local")
    monitor.start()
    gevent.sleep(0.03)
    monkey.get_original("time", "sleep")(0.08)
    gevent.sleep(0.03)
    health, _ = monitor.read(users=5)
    monitor.stop()
    assert health.loop_lag_s > 0.05
    assert health.memory_bytes > 1_000_000
    assert (health.users, health.worker) == (5, "local")
    assert time.process_time() > 0
