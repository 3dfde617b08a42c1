"""What becomes of each kind of exception in each place where code of the load-test file is called: the table of
docs/writing-load-tests.md."""

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from obswarm.api import (
    Environment,
    Events,
    InterruptTaskSet,
    LoadTestError,
    LoadTestShape,
    ObswarmError,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
    User,
    constant,
    task,
)
from obswarm.engine import CustomMessage, LoadSchedule, Ramp, Run, RunResult, ShapeSchedule, StopReason
from obswarm.greenlets import described
from obswarm.record import StopKind
from obswarm.stats import Recorder
from tests.support.patience import HANG_S
from tests.support.runs import local_run

HOOKS = sorted(vars(Events()))
ENDING_HOOKS = {"init", "test_start", "init_command_line_parser"}
EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: ValueError("of theirs"),
    "ObswarmError": lambda: ObswarmError("The accounts are missing."),
    "StopTest": StopTest,
    "StopUser": StopUser,
    "RescheduleTask": RescheduleTask,
    "RescheduleTaskImmediately": RescheduleTaskImmediately,
    "InterruptTaskSet": InterruptTaskSet,
    "gevent.Timeout": lambda: gevent.Timeout(1),
    "GreenletExit": gevent.GreenletExit,
    "SystemExit": lambda: SystemExit(1),
    "KeyboardInterrupt": KeyboardInterrupt,
}
STEERS_THE_USER = {
    "StopTest",
    "StopUser",
    "RescheduleTask",
    "RescheduleTaskImmediately",
    "InterruptTaskSet",
    "gevent.Timeout",
    "GreenletExit",
}


class Steering:
    def __init__(self) -> None:
        self.stopped: list[str] = []
        self.errors: list[ObswarmError] = []

    def stop_test(self, detail: str) -> None:
        self.stopped.append(detail)

    def fail(self, error: ObswarmError) -> None:
        self.errors.append(error)


def outcome_of(hook: str, kind: str) -> str:
    """The table."""
    if hook == "request" and kind in STEERS_THE_USER:
        return "raised"
    if hook == "user_error" and kind == "GreenletExit":
        return "raised"
    if kind == "StopTest":
        return "stops"
    return "fails" if hook in ENDING_HOOKS else "counted"


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_every_kind_of_exception_in_every_listener_has_its_outcome(
    hook: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    events, steering = Events(), Steering()
    environment = Environment(events=events, recorder=Recorder())
    environment.steering = steering
    others: list[str] = []

    def listener(**kwargs: Any) -> None:
        raise EXCEPTIONS[kind]()

    fired: Any = getattr(events, hook)
    fired.add_listener(listener)
    fired.add_listener(lambda **kwargs: others.append("called"))
    fire = fired.notify if hook == "request" else fired.fire
    expected = outcome_of(hook, kind)
    raised = None
    try:
        fire()
        fire()
    except BaseException as error:
        raised = error
    exceptions = environment.recorder.take().exceptions
    assert (raised is not None) == (expected == "raised")
    assert bool(steering.stopped) == (expected == "stops")
    assert bool(steering.errors) == (expected == "fails")
    assert bool(exceptions) == (expected == "counted")
    if expected == "stops":
        assert steering.stopped[0].endswith(f"listener of the event {hook} raised StopTest")
    if expected == "counted":
        (found,) = exceptions.values()
        assert found.count == 2
        assert f"listener of the event {hook}: {type(EXCEPTIONS[kind]()).__name__}" in found.message
        assert caplog.text.count("further ones of this kind") == 1
    if expected == "fails":
        text = str(steering.errors[0])
        assert text == "The accounts are missing." if kind == "ObswarmError" else "in listener" in text
        assert "obswarm/" not in text, "no frame of ours"
    if expected != "raised":
        assert others == ["called", "called"]


def test_a_killed_greenlet_ends_in_the_middle_of_a_listener() -> None:
    from obswarm.greenlets import Supervisor

    events = Events()
    Environment(events=events, recorder=Recorder()).steering = Steering()
    events.usage_monitor.add_listener(lambda **kwargs: gevent.sleep(100))
    ticker = Supervisor().spawn("A ticker", events.usage_monitor.fire)
    gevent.sleep(0)
    ticker.kill(timeout=HANG_S)
    assert ticker.dead


# In runs.
class Visitor(User):
    wait_time = constant(0.002)

    @task
    def work(self) -> None:
        self.environment.events.request.fire(
            request_type="GET", name="/", response_time=1.0, response_length=1, exception=None, context={}
        )
        if self.environment.parsed_options.__dict__.get("fails"):
            raise ValueError("in a task")


def run_of(cls: type[User] = Visitor, schedule: LoadSchedule | None = None, **settings: Any) -> Run:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[cls], **settings)
    return local_run(environment, schedule or Ramp(2, 1000, duration_s=5), test="t", interval_s=0.02)


