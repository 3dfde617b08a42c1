import gevent
import pytest

from obswarm.api import EventHook, Events, StopUser
from obswarm.stats import EndpointKey, Recorder

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
