"""A whole run in this process, with users that wait for events instead of the network."""

from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import Environment, Events, LoadTestShape, StopTest, StopUser, User, constant, parse_stages, task
from obswarm.engine import (
    LoadSchedule,
    Output,
    Outputs,
    Ramp,
    Run,
    RunResult,
    ShapeSchedule,
    StagesSchedule,
    StopReason,
)
from obswarm.engine.emitter import next_due
from obswarm.record import RunState, Snapshot, StopKind
from obswarm.stats import Recorder
from tests.support.patience import HANG_S, wait_until
from tests.support.runs import local_run
from tests.support.stalls import StallMeter

CTRL_C = StopReason(StopKind.SIGNAL, "interrupted")


class Kept(Output):
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []

    def snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)


class Counted(User):
    """Counts one request a task, without a network."""

    abstract = True
    wait_time = constant(0.001)

    def count(self, name: str = "/", error: str | None = None) -> None:
        self.environment.recorder.record("GET", name, 0.001, 10, 200, error)


def make_run(*classes: type[User], schedule: LoadSchedule | None = None, outputs=(), **settings) -> Run:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=list(classes), **settings)
    return local_run(environment, schedule or Ramp(3, 1000), test="t", outputs=Outputs(outputs), interval_s=0.05)


def finish(run: Run, until: Callable[[], object] | None = None) -> RunResult:
    """Run it to its end, or until something is so."""
    if until is not None:
        gevent.spawn(lambda: (wait_until(until, every_s=0.01), run.stop(CTRL_C)))
    with gevent.Timeout(HANG_S):
        return run.run()


def test_a_run_counts_what_its_users_did_and_says_why_it_ended() -> None:
    class Visitor(Counted):
        done = 0

        @task
        def work(self):
            type(self).done += 1
            self.count()

    stored = Kept()
    result = finish(make_run(Visitor, schedule=Ramp(3, 1000, duration_s=1.5), outputs=[stored]))
    assert result.stop_reason == StopReason(StopKind.TIME, "the planned time is over")
    assert result.final.total.requests == Visitor.done > 10
    assert result.users_max == 3
    assert result.final.state is RunState.STOPPED
    assert sum(snapshot.interval_total.requests for snapshot in stored.snapshots) == Visitor.done
    assert {snapshot.state for snapshot in stored.snapshots} >= {RunState.RUNNING, RunState.STOPPED}


def test_events_come_in_locusts_order() -> None:
    class Visitor(Counted):
        @task
        def work(self):
            self.count()

    run = make_run(Visitor)
    course: list[str] = []
    events = run._environment.events
    for name in ("test_start", "spawning_complete", "test_stopping", "test_stop"):
        getattr(events, name).add_listener(lambda _name=name, **_: course.append(_name))
    counts = []
    events.spawning_complete.add_listener(lambda user_count, **_: counts.append(user_count))
    reports = []
    events.report_to_master.add_listener(lambda client_id, data, **_: data.update(mine=1))
    events.worker_report.add_listener(lambda client_id, data, **_: reports.append(data["mine"]))
    finish(run, until=lambda: "spawning_complete" in course)
    assert course == ["test_start", "spawning_complete", "test_stopping", "test_stop"]
    assert counts == [3]
    assert set(reports) == {1}


def test_a_graceful_stop_lets_running_tasks_finish_and_waiting_users_go() -> None:
    started, may_finish, finished = [], Event(), []

    class Busy(Counted):
        @task
        def work(self):
            started.append(self)
            may_finish.wait()
            self.count()
            finished.append(self)

    class Waiting(Counted):
        wait_time = constant(60)
        stopped = 0

        @task
        def work(self):
            started.append(self)
            self.count()

        def on_stop(self):
            type(self).stopped += 1

    run = make_run(Busy, Waiting, schedule=Ramp(4, 1000), stop_timeout=HANG_S)
    run._environment.events.test_stopping.add_listener(lambda **_: gevent.spawn_later(0.1, may_finish.set))
    result = finish(run, until=lambda: len(started) == 4)
    assert len(finished) == 2
    assert Waiting.stopped == 2
    assert result.final.total.requests == 4
    assert result.final.interrupted == 0


