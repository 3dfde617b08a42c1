"""`environment.request(method, name)`: one measured call of any protocol."""

from contextlib import nullcontext

import gevent
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from obswarm.api import Environment, Events, StopUser
from obswarm.api.tracing import TraceSampler
from obswarm.stats import CutOff, CutOffKey, EndpointKey, PhaseTimes, Recorder
from tests.support.anything import ANY_ERROR, ANY_EXCEPTION, ANY_TEXT, ANYTHING

KEYS = st.sampled_from(
    ["request_type", "name", "response_time", "response_length", "exception", "context", "reverse", "self", "response"]
)
ANYTHING_HASHABLE = st.one_of(st.integers(), ANY_TEXT, st.none(), st.binary())
SETTABLE = ("response_bytes", "status_code", "timings", "response", "intended_start_s")
NAMES = ("SQL", "select")
KEY = EndpointKey(*NAMES)


@pytest.fixture
def environment() -> Environment:
    return Environment(events=Events(), recorder=Recorder())


def under_way(environment: Environment) -> int:
    return sum(each.count for each in environment.recorder.in_flight(0.0).values())


def test_a_request_is_in_flight_while_its_block_lasts_and_counted_once(environment) -> None:
    with environment.request(*NAMES) as request:
        assert {key: each.count for key, each in environment.recorder.in_flight(0.0).items()} == {KEY: 1}
        assert environment.recorder.take().is_empty()
        request.response_bytes = 12
        request.status_code = 207
        request.timings = PhaseTimes(0.1, None, 0.2, 0.3)
        gevent.sleep(0.01)
    assert under_way(environment) == 0
    (stats,) = environment.recorder.take().endpoints.values()
    assert (stats.key, stats.requests, stats.successes, stats.response_bytes) == (KEY, 1, {"2xx": 1}, 12)
    assert stats.max_s >= 0.01
    assert stats.timings.means_s()["connect"] == pytest.approx(0.1)


def test_its_duration_is_zero_seconds_until_the_block_ends(environment) -> None:
    with environment.request(*NAMES) as request:
        assert request.duration_s == 0.0
        gevent.sleep(0.01)
    assert request.duration_s >= 0.01
    assert environment.recorder.take().endpoints[KEY].failures == 0


def test_a_request_that_began_later_than_intended_counts_from_its_intended_start_as_well(environment) -> None:
    with environment.request(*NAMES) as request:
        request.intended_start_s = request.started_s - 0.5
    for intended_start_s in (None, "nonsense", request.started_s + 3600):
        with environment.request(*NAMES) as request:
            request.intended_start_s = intended_start_s
    stats = environment.recorder.take().endpoints[KEY]
    assert (stats.requests, stats.intended_duration.count) == (4, 2)
    assert stats.intended_duration.sum_s == pytest.approx(0.5, abs=0.1)
    assert stats.intended_duration.sum_s >= 0.5


def test_what_the_block_raises_is_its_failure_and_goes_no_further(environment) -> None:
    with environment.request(*NAMES):
        raise ValueError("locked")
    with environment.request(*NAMES) as request:
        request.failure("no such user")
    with environment.request(*NAMES) as request:
        request.success()
        raise ValueError("expected")
    table = environment.recorder.take()
    assert (table.endpoints[KEY].requests, table.endpoints[KEY].failures) == (3, 2)
    assert sorted(key.message for key in table.errors) == ["ValueError: locked", "no such user"]
    assert under_way(environment) == 0


RAISED = st.sampled_from([None, ValueError("no"), gevent.Timeout(1), SystemExit(3), KeyboardInterrupt()])


@given(ANYTHING, ANYTHING, ANYTHING, RAISED | ANY_EXCEPTION, st.dictionaries(KEYS | ANYTHING_HASHABLE, ANYTHING))
@example("X", "y", None, None, {1: 2, "self": 3, "reverse": 1})
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_whatever_a_block_leaves_and_raises_it_is_one_request(method, name, context, raised, left) -> None:
    environment = Environment(events=Events(), recorder=Recorder())
    told = []
    environment.events.request.add_listener(lambda **kwargs: told.append(kwargs))
    goes_on = raised is not None and not isinstance(raised, Exception)
    for cleared in (False, True):
        expected = pytest.raises(type(raised)) if goes_on else nullcontext()
        with expected, environment.events.request.measure(method, name, context=context) as meta:
            if cleared:
                meta.clear()
            meta.update(left)
            if raised is not None:
                raise raised
    failures = 2 if raised is not None else 2 * (left.get("exception") is not None)
    total = environment.recorder.take().total()
    assert (total.requests, total.failures) == (2, failures)
    expected = pytest.raises(type(raised)) if goes_on else nullcontext()
    with expected, environment.request(method, name, context=context) as request:
        for attribute, value in zip(SETTABLE, left.values(), strict=False):
            setattr(request, attribute, value)
        if raised is not None:
            raise raised
    total = environment.recorder.take().total()
    assert (total.requests, total.failures) == (1, raised is not None)
    assert len(told) == 3
    assert under_way(environment) == 0


