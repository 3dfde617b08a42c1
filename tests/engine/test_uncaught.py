"""What nobody catches: in greenlets, timers and signal handlers of the load test's own, and what its listeners leave
behind for others."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from obswarm.api import Environment, Events, LoadTestShape, StopTest, User
from obswarm.engine import CustomMessage, Run, ShapeSchedule, UncaughtErrors
from obswarm.greenlets import Supervisor, call_apart
from obswarm.record import StopKind
from obswarm.stats import Recorder
from tests.engine.test_called_code import (
    EXCEPTIONS,
    FIRED_IN_A_LOCAL_RUN,
    HOOKS,
    Steering,
    Visitor,
    finish,
    raising,
    run_of,
)
from tests.support.patience import HANG_S

FIRED_IN_A_USER = {"request", "user_error"}


def in_a_greenlet(kind: str) -> None:
    gevent.spawn(raising(kind))


def in_a_raw_greenlet(kind: str) -> None:
    gevent.spawn_raw(raising(kind))


def later(kind: str) -> None:
    gevent.spawn_later(0.001, raising(kind))


def in_a_timer(kind: str) -> None:
    gevent.get_hub().loop.timer(0.001).start(raising(kind))


def in_a_callback(kind: str) -> None:
    gevent.get_hub().loop.run_callback(raising(kind))


def in_a_signal_handler(kind: str) -> None:
    signal.signal(signal.SIGUSR1, raising(kind))
    gevent.get_hub().loop.run_callback(os.kill, os.getpid(), signal.SIGUSR1)


def in_the_waiting_greenlet(kind: str) -> None:
    waiting: Any = gevent.getcurrent()
    gevent.get_hub().loop.run_callback(waiting.throw, EXCEPTIONS[kind]())


PLACES = [in_a_greenlet, in_a_raw_greenlet, later, in_a_timer, in_a_callback, in_a_signal_handler]


@pytest.fixture
def handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def environment_with(steering: Steering) -> Environment:
    environment = Environment(events=Events(), recorder=Recorder())
    environment.steering = steering
    return environment


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("place", [*PLACES, in_the_waiting_greenlet], ids=lambda place: place.__name__)
@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_what_nobody_catches_is_counted_and_ends_nothing(
    place: Callable[[str], None], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    steering = Steering()
    environment = environment_with(steering)
    interrupts: list[str] = []
    with UncaughtErrors(lambda: environment, lambda: interrupts.append("Ctrl-C")) as uncaught:

        def course() -> str:
            gevent.sleep(0.02)
            return "the result"

        place(kind)
        assert uncaught.run(course) == "the result"
    counted = environment.recorder.take().exceptions.values()
    is_of_no_code = place is in_the_waiting_greenlet and kind == "KeyboardInterrupt"
    ends_a_greenlet = kind == "GreenletExit" and place not in (in_a_signal_handler, in_the_waiting_greenlet)
    assert bool(steering.stopped) == (kind == "StopTest")
    assert bool(interrupts) == is_of_no_code, "as Python's own handler of Ctrl-C raises it"
    assert len(counted) == (not (kind == "StopTest" or is_of_no_code or ends_a_greenlet))
    assert all(type(EXCEPTIONS[kind]()).__name__ in found.message for found in counted)
    assert not steering.errors
    assert "Traceback" not in capsys.readouterr().err, "gevent prints one"


def test_the_event_loop_and_signals_are_as_before_afterwards() -> None:
    hub, set_handler = gevent.get_hub(), signal.signal

    def handler(*_: object) -> None: ...

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with UncaughtErrors(lambda: None, lambda: None):
            assert signal.signal(signal.SIGUSR1, handler) is handler
        assert signal.getsignal(signal.SIGUSR1) is handler
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signal.signal is set_handler
    assert "handle_error" not in vars(hub)


@pytest.mark.usefixtures("handlers")
def test_a_signal_handler_that_interrupts_code_of_the_load_test_raises_there() -> None:
    environment = environment_with(Steering())

    class TooSlow(Exception):
        pass

    def give_up(*_: object) -> None:
        raise TooSlow

    with UncaughtErrors(lambda: environment, lambda: None):
        signal.signal(signal.SIGUSR1, give_up)
        with pytest.raises(TooSlow):
            os.kill(os.getpid(), signal.SIGUSR1)
    assert environment.recorder.take().is_empty()


def test_an_error_of_what_is_run_reaches_who_runs_it() -> None:
    with UncaughtErrors(lambda: None, lambda: None) as uncaught, pytest.raises(SystemExit):
        uncaught.run(raising("SystemExit"))


@pytest.mark.parametrize("kill", [lambda one: one.kill(block=False), lambda one: gevent.killall([one], block=False)])
def test_a_load_test_that_kills_the_greenlet_of_a_run_stops_the_run(kill: Callable[[gevent.Greenlet], None]) -> None:
    steering = Steering()
    environment = environment_with(steering)
    with UncaughtErrors(lambda: environment, lambda: None) as uncaught:

        def course() -> str:
            gevent.spawn_later(0.001, kill, gevent.getcurrent())
            with gevent.Timeout(0.3, False):
                gevent.sleep(10)
            return "the result"

        assert uncaught.run(course) == "the result"
    assert steering.stopped == ["code of the load test killed the run's own greenlet"]


# What is left behind.
def leave_a_timeout_behind(*arguments: Any, **kwargs: Any) -> None:
    gevent.Timeout(0.002).start()


@pytest.mark.parametrize("hook", sorted(set(HOOKS) - FIRED_IN_A_USER))
def test_a_timeout_that_a_listener_leaves_behind_does_not_hit_who_fired_the_event(hook: str) -> None:
    environment = environment_with(Steering())
    fired = getattr(environment.events, hook)
    fired.add_listener(leave_a_timeout_behind)
    fired.fire()
    gevent.sleep(0.01)


def test_nor_does_one_of_a_listener_of_messages() -> None:
    run = run_of()
    runner = run._environment.runner
    runner.register_message("data", leave_a_timeout_behind)
    runner.deliver(CustomMessage("data", 1, "local"))
    gevent.sleep(0.01)


@pytest.mark.parametrize("hook", [hook for hook in FIRED_IN_A_LOCAL_RUN if hook not in FIRED_IN_A_USER])
def test_a_run_is_not_hit_by_what_listeners_leave_behind(hook: str) -> None:
    run = run_of()
    getattr(run._environment.events, hook).add_listener(leave_a_timeout_behind)
    result = finish(run, Event(), longest_s=0.1)
    assert (result.stop_reason.kind, result.error) == ("time", None)
    assert not result.final.exceptions


def test_a_run_is_not_hit_by_what_a_shape_leaves_behind() -> None:
    class Shape(LoadTestShape):
        def tick(self) -> Any:
            leave_a_timeout_behind()
            return 1, 100

    shape = Shape()
    result = finish(run_of(schedule=ShapeSchedule(shape, [Visitor]), shape_class=shape), Event(), longest_s=0.1)
    assert (result.stop_reason.kind, result.error) == ("time", None)


def test_listeners_are_called_one_after_the_other() -> None:
    order: list[int] = []
    events = environment_with(Steering()).events
    for number in range(3):

        def listener(number: int = number, **kwargs: Any) -> None:
            gevent.sleep(0.003 - number / 1000)
            order.append(number)

        events.test_stop.add_listener(listener)
    events.test_stop.fire()
    events.test_stop.fire(reverse=True)
    assert order == [0, 1, 2, 2, 1, 0]


def test_what_is_called_apart_ends_with_a_caller_that_is_killed() -> None:
    ended: list[str] = []

    def wait() -> None:
        try:
            gevent.sleep(100)
        finally:
            ended.append("ended")

    caller = Supervisor().spawn("A caller", call_apart, wait)
    gevent.sleep(0.001)
    caller.kill(timeout=HANG_S)
    gevent.sleep(0)
    assert caller.dead
    assert ended == ["ended"]


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_what_is_called_apart_returns_and_raises_as_if_it_were_called(kind: str) -> None:
    assert call_apart(lambda a, b: (a, b), 1, b=2) == (1, 2)
    with pytest.raises(type(EXCEPTIONS[kind]())):
        call_apart(raising(kind))


def test_a_greenlet_of_the_load_test_stops_a_run() -> None:
    class Impatient(User):
        def on_start(self) -> None:
            gevent.spawn(raising("StopTest"))

        tasks = Visitor.tasks
        wait_time = Visitor.wait_time

    run: Run = run_of(Impatient)
    with UncaughtErrors(lambda: run._environment, lambda: None) as uncaught:
        result = uncaught.run(lambda: finish(run, Event()))
    assert result.stop_reason.kind is StopKind.USER
    assert result.stop_reason.detail.endswith(f"raised {StopTest.__name__}")


def test_what_is_raised_in_a_thread_pool_is_for_who_waits_there(caplog: pytest.LogCaptureFixture) -> None:
    environment = environment_with(Steering())

    def asks() -> tuple[BaseException, BaseException]:
        threads = gevent.get_hub().threadpool
        with pytest.raises(OSError) as found:  # noqa: PT011 - the resolver's words are the machine's
            gevent.get_hub().resolver.getaddrinfo("no-such-host.invalid", 80)
        with pytest.raises(ZeroDivisionError) as divided:
            threads.apply(lambda: 1 / 0)
        return found.value, divided.value

    with UncaughtErrors(lambda: environment, lambda: None) as uncaught:
        uncaught.run(asks)
        gevent.sleep(0.01)
    assert environment.recorder.take().is_empty()
    assert [record.getMessage() for record in caplog.records] == [
        "A function in a thread pool failed: ZeroDivisionError: division by zero."
    ]
