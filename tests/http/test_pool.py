"""Which TLS session of a server the next connection resumes."""

from types import SimpleNamespace
from typing import Any

from obswarm.http.pool import _Place
from obswarm.http.route import Route
from obswarm.http.urls import Origin

ROUTE = Route.to(Origin("https", "target.test", 443))


def handshake(place: _Place, is_resumed: bool, session: object) -> None:
    connection: Any = SimpleNamespace(is_resumed=is_resumed, tls_session=session)
    place.keep_session(connection)


def offered(*are_resumed: bool) -> list[object]:
    """The session that is offered after each of these handshakes, as the number of the connection that it is from."""
    place, sessions = _Place(ROUTE), []
    for number, is_resumed in enumerate(are_resumed, 1):
        handshake(place, is_resumed, number)
        sessions.append(place.tls_session)
    return sessions


def test_a_session_that_was_resumed_is_resumed_again() -> None:
    assert offered(False, True, True, True) == [1, 1, 1, 1]


def test_an_expired_tls_session_is_replaced() -> None:
    assert offered(False, True, True, False, True, True) == [1, 1, 1, 4, 4, 4]


def test_of_a_server_that_takes_each_once_each_connection_has_a_new_one() -> None:
    assert offered(False, True, False, True, True, True) == [1, 1, 3, 4, 5, 6]


def test_of_a_server_that_resumes_none_the_newest_is_offered() -> None:
    assert offered(False, False, False) == [1, 2, 3]


def test_a_connection_without_a_tls_session_keeps_the_last_one() -> None:
    place = _Place(ROUTE)
    handshake(place, False, "first")
    handshake(place, False, None)
    assert place.tls_session == "first"