def finish(run: Run, until: Event, longest_s: float = 10) -> RunResult:
    """Run it, and stop it as at its planned end once the event is set. By then it may have ended by itself."""

    def stop() -> None:
        until.wait(longest_s)
        run.stop(StopReason(StopKind.TIME, "over"))

    stopping = gevent.spawn(stop)
    try:
        with gevent.Timeout(HANG_S):
            return run.run()
    finally:
        stopping.kill()


def first_request(run: Run) -> Event:
    made = Event()
    run._environment.events.request.add_listener(lambda **_: made.set())
    return made


def raising(kind: str, raised: Event | None = None) -> Callable[..., Any]:
    def listener(*arguments: Any, **kwargs: Any) -> Any:
        if raised is not None:
            raised.set()
        raise EXCEPTIONS[kind]()

    return listener


FIRED_IN_A_LOCAL_RUN = [
    "test_start",
    "usage_monitor",
    "report_to_master",
    "worker_report",
    "spawning_complete",
    "test_stopping",
    "test_stop",
    "request",
]


@pytest.mark.parametrize("hook", FIRED_IN_A_LOCAL_RUN)
@pytest.mark.parametrize("kind", ["Exception", "StopTest", "SystemExit", "gevent.Timeout", "GreenletExit"])
def test_a_run_survives_whatever_a_listener_raises(hook: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    run, raised = run_of(), Event()
    expected = outcome_of(hook, kind)
    at_the_end = hook in ("test_stopping", "test_stop")
    ends_by_itself = expected in ("fails", "stops") or (hook == "request" and kind in ("StopTest", "GreenletExit"))
    if at_the_end:
        until = first_request(run)
    else:
        until = Event() if ends_by_itself else raised
    getattr(run._environment.events, hook).add_listener(raising(kind, raised))
    result = finish(run, until)
    if expected == "fails":
        assert (result.stop_reason.kind, result.final.total.requests) == ("error", 0)
    elif expected == "stops" and not at_the_end:
        assert result.stop_reason.kind is StopKind.USER
        assert hook in result.stop_reason.detail
    elif hook == "request" and kind == "StopTest":
        assert result.stop_reason == StopReason(StopKind.USER, "a user raised StopTest")
    elif hook == "request" and kind == "GreenletExit":
        assert result.stop_reason == StopReason(StopKind.USER, "every user has ended by itself")
    else:
        assert result.stop_reason.kind is StopKind.TIME
        assert result.error is None
    if expected == "counted":
        assert any(f"of the event {hook}" in found.message for found in result.final.exceptions.values())
    assert "Traceback" not in capsys.readouterr().err


OVERRIDES = ["__init__", "on_start", "on_stop", "wait_time", "task", "client.close"]
ENDS_THE_USER = {"StopUser", "GreenletExit", "SystemExit", "KeyboardInterrupt"}


class Client:
    closed_with_user = True

    def __init__(self, close: Callable[[], None]) -> None:
        self.close = close


def visitor(place: str, kind: str, raised: Event) -> type[User]:
    """A user class that raises in that place."""
    fail = raising(kind, raised)

    class Failing(Visitor):
        if place == "__init__":
            __init__ = fail
        elif place == "client.close":

            def __init__(self, environment: Environment) -> None:
                super().__init__(environment)
                self.client = Client(fail)

        elif place == "task":

            @task
            def work(self) -> None:
                fail()

        else:
            locals()[place] = fail

    return Failing


@pytest.mark.parametrize("place", OVERRIDES)
@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_whatever_a_user_class_raises_the_run_ends_with_a_result(
    place: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_the_run = kind in ("StopTest", "ObswarmError") or (kind in ENDS_THE_USER and place != "__init__")
    at_the_end = place in ("on_stop", "client.close")
    raised = Event()
    run = run_of(visitor(place, kind, raised))
    if at_the_end:
        until = first_request(run)
    else:
        until = Event() if ends_the_run else raised
    result = finish(run, until)
    stops, counted = result.stop_reason, result.final.exceptions
    if at_the_end:
        # They are called when the run ends.
        assert stops.kind == "time"
    elif kind == "StopTest":
        assert stops == StopReason(StopKind.USER, "a user raised StopTest")
    elif kind == "ObswarmError":
        assert (stops.kind, stops.detail) == ("error", "The accounts are missing.")
    elif kind in ENDS_THE_USER and place != "__init__":
        assert stops == StopReason(StopKind.USER, "every user has ended by itself")
    if kind in ("Exception", "gevent.Timeout", "SystemExit", "KeyboardInterrupt"):
        assert counted, "it is counted, wherever it was"
        assert kind.removeprefix("gevent.").replace("Exception", "ValueError") in str(counted)
    assert "Traceback" not in capsys.readouterr().err, "gevent prints one where nobody takes the exception"


@pytest.mark.parametrize("place", ["on_start", "on_stop"])
def test_a_user_that_raises_stop_test_while_it_leaves_stops_the_run(place: str) -> None:
    class Leaving(Visitor):
        @task
        def work(self) -> None:
            raise StopUser

    setattr(Leaving, place, raising("StopTest"))
    result = finish(run_of(Leaving), Event())
    assert result.stop_reason == StopReason(StopKind.USER, "a user raised StopTest")


class Shape(LoadTestShape):
    kind = ""

    def tick(self) -> Any:
        raise EXCEPTIONS[self.kind]()


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_what_a_shape_raises_ends_the_run(kind: str) -> None:
    shape = Shape()
    shape.kind = kind
    result = finish(run_of(schedule=ShapeSchedule(shape, [Visitor]), shape_class=shape), Event())
    if kind == "StopTest":
        assert result.stop_reason == StopReason(StopKind.USER, "the shape raised StopTest")
        return
    assert result.stop_reason.kind is StopKind.ERROR
    if kind != "ObswarmError":
        assert isinstance(result.error, LoadTestError)
        assert str(result.error).startswith(f"{result.stop_reason.detail}\nTraceback")
        assert result.stop_reason.detail == f"Shape.tick() raised {described(EXCEPTIONS[kind]())}"


@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_what_a_listener_of_messages_raises(kind: str, concurrent: bool, capsys: pytest.CaptureFixture[str]) -> None:
    run, steering = run_of(), Steering()
    environment = run._environment
    environment.steering = steering
    environment.runner.register_message("data", raising(kind), concurrent=concurrent)
    environment.runner.deliver(CustomMessage("data", 1, "local"))
    gevent.sleep(0.001)
    if kind == "StopTest":
        assert steering.stopped == ["the listener raising.<locals>.listener of messages of type 'data' raised StopTest"]
    else:
        (found,) = environment.recorder.take().exceptions.values()
        assert "of messages of type 'data'" in found.message
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("code", "expected"), [(5, 5), (0, 0), (None, 0), ("no accounts", 1)])
def test_sys_exit_where_a_run_is_prepared_has_the_exit_code(code: object, expected: int) -> None:
    run = run_of(Visitor)

    def leave(**_: object) -> None:
        raise SystemExit(code)

    run._environment.events.test_start.add_listener(leave)
    result = finish(run, Event())
    assert result.stop_reason.kind is StopKind.ERROR
    assert run._environment.process_exit_code == expected