def test_the_stop_timeout_ends_tasks_that_do_not_finish() -> None:
    class Stuck(Counted):
        started = stopped = 0

        @task
        def work(self):
            type(self).started += 1
            gevent.sleep(60)

        def on_stop(self):
            type(self).stopped += 1

    with StallMeter() as stalls:
        result = finish(make_run(Stuck, stop_timeout=0.1), until=lambda: Stuck.started == 3)
    assert Stuck.stopped == 3
    assert result.final.elapsed_s < stalls.allowed_s(2)


def test_an_abort_ends_at_once() -> None:
    class Stuck(Counted):
        @task
        def work(self):
            gevent.sleep(60)

    run = make_run(Stuck, stop_timeout=60)
    gevent.spawn_later(0.1, run.stop, CTRL_C)
    gevent.spawn_later(0.2, run.abort, CTRL_C)
    with StallMeter() as stalls:
        result = finish(run)
    assert result.final.elapsed_s < stalls.allowed_s(2)
    assert result.forced


def test_users_that_end_by_themselves_are_not_replaced_and_the_last_one_ends_the_run() -> None:
    class Brief(Counted):
        @task
        def work(self):
            self.count()
            raise StopUser

    result = finish(make_run(Brief))
    assert result.final.total.requests == 3
    assert result.stop_reason.kind is StopKind.USER


def test_stop_test_ends_the_run_from_inside_a_user() -> None:
    class Judge(Counted):
        @task
        def work(self):
            self.count()
            raise StopTest

    result = finish(make_run(Judge))
    assert result.stop_reason == StopReason(StopKind.USER, "a user raised StopTest")


def test_a_listener_can_stop_the_run_and_read_its_statistics() -> None:
    class Visitor(Counted):
        @task
        def work(self):
            self.count(error="refused")

    run = make_run(Visitor)
    seen = []

    @run._environment.events.spawning_complete.add_listener
    def judge(**_):
        gevent.spawn_later(0.05, check)

    def check():
        stats = run._environment.stats
        seen.append((stats.total.fail_ratio, stats.get("/", "GET").num_requests, run._environment.runner.user_count))
        run._environment.runner.quit()

    result = finish(run)
    assert result.stop_reason.kind is StopKind.USER
    ((ratio, requests, users),) = seen
    assert ratio == 1
    assert requests > 0
    assert users == 3


def test_the_load_can_be_changed_and_held_while_it_runs() -> None:
    class Visitor(Counted):
        @task
        def work(self):
            self.count()

    run = make_run(Visitor, schedule=Ramp(2, 1000))
    counts = []

    def there_are(users):
        wait_until(lambda: sum(run.user_counts().values()) == users, run.user_counts, every_s=0.01)
        gevent.sleep(0.05)
        assert sum(run.user_counts().values()) == users, "and no more"
        counts.append(users)

    def script():
        there_are(2)
        run.set_load(6, 1000)
        there_are(6)
        run.hold()
        wait_until(lambda: str(run.state) == "holding")
        run.release()
        run.set_load(1, 1000)
        there_are(1)

    scripted = gevent.spawn(script)
    finish(run, until=scripted.ready)
    scripted.get()
    assert counts == [2, 6, 1]


def test_statistics_are_reset_while_the_run_goes_on() -> None:
    class Visitor(Counted):
        done = 0

        @task
        def work(self):
            type(self).done += 1
            self.count()
            gevent.sleep(0.01)

    run = make_run(Visitor, schedule=Ramp(2, 1000))
    resets = []
    run._environment.events.reset_stats.add_listener(lambda **_: resets.append(Visitor.done))

    def script():
        wait_until(lambda: Visitor.done > 20)
        run.reset_statistics()
        wait_until(lambda: resets and Visitor.done > resets[0] + 10)

    scripted = gevent.spawn(script)
    result = finish(run, until=scripted.ready)
    scripted.get()
    (before,) = resets
    since = Visitor.done - before
    assert since - 1 <= result.final.total.requests <= since + 2
    assert result.duration_s < result.final.elapsed_s


def test_reset_stats_forgets_the_ramp() -> None:
    class Visitor(Counted):
        @task
        def work(self):
            self.count()
            raise StopUser

    class Slow(Counted):
        fixed_count = 1
        done = 0

        @task
        def work(self):
            type(self).done += 1
            self.count("/slow")
            gevent.sleep(0.01)

    run = make_run(Slow, Visitor, schedule=Ramp(20, 100), reset_stats=True)
    resets = []
    run._environment.events.reset_stats.add_listener(lambda **_: resets.append(Slow.done))
    result = finish(run, until=lambda: resets and Slow.done > resets[0] + 10)
    (before,) = resets
    assert before > 5
    since = Slow.done - before
    assert since - 1 <= result.final.total.requests <= since + 2, "what was counted when it was reset is forgotten"
    assert result.duration_s < result.final.elapsed_s