@given(ANY_ERROR)
def test_whatever_is_said_to_be_the_failure_is_one(reason) -> None:
    environment = Environment(events=Events(), recorder=Recorder())
    with environment.request(*NAMES) as request:
        request.failure(reason)
    assert environment.recorder.take().endpoints[KEY].failures == 1


@pytest.mark.parametrize("measure", ["request", "measure"])
def test_a_time_out_of_the_load_tests_own_is_a_failure_and_goes_on(environment, measure: str) -> None:
    block = {"request": environment.request, "measure": environment.events.request.measure}[measure]
    with gevent.Timeout(0.01) as around, pytest.raises(gevent.Timeout) as caught, block(*NAMES):
        gevent.sleep(10)
    assert caught.value is around
    table = environment.recorder.take()
    assert [key.message for key in table.errors] == ["Timeout: 0.01 seconds"]
    assert (table.total().requests, table.interrupted) == (1, 0)


def test_what_only_steers_the_user_is_not_counted(environment) -> None:
    with pytest.raises(StopUser), environment.request(*NAMES):
        raise StopUser
    assert environment.recorder.take().is_empty()
    assert under_way(environment) == 0


@pytest.mark.parametrize("measure", ["request", "measure"])
def test_a_user_who_is_stopped_by_force_cuts_it_off(environment, measure: str) -> None:
    block = {"request": environment.request, "measure": environment.events.request.measure}[measure]

    def work() -> None:
        with block(*NAMES):
            gevent.sleep(10)

    greenlet = gevent.spawn(work)
    gevent.sleep(0.02)
    assert under_way(environment) == 1
    greenlet.kill()
    assert under_way(environment) == 0
    table = environment.recorder.take()
    (cut_off,) = table.cut_off.items()
    assert cut_off[0] == CutOffKey("request", *NAMES)
    assert cut_off[1].count == 1
    # The clocks of sleep and of the measurement are not one.
    assert 0.01 <= cut_off[1].oldest_s < 5
    assert table.interrupted == 1
    assert not table.endpoints


def test_listeners_of_the_request_event_are_told(environment) -> None:
    told = []
    environment.events.request.add_listener(lambda **kwargs: told.append(kwargs))
    with environment.request(*NAMES, context={"user": 1}, url="mysql://db") as request:
        request.response = "rows"
        request.failure("empty")
    (one,) = told
    assert (one["request_type"], one["name"], one["response"], one["context"]) == (*NAMES, "rows", {"user": 1})
    assert (str(one["exception"]), one["url"]) == ("empty", "mysql://db")
    assert one["response_time"] > 0
    assert environment.recorder.take().endpoints[KEY].requests == 1


def test_requests_of_several_greenlets_of_one_user_are_each_under_way(environment) -> None:
    def work() -> None:
        with environment.request(*NAMES):
            gevent.sleep(10)

    greenlets = [gevent.spawn(work) for _ in range(5)]
    gevent.sleep(0)
    assert under_way(environment) == 5
    gevent.killall(greenlets)
    assert under_way(environment) == 0
    assert environment.recorder.take().cut_off[CutOffKey("request", *NAMES)] == CutOff(5, pytest.approx(0, abs=5))


def test_a_request_is_traced_once_its_trace_context_is_asked_for(environment) -> None:
    environment.trace_sampler = TraceSampler(1.0)
    with environment.request(*NAMES):
        pass
    assert environment.recorder.take().endpoints[KEY].exemplars() == ()
    with environment.request(*NAMES) as request:
        sent = request.traceparent
        assert sent == f"00-{request.trace_id}-{sent.split('-')[2]}-01"
    (exemplar,) = environment.recorder.take().endpoints[KEY].exemplars()
    assert exemplar.trace_id == request.trace_id


def test_a_request_that_is_not_sampled_has_no_trace_context(environment) -> None:
    environment.trace_sampler = TraceSampler(0.5, draw=iter([0.9, 0.1]).__next__)
    with environment.request(*NAMES) as request:
        # Drawn once, however often it is asked for.
        assert (request.traceparent, request.traceparent) == (None, None)
    with environment.request(*NAMES) as request:
        assert request.traceparent is not None


def test_an_attribute_that_does_not_exist_is_a_failure(environment) -> None:
    with environment.request(*NAMES) as request:
        request.response_length = 5
    (error,) = environment.recorder.take().errors
    assert "response_length" in error.message
