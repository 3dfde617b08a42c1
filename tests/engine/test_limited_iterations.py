"""Numbers of iterations that end a run, with real users in this process."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import pytest

from obswarm.api import (
    Environment,
    Events,
    ObswarmError,
    SequentialTaskSet,
    StopUser,
    User,
    constant,
    parse_rate_stages,
    task,
)
from obswarm.api.feed import LocalSupply
from obswarm.engine import (
    ArrivalLoad,
    ClosedExecutor,
    CombinedExecutor,
    Executor,
    IterationCount,
    IterationGrants,
    IterationLimit,
    LocalGenerator,
    OpenExecutor,
    Ramp,
    RateCurve,
    Run,
    RunResult,
    plan_iterations,
)
from obswarm.feeds import FeedServer
from obswarm.feeds.calls import BEGIN, DO_NOT_BEGIN, GRANTED
from obswarm.greenlets import Supervisor
from obswarm.record import StopKind
from obswarm.stats import GENERATOR_BEHIND, NO_FREE_USER, USER_FAILED, Recorder


class Counted(User):
    abstract = True
    seen: Counter[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.seen = Counter()


class Quick(Counted):
    @task
    def nothing(self) -> None:
        self.seen["tasks"] += 1


def run(
    classes: Sequence[type[User]], executor: Executor, text: str | None = None, planned_s: float | None = 20.0
) -> RunResult:
    limits = plan_iterations(classes, text)
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=list(classes), stop_timeout=5.0)
    server = FeedServer([], quotas={limit.name: limit.number for limit in limits})
    generator = LocalGenerator(environment)
    generator.limit_iterations(limits, LocalSupply(server))
    count = IterationCount(limits, server)
    return Run(environment, executor, generator, test="t", planned_s=planned_s, iterations=count).run()


def closed(*classes: type[User], users: int = 10) -> ClosedExecutor:
    return ClosedExecutor(Ramp(users, 1000.0), classes)


def opened(cls: type[User], rate: str, max_users: int = 20) -> OpenExecutor:
    return OpenExecutor({cls.__name__: ArrivalLoad(RateCurve.of(parse_rate_stages(rate)), max_users)})


def test_users_run_as_many_iterations_together_as_are_wanted() -> None:
    Quick.seen.clear()
    result = run([Quick], closed(Quick), "357")
    assert Quick.seen["tasks"] == result.final.iterations["Quick"] == 357
    assert result.final.iterations_ended == result.final.iterations_target == {"all": 357}
    assert result.stop_reason.kind is StopKind.ITERATIONS
    assert result.stop_reason.detail == "all iterations have ended: 357"


def test_iterations_at_a_rate_end_with_their_number_and_none_is_counted_as_dropped_after_it() -> None:
    Quick.seen.clear()
    result = run([Quick], opened(Quick, "500/s"), "123")
    assert Quick.seen["tasks"] == 123
    # A busy machine may have delayed some.
    assert {reason for _, reason in result.final.dropped} <= {GENERATOR_BEHIND, NO_FREE_USER}
    assert result.stop_reason.kind is StopKind.ITERATIONS


def test_classes_have_numbers_of_their_own_in_the_closed_and_the_open_model() -> None:
    class Few(Counted):
        iterations = 7

        @task
        def nothing(self) -> None:
            self.seen["tasks"] += 1

    class Many(Counted):
        iterations = 1_000_000  # replaced

        @task
        def nothing(self) -> None:
            self.seen["tasks"] += 1

    result = run([Few, Many], CombinedExecutor(closed(Few), opened(Many, "200/s")), "Many=60")
    assert (Few.seen["tasks"], Many.seen["tasks"]) == (7, 60)
    assert result.final.iterations_ended == {"Few": 7, "Many": 60}
    assert result.stop_reason.detail == "all iterations have ended: 7 of Few, 60 of Many"


def test_a_run_goes_on_while_a_class_has_no_limit() -> None:
    class Limited(Counted):
        iterations = 5

        @task
        def nothing(self) -> None:
            self.seen["tasks"] += 1

    class Unlimited(Counted):
        wait_time = constant(0.05)

        @task
        def nothing(self) -> None:
            self.seen["tasks"] += 1

    result = run([Limited, Unlimited], closed(Limited, Unlimited), planned_s=1.0)
    assert Limited.seen["tasks"] == 5
    assert Unlimited.seen["tasks"] > 20
    assert result.stop_reason.kind is StopKind.TIME


def test_an_iteration_that_raises_has_ended_and_one_that_is_interrupted_has_not() -> None:
    class Raising(Counted):
        @task
        def fail(self) -> None:
            self.seen["tasks"] += 1
            if self.seen["tasks"] % 2:
                raise ValueError("odd")

    result = run([Raising], closed(Raising), "40")
    assert Raising.seen["tasks"] == 40
    assert result.final.iterations["Raising"] == 40
    assert sum(found.count for found in result.final.exceptions.values()) == 20

    class Hanging(Counted):
        @task
        def hang(self) -> None:
            gevent.sleep(60)

    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Hanging], stop_timeout=0.1)
    server = FeedServer([], quotas={"all": 3})
    generator = LocalGenerator(environment)
    limits = plan_iterations([Hanging], "3")
    generator.limit_iterations(limits, LocalSupply(server))
    count = IterationCount(limits, server)
    result = Run(environment, closed(Hanging), generator, test="t", planned_s=0.5, iterations=count).run()
    assert result.final.iterations_ended == {"all": 0}
    assert result.stop_reason.kind is StopKind.TIME


def test_users_wait_between_their_iterations_and_a_sequential_task_set_is_one() -> None:
    class Ordered(Counted):
        wait_time = constant(0.1)

        @task
        class Checkout(SequentialTaskSet):
            @task
            def one(self) -> None:
                self.user.seen["one"] += 1

            @task
            def two(self) -> None:
                self.user.seen["two"] += 1

    result = run([Ordered], closed(Ordered, users=1), "4")
    assert (Ordered.seen["one"], Ordered.seen["two"]) == (4, 4)
    assert result.duration_s >= 7 * 0.1


def test_a_user_that_ends_itself_has_done_its_iteration() -> None:
    class Leaving(Counted):
        @task
        def leave(self) -> None:
            self.seen["tasks"] += 1
            raise StopUser

    result = run([Leaving], closed(Leaving, users=5), "8")
    assert Leaving.seen["tasks"] == 5
    assert result.final.iterations_ended == {"all": 5}
    assert result.stop_reason.detail == "every user has ended by itself"
    Leaving.seen.clear()
    result = run([Leaving], opened(Leaving, "100/s"), "8")
    assert Leaving.seen["tasks"] == 8
    assert result.stop_reason.kind is StopKind.ITERATIONS


def test_iterations_that_are_dropped_are_started_later() -> None:
    class Slow(Counted):
        @task
        def wait_long(self) -> None:
            self.seen["tasks"] += 1
            gevent.sleep(0.1)

    result = run([Slow], opened(Slow, "100/s", max_users=2), "15")
    assert Slow.seen["tasks"] == 15
    assert result.final.dropped["Slow", NO_FREE_USER] > 10

    class Failing(Counted):
        def on_start(self) -> None:
            self.seen["starts"] += 1
            if self.seen["starts"] <= 5:
                raise ValueError("no account")

        @task
        def nothing(self) -> None:
            self.seen["tasks"] += 1

    result = run([Failing], opened(Failing, "100/s"), "15")
    assert Failing.seen["tasks"] == 15
    assert result.final.dropped["Failing", USER_FAILED] == 5


def test_a_class_without_iterations_or_with_an_invalid_number_is_refused() -> None:
    class OwnRun(User):
        def run(self) -> None: ...

    class Wrong(User):
        iterations = -1

        @task
        def nothing(self) -> None: ...

    with pytest.raises(ObswarmError, match=r"OwnRun overrides User\.run"):
        plan_iterations([OwnRun], "5")
    with pytest.raises(ObswarmError, match=r"Wrong\.iterations is -1"):
        plan_iterations([Wrong], None)
    with pytest.raises(ObswarmError, match=r"no user class 'Nobody' in this run; it has Quick"):
        plan_iterations([Quick], "Nobody=5")
    assert plan_iterations([Quick], None) == ()
    assert plan_iterations([Wrong, Quick], "9") == (IterationLimit("all", 9, ("Wrong", "Quick")),)


class Supply:
    """Answers with the numbers of `grants`, one after the other, then with 0."""

    def __init__(self, *grants: int) -> None:
        self.grants = list(grants)
        self.calls: list[tuple[str, int]] = []

    def call(self, kind: str, feed: str, used: int, position: int, done: Callable[[list[Any]], None]) -> None:
        gevent.sleep(0)
        self.calls.append((kind, position))
        if kind == BEGIN:
            done([GRANTED, self.grants.pop(0) if self.grants else 0])

    def stop(self, detail: str) -> None:
        raise AssertionError(detail)


def grants_of(supply: Supply) -> IterationGrants:
    limit = IterationLimit("all", 100, ("A", "B"))
    return IterationGrants([limit], supply, Recorder(), "w", Supervisor(), lambda error: None)


def test_iterations_go_back_when_no_user_of_their_classes_is_left() -> None:
    supply = Supply(10)
    grants = grants_of(supply)
    grants.wait("A")
    grants.give_back(lambda name: name == "B")
    gevent.sleep(0)
    grants.give_back(lambda name: False)
    gevent.sleep(0.01)
    assert (DO_NOT_BEGIN, 9) in supply.calls
    assert not grants.take("A")


def test_a_killed_user_leaves_its_place_to_another() -> None:
    """Two wait, one iteration comes; the one who is woken is killed before it runs."""
    grants = grants_of(Supply(1))
    grants.wait("A")
    first, second = gevent.spawn(grants.wait, "A"), gevent.spawn(grants.wait, "A")
    gevent.sleep(0.01)
    first.kill(block=False)
    grants.finish("A", is_done=False)
    assert second.join(timeout=5.0) is None
    assert second.successful()