def test_an_exception_in_a_shapes_tick_stops_the_run_with_its_traceback_and_keeps_the_results() -> None:
    class Visitor(Counted):
        @task
        def work(self):
            self.count()

    class Broken(LoadTestShape):
        def tick(self):
            if self.get_run_time() > 0.9:
                raise KeyError("oops")
            return 2, 1000

    shape = Broken()
    result = finish(make_run(Visitor, schedule=ShapeSchedule(shape, [Visitor]), shape_class=shape))
    assert result.stop_reason == StopReason(StopKind.ERROR, "Broken.tick() raised KeyError: 'oops'")
    assert "KeyError" in str(result.error)
    assert "test_run.py" in str(result.error)
    assert result.final.total.requests > 0


def test_an_output_that_fails_does_not_hurt_the_run(caplog) -> None:
    class Broken(Output):
        calls = 0

        def snapshot(self, snapshot: Snapshot) -> None:
            type(self).calls += 1
            raise OSError("disk full")

    class Visitor(Counted):
        @task
        def work(self):
            self.count()

    stored = Kept()
    result = finish(make_run(Visitor, outputs=[Broken(), stored]), until=lambda: len(stored.snapshots) > 2)
    assert result.final.total.requests > 0
    assert Broken.calls == len(stored.snapshots) > 2
    assert caplog.text.count("Broken failed") == 1


def test_a_user_whose_init_fails_is_counted_as_an_exception() -> None:
    class Broken(Counted):
        made = 0

        def __init__(self, environment):
            type(self).made += 1
            raise ValueError("no account left")

        @task
        def work(self):
            pass

    result = finish(make_run(Broken), until=lambda: Broken.made == 3)
    (found,) = result.final.exceptions.values()
    assert found.count == 3
    assert "no account left" in found.message


def test_too_many_endpoints_are_warned_of_once_with_names(caplog) -> None:
    class Visitor(Counted):
        number = 0

        @task
        def work(self):
            type(self).number += 1
            self.count(f"/items/{self.number}")

    environment = Environment(events=Events(), recorder=Recorder(5), user_classes=[Visitor])
    run = local_run(environment, Ramp(3, 1000), test="t", max_endpoints=5, interval_s=0.05)
    result = finish(run, until=lambda: Visitor.number > 20)
    assert len(result.final.endpoints) == 5
    assert result.final.total.requests == Visitor.number
    warnings = [record.getMessage() for record in caplog.records if "endpoints" in record.getMessage()]
    assert len(warnings) == 1
    assert "/items/5" in warnings[0]


@pytest.mark.parametrize("users", [1, 7])
def test_killed_before_they_ever_ran_users_are_gone(users: int) -> None:
    class Visitor(Counted):
        @task
        def work(self):
            self.count()

    run = make_run(Visitor, schedule=Ramp(users, 100_000))
    run.abort(CTRL_C)
    result = finish(run)
    assert result.final.user_count == 0


@given(late_s=st.floats(0, 100), number=st.integers(1, 1000))
def test_the_next_interval_ends_on_the_grid_and_not_at_once(late_s: float, number: int) -> None:
    """However long the loop was held up: no interval of milliseconds, and no two in one second."""
    due = 1000.0 + number
    following = next_due(due, due + late_s, 1.0)
    assert following == int(following) > due
    assert following - (due + late_s) >= 0.5 or following == due + 1
    assert following - (due + late_s) <= 1.5


@pytest.mark.parametrize(("limit_s", "planned_s"), [(None, 3.0), (9.0, 3.0), (2.0, 2.0)])
def test_the_planned_time_is_that_of_the_stages_or_of_the_limit_whichever_ends_first(
    limit_s: float | None, planned_s: float
) -> None:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Counted])
    stages = StagesSchedule(parse_stages("2s:2,1s:1"))
    run = local_run(environment, stages, test="t", outputs=Outputs(), planned_s=limit_s)
    assert run.statistics.planned_s == planned_s


