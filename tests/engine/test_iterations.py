"""Iterations of the open model with real users, in this process."""

from collections import Counter
from typing import Any

import gevent
import pytest

from obswarm import clock
from obswarm.api import (
    Environment,
    Events,
    MarkovTaskSet,
    SequentialTaskSet,
    StopUser,
    TaskSet,
    User,
    constant,
    parse_rate_stages,
    task,
    transition,
)
from obswarm.engine import ArrivalLoad, Assignment, LocalGenerator, OpenExecutor, RateCurve, Run, RunResult
from obswarm.engine.iterations import Arrivals, IterationUsers
from obswarm.engine.user_pool import UserPool
from obswarm.stats import GENERATOR_BEHIND, NO_FREE_USER, RUN_STOPPED, USER_FAILED, EndpointKey, Recorder


def run(cls: type[User], rate: str, max_users: int = 50) -> tuple[RunResult, Environment]:
    """A run of one class along the stages of `rate`."""
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[cls], stop_timeout=5.0)
    executor = OpenExecutor({cls.__name__: ArrivalLoad(RateCurve.of(parse_rate_stages(rate)), max_users)})
    return Run(environment, executor, LocalGenerator(environment), test="t").run(), environment


class Counted(User):
    abstract = True
    seen: Counter[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.seen = Counter()

    def on_start(self) -> None:
        self.seen["starts"] += 1

    def on_stop(self) -> None:
        self.seen["stops"] += 1


def test_users_run_iterations_again_and_again_when_they_are_due() -> None:
    class Quick(Counted):
        wait_time = constant(1000)  # of no effect: the schedule says when

        @task
        def nothing(self) -> None:
            self.seen["tasks"] += 1

    result, _ = run(Quick, "0s:100/s,1s:100/s")
    assert Quick.seen["tasks"] == pytest.approx(100, abs=2)
    assert result.final.iterations == {"Quick": Quick.seen["tasks"]}
    assert not result.final.dropped, "the one that would start at the end itself is not part of the plan"
    assert Quick.seen["starts"] == Quick.seen["stops"] < 20, "users are used again"
    assert result.final.rates_target == {"Quick": 0.0}
    assert result.stop_reason.detail == "the planned time is over"


def test_a_first_assignment_that_is_late_leaves_nothing_out() -> None:
    """The plan's time has begun before, and the number of iterations is its integral."""

    class Quick(User):
        @task
        def nothing(self) -> None: ...

    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Quick])
    for late_s, number in ((0.2, 101), (0.3, 71)):
        begun: list[float] = []
        users = IterationUsers(environment, UserPool(environment, lambda error: None, lambda: None))
        users.start = lambda name, intended_s, now, begun=begun: begun.append(intended_s)  # type: ignore[method-assign]
        arrivals, now = Arrivals(environment, users), clock.monotonic()
        began = now - late_s
        arrivals.assign(Assignment({}, 1.0, rates={"Quick": 100.0}, begins={"Quick": began}), now)
        arrivals.start_due(began + 1.0 + 1e-6)
        assert len(begun) == number, "a delay of more than 0.25 s would be a burst"


def test_iterations_without_a_free_user_are_counted_as_dropped() -> None:
    class Slow(Counted):
        @task
        def wait_long(self) -> None:
            gevent.sleep(0.3)

    result, _ = run(Slow, "0s:50/s,1s:50/s", max_users=3)
    started = result.final.iterations["Slow"]
    assert started < 20
    assert set(result.final.dropped) == {("Slow", NO_FREE_USER)}
    assert started + result.final.dropped["Slow", NO_FREE_USER] == pytest.approx(50, abs=3)
    assert result.users_max == 3


def test_with_a_fresh_session_each_iteration_has_a_user_of_its_own() -> None:
    class Fresh(Counted):
        fresh_session = True

        @task
        def nothing(self) -> None:
            self.seen["tasks"] += 1

    result, _ = run(Fresh, "0s:50/s,1s:50/s")
    assert Fresh.seen["tasks"] == result.final.iterations["Fresh"] > 40
    assert Fresh.seen["starts"] == Fresh.seen["stops"] == Fresh.seen["tasks"] + sum(result.final.dropped.values())


def test_users_that_fail_before_their_iteration_are_counted_as_dropped() -> None:
    class Failing(User):
        def on_start(self) -> None:
            raise ValueError("no account")

        @task
        def nothing(self) -> None: ...

    class Broken(User):
        def __init__(self, environment: Environment) -> None:
            raise ValueError("no client")

        @task
        def nothing(self) -> None: ...

    for cls in (Failing, Broken):
        result, _ = run(cls, "0s:20/s,1s:20/s")
        assert set(result.final.dropped) == {(cls.__name__, USER_FAILED)}
        assert result.final.dropped[cls.__name__, USER_FAILED] == pytest.approx(20, abs=2)
        assert not result.final.iterations
        assert sum(found.count for found in result.final.exceptions.values()) == pytest.approx(20, abs=2)


