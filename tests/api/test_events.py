import math
from decimal import Decimal

import gevent
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obswarm.api import EventHook, Events, StopUser
from obswarm.stats import EndpointKey, Recorder
from tests.support.anything import ANY_ERROR, ANYTHING

KEY = EndpointKey("SQL", "insert")


@pytest.fixture
def events() -> Events:
    events = Events()
    events.request.recorder = Recorder()
    return events


def test_listeners_are_called_in_order_and_reversed_when_asked() -> None:
    hook, calls = EventHook(), []
    hook.add_listener(lambda **_: calls.append(1))
    hook.add_listener(lambda **_: calls.append(2))
    hook.fire()
    hook.fire(reverse=True)
    assert calls == [1, 2, 2, 1]


def test_a_listener_that_raises_is_logged_and_the_others_still_run(caplog) -> None:
    hook, calls = EventHook(), []

    @hook.add_listener
    def broken(**_):
        raise KeyError("x")

    hook.add_listener(lambda **_: calls.append("called"))
    hook.fire()
    assert calls == ["called"]
    assert "broken" in caplog.text


def test_a_listener_may_stop_the_user() -> None:
    hook = EventHook()

    @hook.add_listener
    def stop(**_):
        raise StopUser

    with pytest.raises(StopUser):
        hook.fire()


def test_a_removed_listener_is_not_called() -> None:
    hook, calls = EventHook(), []
    listener = hook.add_listener(lambda **_: calls.append(1))
    hook.remove_listener(listener)
    hook.fire()
    assert calls == []


def test_a_fired_request_is_counted_and_told(events) -> None:
    told = []
    events.request.add_listener(lambda **kwargs: told.append(kwargs))
    events.request.fire(request_type="SQL", name="insert", response_time=12.5, response_length=3, exception=None)
    stats = events.request.recorder.take().endpoints[KEY]
    assert (stats.requests, stats.failures, stats.response_bytes) == (1, 0, 3)
    assert stats.max_s == pytest.approx(0.0125)
    assert told[0]["context"] == {}


def test_measure_times_a_block_and_counts_an_exception_as_failure(events) -> None:
    with events.request.measure("SQL", "insert") as meta:
        meta["response_length"] = 7
    with events.request.measure("SQL", "insert"):
        raise ValueError("locked")
    table = events.request.recorder.take()
    assert (table.endpoints[KEY].requests, table.endpoints[KEY].failures) == (2, 1)
    assert [key.message for key in table.errors] == ["ValueError: locked"]


def test_measure_counts_a_block_that_was_cut_off_as_interrupted(events) -> None:
    def work():
        with events.request.measure("SQL", "insert"):
            gevent.sleep(10)

    greenlet = gevent.spawn(work)
    gevent.sleep(0)
    greenlet.kill()
    table = events.request.recorder.take()
    assert table.interrupted == 1
    assert not table.endpoints


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "request_type": ANYTHING,
            "name": ANYTHING,
            "response_time": ANYTHING,
            "response_length": ANYTHING,
            "response": ANYTHING,
            "exception": st.none() | ANY_ERROR,
            "context": ANYTHING,
        },
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_whatever_is_fired_counts_once_and_reaches_the_listeners(arguments) -> None:
    events, told = Events(), []
    events.request.recorder = Recorder()
    events.request.add_listener(lambda **kwargs: told.append(kwargs))
    events.request.fire(**arguments)
    (stats,) = events.request.recorder.take().endpoints.values()
    assert stats.requests == 1
    assert stats.failures == (arguments.get("exception") is not None)
    assert len(told) == 1
    assert all(told[0][name] is value for name, value in arguments.items())


@pytest.mark.parametrize(
    ("response_time", "seconds"),
    [
        (500, 0.5),
        (500.0, 0.5),
        ("500", 0.5),
        (Decimal(500), 0.5),
        (-1, 0.0),
        (-1.0, 0.0),
        (1.76e12, 1.76e9),
        (None, None),
        (math.nan, None),
        (math.inf, None),
        ("soon", None),
        (1e15, None),
        (10**400, None),
    ],
)
def test_a_response_time(events, response_time: object, seconds: float | None) -> None:
    events.request.fire(request_type="SQL", name="insert", response_time=response_time)
    stats = events.request.recorder.take().endpoints[KEY]
    assert (stats.requests, stats.max_s, stats.untimed) == (1, seconds, seconds is None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"response_time": math.inf}, "response_time=inf (float) is not a number of milliseconds"),
        ({"response_time": "so\non"}, r"response_time=so\non (str) is not a number of milliseconds"),
        ({"response_length": "a lot"}, "response_length=a lot (str) is not a number of bytes"),
        ({"response_time": None}, ""),
        ({"response_length": -1}, ""),
    ],
)
def test_what_is_no_number_is_complained_of_once(events, caplog, arguments: dict[str, object], said: str) -> None:
    for _ in range(3):
        events.request.fire(**{"request_type": "SQL", "name": "insert", "response_time": 1.0, **arguments})
    assert len(caplog.messages) == (said != "")
    assert said in caplog.text
    assert events.request.recorder.take().endpoints[KEY].requests == 3


def test_an_event_with_arguments_missing_is_counted_and_complained_of(events, caplog) -> None:
    events.request.fire(response_length=5)
    assert list(events.request.recorder.take().endpoints) == [EndpointKey("(none)", "(none)")]
    assert "request_type and name are needed" in caplog.text
    assert "response_time is missing" in caplog.text
