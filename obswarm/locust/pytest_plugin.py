"""Fixtures for tests of a service, `session` and `fastsession`, as Locust's plug-in for pytest has them.

It is used where it is named: `pytest -p obswarm.locust.pytest_plugin --host http://127.0.0.1:8000`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    # Imported by those who use a fixture, since it makes the standard library cooperate with gevent.
    from obswarm.api import User
    from obswarm.locust.clients import HttpSession
    from obswarm.locust.contrib.fasthttp import FastHttpSession

__all__ = ["fastsession", "pytest_addoption", "session"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--host` and `-H`, unless another plug-in has them."""
    try:
        parser.addoption("--host", "-H", default=None, help="base URL of the fixtures session and fastsession")
    except ValueError as error:
        if "already added" not in str(error):
            raise


@pytest.fixture
def session(pytestconfig: pytest.Config, user: "User | None" = None) -> "Iterator[HttpSession]":
    """A client as that of an HttpUser: a requests.Session with paths below `--host`. Nothing is counted.

    In a load test, `user` is the user that makes the requests, which are counted, below its host.
    """
    from obswarm.locust.clients import HttpSession

    yield from _closing(HttpSession(*_place(pytestconfig, user), user))


@pytest.fixture
def fastsession(pytestconfig: pytest.Config, user: "User | None" = None) -> "Iterator[FastHttpSession]":
    """A client as that of a FastHttpUser, with paths below `--host`. See `session`."""
    from obswarm.locust.contrib.fasthttp import FastHttpSession

    yield from _closing(FastHttpSession(*_place(pytestconfig, user), user))


def _place(config: pytest.Config, user: "User | None") -> tuple[str | None, Any]:
    """Return base URL and event of the requests."""
    return (_host_of(config), _no_event()) if user is None else (user.host, user.environment.events.request)


def _closing(client: Any) -> Iterator[Any]:
    try:
        yield client
    finally:
        client.close()


def _host_of(config: pytest.Config) -> str | None:
    """Return the base URL of `--host`. Raises a usage error of pytest's when it is none."""
    from obswarm.http import check_host

    host = config.getoption("--host")
    try:
        return check_host(host) if host else None
    except ValueError as error:
        raise pytest.UsageError(f"--host: {error}.") from None


def _no_event() -> Any:
    from obswarm.api import RequestHook

    return RequestHook("request")
