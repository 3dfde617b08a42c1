"""Messages of a load test's own: each is delivered once, in order, and those that come early wait."""

import logging
from typing import Any

import gevent
import gevent.event
import pytest

from obswarm.api import Environment, Events
from obswarm.engine import CustomMessage, MessageListeners
from obswarm.stats import Recorder
from tests.support.patience import HANG_S


@pytest.fixture
def messages() -> MessageListeners:
    return MessageListeners(Environment(events=Events(), recorder=Recorder(), user_classes=[]))


def send(messages: MessageListeners, kind: str, *data: Any) -> None:
    for each in data:
        messages.deliver(CustomMessage(kind, each, "master"))


@pytest.mark.parametrize("concurrent", [False, True])
def test_what_comes_before_somebody_listens_is_kept_until_the_start(
    messages: MessageListeners, concurrent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []
    send(messages, "data", 1, 2)
    messages.register("data", lambda environment, msg: got.append(msg.data), concurrent)
    send(messages, "data", 3)
    messages.started()
    gevent.sleep(0)
    send(messages, "data", 4)
    gevent.sleep(0.001)
    assert got == [1, 2, 3, 4]
    assert caplog.text == ""


def test_a_listener_of_the_start_may_wait_for_what_came_before_it(messages: MessageListeners) -> None:
    got = gevent.event.AsyncResult()
    send(messages, "data", 1)
    messages.register("data", lambda environment, msg: got.set(msg.data), False)
    assert got.get(timeout=HANG_S) == 1


def test_the_start_waits_until_slow_listeners_have_had_what_was_kept(messages: MessageListeners) -> None:
    got: list[Any] = []

    def slowly(environment: Any, msg: CustomMessage) -> None:
        gevent.sleep(0.01)
        got.append(msg.data)

    send(messages, "data", 1, 2)
    messages.register("data", slowly, False)
    messages.started()
    assert got == [1, 2]


def test_a_listener_that_raises_or_replaces_itself_keeps_nothing_from_the_others(messages: MessageListeners) -> None:
    got: list[Any] = []

    def first(environment: Any, msg: CustomMessage) -> None:
        messages.register("data", lambda environment, msg: got.append(msg.data), False)
        raise ValueError("this one")

    send(messages, "data", 1, 2, 3)
    messages.register("data", first, False)
    messages.started()
    assert got == [2, 3]


def test_what_nobody_listens_for_is_named_once(messages: MessageListeners, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    send(messages, "data", 1)
    assert caplog.text == ""
    messages.started()
    send(messages, "data", 2)
    send(messages, "other\n", 3)
    assert [record.getMessage() for record in caplog.records] == [
        "There is no listener for messages of type 'data'; see runner.register_message.",
        "There is no listener for messages of type 'other\\n'; see runner.register_message.",
    ]


def test_the_number_of_waiting_messages_is_bounded(
    messages: MessageListeners, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []
    send(messages, "data", *range(1_500))
    messages.register("data", lambda environment, msg: got.append(msg.data), False)
    messages.started()
    assert got == list(range(1_000))
    assert "1,000 messages are already waiting" in caplog.text