def test_spawning_complete_has_the_users_that_were_asked_for_though_some_have_ended() -> None:
    class Leaving(Counted):
        @task
        def leave(self):
            raise StopUser

    class Staying(Counted):
        @task
        def work(self):
            self.count()

    run = make_run(Leaving, Staying, schedule=Ramp(4, 1000))
    counts: list[int] = []
    run._environment.events.spawning_complete.add_listener(lambda user_count, **_: counts.append(user_count))
    finish(run, until=lambda: bool(counts))
    assert counts == [4]


def test_spawning_is_complete_after_fewer_users_when_the_others_have_ended() -> None:
    may_finish = Event()

    class Busy(Counted):
        @task
        def work(self):
            self.count()
            may_finish.wait()

    run = make_run(Busy)
    seen: list[tuple[int, int]] = []
    runner = run._environment.runner
    run._environment.stop_timeout = HANG_S
    run._environment.events.spawning_complete.add_listener(
        lambda user_count, **_: seen.append((user_count, runner.user_count))
    )
    ending = gevent.spawn(finish, run, until=lambda: len(seen) == 2)
    wait_until(lambda: len(seen) == 1)
    run.set_load(1, 1000)
    wait_until(lambda: runner.target_user_count == 1)
    gevent.sleep(0.2)
    assert seen == [(3, 3)], "two users are still stopping"
    may_finish.set()
    ending.get(timeout=HANG_S)
    assert seen == [(3, 3), (1, 1)]


def test_a_run_that_stops_takes_no_other_load(caplog: pytest.LogCaptureFixture) -> None:
    class Visitor(Counted):
        @task
        def work(self) -> None:
            self.count()

    run = make_run(Visitor, schedule=Ramp(2, 1000))
    runner = run._environment.runner
    run._environment.events.test_stopping.add_listener(lambda **_: runner.start(50, 1000))
    result = finish(run, until=lambda: runner.user_count == 2)
    assert "The load is not changed, as the run is over: " in caplog.text
    assert result.users_max == 2


def test_an_exception_that_is_not_caught_is_reported_once_and_ends_its_user() -> None:
    class Visitor(Counted):
        @task
        def work(self):
            self.count()
            raise ValueError("of theirs")

    run = make_run(Visitor, schedule=Ramp(1, 1000), catch_exceptions=False)
    told: list[BaseException] = []
    run._environment.events.user_error.add_listener(lambda exception, **_: told.append(exception))
    result = finish(run)
    assert result.stop_reason.detail == "every user has ended by itself"
    assert [str(error) for error in told] == ["of theirs"]
    ((message, found),) = ((each.message, each.count) for each in result.final.exceptions.values())
    assert message.startswith("Visitor: ValueError: of theirs (test_run.py:")
    assert found == 1


@pytest.mark.parametrize("method", ["quit", "stop"])
def test_nothing_is_executed_in_a_task_after_it_has_ended_the_run(method: str) -> None:
    after: list[str] = []

    class Visitor(Counted):
        @task
        def work(self):
            self.count()
            getattr(self.environment.runner, method)()
            after.append("the task")

        def on_stop(self):
            after.append("on_stop")

    result = finish(make_run(Visitor, schedule=Ramp(1, 1000)))
    assert result.stop_reason.detail == f"the load-test file called runner.{method}()"
    assert after == ["on_stop"]
    assert not result.final.exceptions
    assert not result.final.cut_off


def test_the_target_is_known_to_the_listeners_of_start_and_end() -> None:
    class Visitor(Counted):
        @task
        def work(self):
            self.count()

    run = make_run(Visitor)
    events, seen = run._environment.events, []
    for name in ("test_start", "test_stopping", "test_stop"):
        getattr(events, name).add_listener(
            lambda environment, name=name, **_: seen.append((name, environment.runner.target_user_count))
        )
    finish(run, until=lambda: run.state is RunState.RUNNING)
    assert seen == [("test_start", 3), ("test_stopping", 3), ("test_stop", 0)]


def test_clients_of_the_load_tests_own_are_not_closed_with_their_user() -> None:
    calls: list[str] = []

    class Proxy:
        def __getattr__(self, name: str):
            return lambda *_: calls.append(name)

    class WithClose:
        def close(self) -> None:
            calls.append("close")

    class Visitor(Counted):
        def __init__(self, environment):
            super().__init__(environment)
            self.client = Proxy() if calls else WithClose()

        @task
        def work(self):
            calls.append("task")
            self.count()
            raise StopUser

    finish(make_run(Visitor, schedule=Ramp(2, 1000)))
    assert calls == ["task"] * 2
