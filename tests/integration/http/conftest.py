"""Sessions and users of the client under test."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from obswarm.api import Environment
from obswarm.http import FastHttpSession, FastHttpUser, HttpUser
from tests.support.patience import wait_until


@pytest.fixture
def no_leaked_socket() -> Iterator[None]:
    """As many open files after the test as before."""

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    gevent.sleep(0.001)  # the loop's own files come with its first use
    before = count()
    yield
    wait_until(lambda: count() <= before, every_s=0.01)


@pytest.fixture
def make_session(environment: Environment) -> Iterator[Callable[..., FastHttpSession]]:
    """make_session(url, attribute=value, …) gives the client of a user whose class has these attributes."""
    made: list[FastHttpSession] = []

    def make(url: str | None, **attributes: object) -> FastHttpSession:
        cls = type(
            "Visitor", (FastHttpUser,), {"host": url, "network_timeout": 5.0, "connection_timeout": 5.0, **attributes}
        )
        session = cls(environment).client
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture(params=["fast", "plain"])
def session_of(request, make_session, environment) -> Iterator[Callable[[str], Any]]:
    """The client of a user of either kind."""
    made: list[Any] = []

    def plain(url: str) -> Any:
        made.append(type("Plain", (HttpUser,), {"host": url})(environment).client)
        return made[-1]

    yield make_session if request.param == "fast" else plain
    for session in made:
        session.close()


@pytest.fixture
def user_of(environment: Environment) -> Iterator[Callable[..., FastHttpUser | HttpUser]]:
    """user_of(kind, url, max_response_bytes) gives a user."""
    made: list[FastHttpUser | HttpUser] = []

    def make(kind: type, url: str, most: object = 1024 * 1024) -> FastHttpUser | HttpUser:
        made.append(type("Visitor", (kind,), {"host": url, "max_response_bytes": most})(environment))
        return made[-1]

    yield make
    for each in made:
        each.client.close()
