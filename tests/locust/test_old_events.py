"""Hooks of events from before version 1 of Locust."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from obswarm.api import Environment
from obswarm.api.old_events import OLD_EVENTS


def noting(seen: list[dict[str, Any]]) -> Callable[..., None]:
    return lambda **arguments: seen.append(arguments)


def request(environment: Environment, exception: Exception | None) -> None:
    environment.events.request.fire(
        request_type="GET",
        name="/",
        response_time=5.0,
        response_length=7,
        exception=exception,
        context={},
        response=None,
        start_time=1.0,
        url="/",
    )


def test_requests_are_told_to_the_listeners_of_their_outcome(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    events = environment.events
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    events.request_success.add_listener(noting(good))
    events.request_success += noting(good)
    events.request_failure += noting(bad)
    error = ValueError("a")
    request(environment, None)
    request(environment, error)
    what = {"request_type": "GET", "name": "/", "response_time": 5.0, "response_length": 7}
    assert good == [what, what]
    assert bad == [{**what, "exception": error}]
    assert environment.recorder.take().total().requests == 2
    assert len(caplog.records) == 2, "a line for each hook"
    assert "events.request_success is deprecated" in caplog.messages[0]


def test_what_is_fired_under_an_old_name_is_counted_once(environment: Environment) -> None:
    events = environment.events
    seen: list[dict[str, Any]] = []
    events.request_failure.add_listener(noting(seen))
    events.request_success.fire(request_type="SQL", name="a", response_time=3, response_length=1)
    events.request_failure.fire(request_type="SQL", name="a", response_time=3, exception=OSError("no"))
    total = environment.recorder.take().total()
    assert (total.requests, total.failures) == (2, 1)
    assert [type(each["exception"]) for each in seen] == [OSError]


@pytest.mark.parametrize("name", [name for name, old in OLD_EVENTS.items() if old.failed is None])
def test_other_events_have_the_arguments_of_then(environment: Environment, name: str) -> None:
    old = OLD_EVENTS[name]
    seen: list[dict[str, Any]] = []
    getattr(environment.events, name).add_listener(noting(seen))
    now = {argument: argument for argument in old.arguments}
    getattr(environment.events, old.new).fire(**now, environment=environment)
    then = {dict(old.renamed).get(argument, argument): argument for argument in old.arguments}
    assert seen == [then]
    getattr(environment.events, name).fire(**then)
    assert seen == [then, then]


def test_a_listener_is_removed(environment: Environment) -> None:
    seen: list[dict[str, Any]] = []
    listener = noting(seen)
    hook = environment.events.request_success
    hook += listener
    hook -= listener
    request(environment, None)
    assert seen == []
    with pytest.raises(ValueError, match="not in list"):
        hook.remove_listener(listener)


def test_other_names_are_no_hooks(environment: Environment) -> None:
    with pytest.raises(AttributeError, match="'Events' object has no attribute 'request_done'"):
        environment.events.request_done  # noqa: B018