def test_a_task_that_raises_does_not_end_its_user_and_stop_user_does() -> None:
    class Raising(Counted):
        @task
        def fail(self) -> None:
            self.seen["tasks"] += 1
            if self.seen["tasks"] % 2:
                raise ValueError("odd")
            if self.seen["tasks"] == 10:
                raise StopUser

    result, _ = run(Raising, "0s:20/s,1s:20/s")
    assert Raising.seen["tasks"] == pytest.approx(20, abs=2)
    assert sum(found.count for found in result.final.exceptions.values()) == pytest.approx(10, abs=1)
    assert result.final.iterations == {"Raising": Raising.seen["tasks"]}, "they have ended, whatever their outcome"
    assert 2 <= Raising.seen["starts"] < 8
    assert not result.final.dropped


def test_an_iteration_of_a_sequential_task_set_is_all_of_its_tasks() -> None:
    class Ordered(Counted):
        @task
        class Checkout(SequentialTaskSet):
            def on_start(self) -> None:
                self.user.seen["began"] += 1

            @task
            def one(self) -> None:
                self.user.seen["one"] += 1

            @task(2)
            def two(self) -> None:
                self.user.seen["two"] += 1

            @task
            class Inner(SequentialTaskSet):
                @task
                def three(self) -> None:
                    self.user.seen["three"] += 1

            def on_stop(self) -> None:
                self.user.seen["ended"] += 1

    result, _ = run(Ordered, "0s:20/s,1s:20/s")
    number = result.final.iterations["Ordered"]
    assert number == pytest.approx(20, abs=2)
    seen = Ordered.seen
    assert [seen[name] for name in ("began", "one", "two", "three", "ended")] == [
        number,
        number,
        2 * number,
        number,
        number,
    ]


def test_an_iteration_of_a_task_set_is_one_task_and_a_markov_chain_goes_on_until_it_interrupts() -> None:
    class Walking(Counted):
        @task
        class Chosen(TaskSet):
            @task
            def one(self) -> None:
                self.user.seen["chosen"] += 1

        @task
        class Walk(MarkovTaskSet):
            @transition("second")
            def first(self) -> None:
                self.user.seen["first"] += 1

            @transition("first")
            def second(self) -> None:
                self.user.seen["second"] += 1
                self.interrupt()

    result, _ = run(Walking, "0s:50/s,1s:50/s")
    seen = Walking.seen
    assert seen["first"] == seen["second"] > 5
    assert seen["chosen"] > 5
    assert seen["chosen"] + seen["first"] == result.final.iterations["Walking"]


def test_requests_of_an_iteration_count_from_its_intended_start() -> None:
    """The first iteration of a user waits for its on_start, for 0.3 s."""

    class Late(User):
        fresh_session = True

        def on_start(self) -> None:
            gevent.sleep(0.3)

        @task
        def ask(self) -> None:
            with self.environment.request("X", "ask"):
                gevent.sleep(0.1)
            with self.environment.request("X", "again"):
                pass

    result, _ = run(Late, "0s:20/s,1s:20/s")
    ask, again = (result.final.endpoints[EndpointKey("X", name)] for name in ("ask", "again"))
    assert ask.intended_duration is not None
    assert again.intended_duration is not None
    assert ask.intended_duration.count == ask.requests == again.intended_duration.count == again.requests > 10
    assert ask.requests + result.final.dropped["Late", RUN_STOPPED] == pytest.approx(20, abs=2)
    assert ask.min_s is not None
    assert 0.1 <= ask.min_s < 0.2
    assert ask.intended_duration.quantile(0.01) == pytest.approx(0.4, abs=0.05)
    assert again.intended_duration.quantile(0.01) == pytest.approx(0.3, abs=0.05)


def test_running_iterations_may_finish_when_the_run_stops_and_none_is_started_after() -> None:
    class Slow(Counted):
        @task
        def wait_long(self) -> None:
            self.seen["began"] += 1
            gevent.sleep(0.5)
            self.seen["finished"] += 1

    started = clock.monotonic()
    result, _ = run(Slow, "0s:20/s,1s:20/s")
    assert 1.4 < clock.monotonic() - started < 3.0
    assert Slow.seen["began"] == Slow.seen["finished"] == result.final.iterations["Slow"] == pytest.approx(20, abs=2)


def test_iterations_that_are_far_too_late_are_dropped_instead_of_being_a_burst() -> None:
    class Nobody(User):
        @task
        def nothing(self) -> None: ...

    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    users = IterationUsers(environment, UserPool(environment, lambda error: None, lambda: None))
    for late_s in (5.0, 2.0, 1.1):
        users.start("Nobody", 100.0 - late_s, 100.0)
    assert environment.recorder.take().dropped == {("Nobody", GENERATOR_BEHIND): 3}


def test_a_user_whose_constructor_was_blocking_when_the_run_stopped_is_not_started() -> None:
    class Building(Counted):
        def __init__(self, environment: Environment) -> None:
            super().__init__(environment)
            self.seen["built"] += 1
            gevent.sleep(0.6)

        @task
        def nothing(self) -> None: ...

    result, _ = run(Building, "0s:5/s,1s:5/s")
    gevent.sleep(0.7)
    assert Building.seen["built"] >= 1
    assert Building.seen["starts"] < Building.seen["built"]
    assert Building.seen["starts"] == Building.seen["stops"]
    assert sum(result.final.users.values()) == 0
